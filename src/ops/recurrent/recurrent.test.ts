// LSTM, GRU and RNN: the runtime's own operators against the steps written out, and the gradients against differences of these.
import { expect, test } from 'vitest';
import { relativeError } from '../../../test/support/dense.js';
import { FedBuilder, normals } from '../../../test/support/fed-builder.js';
import { unrolledRecurrent } from '../../../test/support/unrolled-recurrent.js';
import { gradients } from '../../autodiff/gradients.js';
import { type Attributes, float, floats, int, text, texts, type Value } from '../../graph/graph.js';
import { tensorFrom } from '../../graph/tensor.js';
import { random } from '../../random.js';
import { Builder } from '../builder.js';
import { composedOperator } from '../composed.js';
import { flopsOf, operators } from '../table.js';

type Op = 'LSTM' | 'GRU' | 'RNN';
const gates = { LSTM: 4, GRU: 3, RNN: 1 } as const;
const outputsOf = (op: Op): string[] => (op === 'LSTM' ? ['y', 'y_h', 'y_c'] : ['y', 'y_h']);

interface Form {
  readonly op: Op;
  readonly attributes?: Attributes;
  readonly lengths?: readonly number[];
  readonly steps?: number;
  readonly isBare?: boolean;
}

const directions = ['forward', 'reverse', 'bidirectional'] as const;
const forms: readonly Form[] = (['LSTM', 'GRU', 'RNN'] as const).flatMap((op): Form[] => [
  ...directions.flatMap((direction): Form[] => [
    { op, attributes: { direction: text(direction) } },
    { op, attributes: { direction: text(direction) }, lengths: [3, 1, 5] },
  ]),
  { op, isBare: true },
  { op, steps: 1 },
  { op, attributes: { clip: float(0.4) } },
]);
const named = (op: Op, names: readonly string[], more: Attributes = {}): Form => ({
  op,
  attributes: { activations: texts(names), ...more },
});
const all: readonly Form[] = [
  ...forms,
  { op: 'LSTM', attributes: { input_forget: int(1) } },
  { op: 'GRU', attributes: { linear_before_reset: int(1) } },
  { op: 'GRU', attributes: { linear_before_reset: int(1), clip: float(0.4) } },
  { op: 'GRU', attributes: { linear_before_reset: int(1), direction: text('bidirectional') }, lengths: [5, 2, 4] },
  named('LSTM', ['HardSigmoid', 'Softsign', 'Relu']),
  named('LSTM', ['Sigmoid', 'Affine', 'ScaledTanh'], {
    activation_alpha: floats([0.75, 1.5]),
    activation_beta: floats([0.25, 0.5]),
  }),
  named('LSTM', ['Sigmoid', 'Tanh', 'Tanh', 'HardSigmoid', 'Relu', 'Softsign'], { direction: text('bidirectional') }),
  named('GRU', ['HardSigmoid', 'Softsign'], { linear_before_reset: int(1) }),
  named('GRU', ['Sigmoid', 'Relu']),
  named('RNN', ['Relu']),
  named('RNN', ['Affine'], { activation_alpha: floats([0.75]), activation_beta: floats([0.25]) }),
];

test.each(all.map((form) => [JSON.stringify(form), form] as const))(
  'the runtime computes the steps: %s',
  async (_, form) => {
    const { op, attributes = {}, lengths, steps = 5, isBare = false } = form;
    const [batch, inputs, hidden] = [3, 2, 4];
    const direction = attributes.direction?.kind === 'string' ? attributes.direction.value : '';
    const count = direction === 'bidirectional' ? 2 : 1;
    const rows = gates[op] * hidden;
    const b = new FedBuilder();
    const source = random(3, op);
    const drawn = (dims: readonly number[]): Value => {
      const numbers = normals(
        source,
        dims.reduce((x, y) => x * y, 1),
      ).map(Math.fround);
      return b.given(dims, numbers, 'float32');
    };
    const weights = [drawn([steps, batch, inputs]), drawn([count, rows, inputs]), drawn([count, rows, hidden])];
    const state = () => (isBare ? undefined : drawn([count, batch, hidden]));
    const bias = isBare ? undefined : drawn([count, 2 * rows]);
    const ends = lengths && b.constant(tensorFrom('int32', [batch], lengths));
    const given = [...weights, bias, ends, state(), ...(op === 'LSTM' ? [state()] : [])];
    const last = given.findLastIndex((each) => each !== undefined);
    const complete = { hidden_size: int(hidden), ...attributes };
    const options = { outputs: outputsOf(op) };
    const native = b.node(op, given.slice(0, last + 1), complete, options);
    const definition = composedOperator((context) => unrolledRecurrent(op, context));
    const unrolled = b.node(op, given, complete, { ...options, domain: 'test', definition });
    const flat = (value: Value) => b.reshape(value, [1, value.dims.reduce((x, y) => x * y, 1)]);
    const wanted = Object.fromEntries([...native, ...unrolled].map((value, i) => [i, flat(value)]));
    const found = await b.matrices(wanted);
    for (const [i, name] of options.outputs.entries()) {
      const [one, other] = [found[i], found[i + native.length]];
      expect(one && other ? relativeError(one, other) : Number.NaN, name).toBeLessThan(1e-6);
    }
  },
);

const draft = (
  op: Op,
  attributes: Attributes = {},
  more: (b: Builder) => readonly (Value | undefined)[] = () => [],
) => {
  const b = new Builder();
  const rows = gates[op] * 4;
  const weights = [
    [5, 3, 2],
    [1, rows, 2],
    [1, rows, 4],
  ].map((dims, i) => b.input(`x${i}`, 'float32', dims));
  const [x, ...rest] = weights as [Value, ...Value[]];
  const y = b.op(op, [x, ...rest, ...more(b)], attributes);
  return { b, x, y };
};

test.each<[string, Op, Attributes, (b: Builder) => readonly (Value | undefined)[], string]>([
  [
    'peepholes',
    'LSTM',
    {},
    (b) => [undefined, undefined, undefined, undefined, b.input('P', 'float32', [1, 12])],
    'a LSTM node cannot be differentiated: peepholes (the input P) have no rule',
  ],
  [
    'an activation',
    'RNN',
    { activations: texts(['Elu']) },
    () => [],
    "its activation 'Elu' has no rule; those of recurrent operators are sigmoid",
  ],
  [
    'too few activations',
    'GRU',
    { activations: texts(['Tanh']) },
    () => [],
    'names 1 activations; 2 for each of 1 directions',
  ],
])('%s without a rule is refused by name', (_, op, attributes, more, message) => {
  const { b, x, y } = draft(op, attributes, more);
  expect(() => gradients(b, b.sum(y), [x])).toThrow(message);
});

test('what does not fit together is refused', () => {
  expect(() => draft('LSTM', { direction: text('sideways') })).toThrow(
    "the direction 'sideways' is none of forward, reverse",
  );
  expect(() => draft('LSTM', { direction: text('bidirectional') })).toThrow('W is [1, 16, 2], not [2, 16, 2]');
  expect(() => draft('GRU', {}, (b) => [b.input('B', 'float32', [1, 12])])).toThrow('B is [1, 12], not [1, 24]');
});

test('sizes that are only known when the program runs have types, and no block', () => {
  const b = new Builder();
  const x = b.input('x', 'float32', ['time', 'batch', 2]);
  const weights = [b.input('w', 'float32', [2, 16, 2]), b.input('r', 'float32', [2, 16, 4])];
  const attributes = { direction: text('bidirectional') };
  const outputs = b.node('LSTM', [x, ...weights], attributes, { outputs: ['y', 'h', 'c'] });
  expect(outputs.map(({ shape }) => shape)).toEqual([['time', 2, 'batch', 4], ...Array(2).fill([2, 'batch', 4])]);
  const given = { op: 'LSTM', domain: '', name: '', inputs: [x, ...weights], attributes };
  expect(operators.LSTM.training?.(b, given, 1)).toBeUndefined();
});

test('two products at each step, and ten operations for each gate', () => {
  const { y } = draft('LSTM');
  expect(y.producer && flopsOf(y.producer)).toBe(5 * 3 * 16 * (2 * (2 + 4) + 10));
});
