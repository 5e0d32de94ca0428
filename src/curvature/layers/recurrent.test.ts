// Blocks of recurrent layers: rows against gradients, against the steps written out, and against a dense layer.
import { expect, test } from 'vitest';
import {
  at,
  generate,
  gram,
  type Matrix,
  matrixOf,
  multiplied,
  relativeError,
  rowsOf,
  scaled,
  transposed,
} from '../../../test/support/dense.js';
import { FedBuilder } from '../../../test/support/fed-builder.js';
import { measured, rounding } from '../../../test/support/measured-blocks.js';
import { unrolledRecurrent } from '../../../test/support/unrolled-recurrent.js';
import { type Attributes, int, text, type Value } from '../../graph/graph.js';
import { tensorFrom } from '../../graph/tensor.js';
import type { Builder } from '../../ops/builder.js';
import { composedOperator } from '../../ops/composed.js';
import { operators } from '../../ops/table.js';

type Op = 'LSTM' | 'GRU' | 'RNN';
const gates = { LSTM: 4, GRU: 3, RNN: 1 } as const;
const [examples, steps, inputs, hidden] = [3, 4, 2, 2] as const;

/** The outputs of a recurrent node in the form that it has in training. */
function trained(b: Builder, op: Op, given: readonly (Value | undefined)[], attributes: Attributes): readonly Value[] {
  const outputs = operators[op].training?.(b, { op, domain: '', name: '', inputs: given, attributes }, 2);
  if (!outputs) throw new Error('no form for training');
  return outputs;
}

interface Form {
  readonly op: Op;
  readonly attributes?: Attributes;
  readonly lengths?: readonly number[];
  readonly hasBias?: boolean;
}

const forms: readonly Form[] = [
  ...(['LSTM', 'GRU', 'RNN'] as const).flatMap((op): Form[] => [
    { op },
    { op, attributes: { direction: text('bidirectional') }, lengths: [4, 1, 3] },
    { op, attributes: { direction: text('reverse') }, hasBias: false },
    { op, attributes: { layout: int(1) } },
  ]),
  { op: 'GRU', attributes: { direction: text('bidirectional'), linear_before_reset: int(1) } },
];

/** A classifier of sequences `[steps, examples, inputs]`, by the sums of the hidden states of all steps. */
function classifier({ op, attributes = {}, lengths, hasBias = true }: Form) {
  const directions = attributes.direction?.kind === 'string' && attributes.direction.value === 'bidirectional' ? 2 : 1;
  const outputs = gates[op] * hidden;
  const isBatchFirst = attributes.layout !== undefined;
  return {
    parameters: {
      w: [directions, outputs, inputs],
      r: [directions, outputs, hidden],
      ...(hasBias && { bias: [directions, 2 * outputs] }),
    },
    input: isBatchFirst ? [examples, steps, inputs] : [steps, examples, inputs],
    network: (b: Builder, x: Value, p: (name: string) => Value) => {
      const ends = lengths && b.constant(tensorFrom('int32', [examples], lengths));
      const given = [x, p('w'), p('r'), hasBias ? p('bias') : undefined, ends];
      const [y] = trained(b, op, given, attributes) as [Value];
      const ordered = isBatchFirst ? y : b.transpose(y, [2, 0, 1, 3]);
      const columns = Array.from({ length: 3 * steps * directions * hidden }, (_, i) => Math.sin(1 + i));
      return b.matmul(
        b.reshape(ordered, [examples, steps * directions * hidden]),
        b.constant(tensorFrom('float32', [steps * directions * hidden, 3], columns), 'head'),
      );
    },
    directions,
    outputs,
  };
}

const groupOf = (rows: Matrix, groups: number, index: number): Matrix =>
  rowsOf(rows, (index * rows.rows) / groups, ((index + 1) * rows.rows) / groups);

test.each(forms.map((form) => [JSON.stringify(form), form] as const))(
  'aᵀg of all steps is the gradient of W, R and B: %s',
  async (_, form) => {
    const network = classifier(form);
    const { directions, outputs } = network;
    const { hasBias = true, lengths } = form;
    const { blocks, rest, matrix } = await measured(network, 'empirical');
    expect([...rest]).toEqual([]);
    expect(blocks.map(({ weight, bias, groups, kind }) => [weight, bias, groups, kind])).toEqual([
      ['w', hasBias ? 'bias' : undefined, directions, 'recurrent inputs'],
      ['r', hasBias ? 'bias' : undefined, directions, 'recurrent states'],
    ]);
    const total = lengths?.reduce((sum, length) => sum + length, 0) ?? examples * steps;
    for (const [i, name] of ['w', 'r'].entries()) {
      const [a, g] = [matrix(`a${i}`), matrix(`g${i}`)];
      // a carries the root of the steps that count, g of the examples; R of a GRU has two rows a step, one of which is zero.
      const rows = a.rows / directions / (examples * steps);
      const products = Array.from({ length: directions }, (_, d) =>
        scaled(
          multiplied(transposed(groupOf(g, directions, d)), groupOf(a, directions, d)),
          Math.sqrt((rows * total) / examples),
        ),
      );
      const width = name === 'w' ? inputs : hidden;
      const weights = products.flatMap((product) =>
        Array.from({ length: outputs * width }, (_, k) => at(product, Math.floor(k / width), k % width)),
      );
      expect(relativeError(matrixOf(1, weights.length, weights), matrix(`slope.${name}`)), name).toBeLessThan(
        5 * rounding,
      );
      if (!hasBias || lengths) continue;
      const own = matrix('slope.bias');
      const half = products.flatMap((product) => Array.from({ length: outputs }, (_, k) => at(product, k, width)));
      const expected = Array.from({ length: directions * outputs }, (_, k) =>
        at(own, 0, Math.floor(k / outputs) * 2 * outputs + i * outputs + (k % outputs)),
      );
      expect(
        relativeError(matrixOf(1, half.length, half), matrixOf(1, half.length, expected)),
        `${name} bias`,
      ).toBeLessThan(5 * rounding);
    }
  },
);

test('the rows of R are the hidden states that the steps begin with, those of W the inputs, example after example', async () => {
  const network = classifier({ op: 'LSTM', hasBias: false });
  const states = composedOperator((context) => unrolledRecurrent('LSTM', context));
  const { matrix, images, elements } = await measured(network, 'empirical');
  const scale = 1 / Math.sqrt(examples * steps);
  const expected = generate(examples * steps, inputs, (row, i) => {
    const [example, step] = [Math.floor(row / steps), row % steps];
    return scale * (images[(step * examples + example) * inputs + i] ?? 0);
  });
  expect(relativeError(matrix('a0'), expected)).toBeLessThan(rounding);
  const b = new FedBuilder();
  const given = [
    b.given(network.input, images, 'float32'),
    b.given(network.parameters.w, elements.get('w') ?? [], 'float32'),
    b.given(network.parameters.r, elements.get('r') ?? [], 'float32'),
  ];
  const [y] = b.node('LSTM', given, {}, { domain: 'test', definition: states, outputs: ['y', 'y_h', 'y_c'] }) as [
    Value,
  ];
  const { all } = await b.matrices({ all: b.reshape(y, [steps * examples, hidden]) });
  const before = generate(examples * steps, hidden, (row, i) => {
    const [example, step] = [Math.floor(row / steps), row % steps];
    return step === 0 ? 0 : scale * at(all, (step - 1) * examples + example, i);
  });
  expect(relativeError(matrix('a1'), before)).toBeLessThan(rounding);
});

test('after one step from zero an RNN has the block of a dense layer', async () => {
  const shape = { w: [1, hidden, inputs] };
  const columns = tensorFrom(
    'float32',
    [hidden, 3],
    Array.from({ length: 3 * hidden }, (_, i) => Math.sin(1 + i)),
  );
  const head = (b: Builder, y: Value) => b.matmul(b.reshape(y, [examples, hidden]), b.constant(columns, 'head'));
  const recurrent = await measured(
    {
      parameters: shape,
      input: [1, examples, inputs],
      network: (b, x, p) => {
        const states = b.constant(tensorFrom('float32', [1, hidden, hidden], Array(hidden * hidden).fill(1)));
        const [y] = trained(b, 'RNN', [x, p('w'), states], {}) as [Value];
        return head(b, y);
      },
    },
    'empirical',
  );
  const dense = await measured(
    {
      parameters: { w: [hidden, inputs] },
      input: [1, examples, inputs],
      network: (b, x, p) =>
        head(b, b.tanh(b.gemm(b.reshape(x, [examples, inputs]), p('w'), undefined, { transposeY: true }))),
    },
    'empirical',
  );
  for (const side of ['a0', 'g0']) {
    const [one, other] = [recurrent.matrix(side), dense.matrix(side)];
    expect(one.rows).toBe(examples);
    expect(relativeError(gram(one), gram(other)), side).toBeLessThan(5 * rounding);
  }
});

test('a bias half of whose layers are trained has no block', async () => {
  const { blocks, rest } = await measured(
    {
      parameters: { w: [1, hidden, inputs], bias: [1, 2 * hidden] },
      input: [steps, examples, inputs],
      network: (b, x, p) => {
        const r = b.constant(tensorFrom('float32', [1, hidden, hidden], Array(hidden * hidden).fill(0.1)));
        const [, last] = trained(b, 'RNN', [x, p('w'), r, p('bias')], {}) as [Value, Value];
        return b.reshape(last, [examples, hidden]);
      },
    },
    'empirical',
  );
  expect(blocks.map(({ weight, bias }) => [weight, bias])).toEqual([['w', undefined]]);
  expect([...rest]).toEqual([['bias', 'the bias of a recurrent layer without a block']]);
});
