// The evaluation in micro-batches in float64: equal to that in one piece to rounding, and so are its derivatives.
import { describe, expect, it } from 'vitest';
import { FedBuilder, normals } from '../../test/support/fed-builder.js';
import { type ModelSpec, modelBytes } from '../../test/support/onnx-models.js';
import { gradients } from '../autodiff/gradients.js';
import { OptionError, UnsupportedError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import { tensorFrom } from '../graph/tensor.js';
import { modelFromBytes } from '../model/file-model.js';
import type { Model } from '../model/model.js';
import { TrainingMode } from '../model/training-mode.js';
import { semantics } from '../ops/table.js';
import { random } from '../random.js';
import { crossEntropy } from './cross-entropy.js';
import { lossGradients, Objective } from './objective.js';

type NodeSpec = ModelSpec['nodes'][number];

const [rows, inputs, hidden, classes] = [6, 3, 4, 2];
const elements = normals(random(1, 'float64'), 100);
/** Uniform, as masks are made of. */
const drawnNumbers = (() => {
  const source = random(2, 'masks');
  return Array.from({ length: 50 }, () => source.uniform());
})();
const initial = (from: number, ...dims: readonly number[]) =>
  tensorFrom('float64', dims, elements.slice(from, from + dims.reduce((x, y) => x * y, 1)));

const network = (): Model =>
  modelFromBytes(
    modelBytes({
      opset: 17,
      inputs: { x: ['float64', ['batch', inputs]] },
      initializers: { one: initial(0, inputs, hidden), two: initial(20, hidden, classes) },
      nodes: [
        { op: 'MatMul', inputs: ['x', 'one'], outputs: ['h'] },
        { op: 'Tanh', inputs: ['h'], outputs: ['a'] },
        { op: 'MatMul', inputs: ['a', 'two'], outputs: ['y'] },
      ],
      outputs: ['y'],
    }),
    semantics,
  );

/** The network on the same examples, in so many micro-batches. */
function evaluation(count: number, model = network()) {
  const b = new FedBuilder();
  const training = new TrainingMode(model, (name, dims) =>
    b.named(
      name,
      dims,
      drawnNumbers.slice(
        0,
        dims.reduce((x, y) => x * y, 1),
      ),
      'float32',
    ),
  );
  const objective = new Objective(
    b,
    model,
    crossEntropy({ ignoreIndex: -1 }),
    b.given([rows, inputs], elements.slice(40, 58)),
    b.given([rows], [0, -1, -1, 1, 1, 0], 'int64'),
    training.rewrite,
    b.given([rows], [1, 2, 0.5, 0, 1, 3], 'float32'),
    count > 1 ? { count, training } : undefined,
  );
  const parameters = new Map(
    [...model.parameters].map(([name, { dims, constant }]) => [
      name,
      b.named(`parameter ${name}`, dims, (constant?.data ?? []) as Float64Array),
    ]),
  );
  return { b, objective, parameters };
}

const derivatives = {
  'the gradients on the way': ({ b, objective, parameters }: ReturnType<typeof evaluation>) => {
    const { forward } = objective.measure(parameters, parameters, () => ({}));
    return { loss: forward.loss, ...Object.fromEntries(lossGradients(b, forward, parameters, b.scalar(3, 'float64'))) };
  },
  'the gradients of an evaluation without': ({ b, objective, parameters }) => {
    const forward = objective.evaluate(parameters);
    return { loss: forward.loss, ...Object.fromEntries(lossGradients(b, forward, parameters)) };
  },
  'derivatives of gradients': ({ b, objective, parameters }) => {
    const { forward } = objective.measure(parameters, parameters, () => ({}));
    const squares = [...lossGradients(b, forward, parameters).values()].map((each) => b.dot(each, each));
    const [one, two] = gradients(b, b.add(squares[0] as Value, squares[1] as Value), [...parameters.values()]);
    return { one: one as Value, two: two as Value };
  },
  'what is joined: the outputs of all examples': ({ b, objective, parameters }) => {
    const { output, prediction } = objective.evaluate(parameters);
    const [slope] = gradients(b, b.sum(b.square(b.exp(output))), [...parameters.values()]);
    return { output, prediction, slope: slope as Value };
  },
} satisfies Readonly<Record<string, (of: ReturnType<typeof evaluation>) => Readonly<Record<string, Value>>>>;

describe.each(Object.entries(derivatives))('%s', (_, derive) => {
  it.each([2, 3, 6])('in %i micro-batches', async (count) => {
    const [whole, parts] = [evaluation(1), evaluation(count)];
    const expected = await whole.b.compute(derive(whole) as Readonly<Record<string, Value>>);
    const found = await parts.b.compute(derive(parts) as Readonly<Record<string, Value>>);
    for (const [name, values] of Object.entries(expected)) {
      expect(values.length).toBeGreaterThan(0);
      for (const [i, value] of values.entries()) expect(found[name]?.[i]).toBeCloseTo(value, 12);
    }
  });
});

/** Dropout between some nodes that make `before` of x and others that make `y` of `after`. */
function dropping(before: readonly NodeSpec[], after: readonly NodeSpec[]): Model {
  const drop = { op: 'Dropout', name: 'drop', inputs: ['before', 'ratio'], outputs: ['after'] };
  const ratio = tensorFrom('float32', [], [0.5]);
  return modelFromBytes(
    modelBytes({
      opset: 17,
      inputs: { x: ['float64', ['batch', inputs]] },
      initializers: { one: initial(0, inputs, classes), ratio },
      nodes: [...before, drop, ...after],
      outputs: ['y'],
    }),
    semantics,
  );
}
const product = (x: string, y: string, outputs: string): NodeSpec => ({
  op: 'MatMul',
  inputs: [x, y],
  outputs: [outputs],
});
const transposed = (x: string, y: string): NodeSpec => ({ op: 'Transpose', inputs: [x], outputs: [y] });

it('masks are those of the whole batch, also along another axis than the first', async () => {
  const lossIn = async (count: number) => {
    const model = dropping([transposed('x', 'before')], [transposed('after', 'back'), product('back', 'one', 'y')]);
    const { b, objective, parameters } = evaluation(count, model);
    return (await b.compute({ loss: objective.evaluate(parameters).loss })).loss[0] ?? Number.NaN;
  };
  const whole = await lossIn(1);
  for (const count of [2, 3, 6]) expect(await lossIn(count)).toBeCloseTo(whole, 12);
});

describe('what cannot be evaluated in parts', () => {
  it('dropout of values that belong to pairs of examples', () => {
    const pairs = [product('x', 'one', 'h'), transposed('h', 't'), product('h', 't', 'before')];
    const { objective, parameters } = evaluation(3, dropping(pairs, [product('after', 'h', 'y')]));
    expect(() => objective.evaluate(parameters)).toThrow(
      /dropout is given float32\[6, 6\] by the whole batch and \[2, 2\] by one of 3 micro-batches: its examples lie along no axis/,
    );
  });

  it('a batch that does not divide', () => {
    const { objective, parameters } = evaluation(4);
    const message = 'a batch of 6 examples has no 4 micro-batches of equal size';
    expect(() => objective.evaluate(parameters)).toThrow(new OptionError(message));
  });

  it('outputs whose first axis is not that of the examples', () => {
    const model = modelFromBytes(
      modelBytes({
        opset: 17,
        inputs: { x: ['float64', ['batch', inputs]] },
        initializers: { one: initial(0, inputs, 1) },
        nodes: [
          { op: 'MatMul', inputs: ['x', 'one'], outputs: ['h'] },
          { op: 'Transpose', inputs: ['h'], outputs: ['y'] },
        ],
        outputs: ['y'],
      }),
      semantics,
    );
    const { objective, parameters } = evaluation(3, model);
    expect(() => objective.evaluate(parameters)).toThrow(UnsupportedError);
  });
});
