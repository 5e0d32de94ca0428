// Gradient checks of Scan and of the recurrent operators. The runtime has no recurrent operator of float64: the rules are
// checked as those of the same steps written out.
import { type Attributes, float, floats, int, text, texts, type Value } from '../../../src/graph/graph.js';
import { tensorFrom } from '../../../src/graph/tensor.js';
import type { Builder } from '../../../src/ops/builder.js';
import { composedOperator } from '../../../src/ops/composed.js';
import { operators } from '../../../src/ops/table.js';
import type { CaseTable, GradientCase } from '../gradient-check.js';
import { type RecurrentName, unrolledRecurrent } from '../unrolled-recurrent.js';

const gates = { LSTM: 4, GRU: 3, RNN: 1 } as const;
const recurrentOutputs = (op: RecurrentName): string[] => (op === 'LSTM' ? ['y', 'y_h', 'y_c'] : ['y', 'y_h']);

interface Form {
  readonly attributes?: Attributes;
  readonly steps?: number;
  readonly batch?: number;
  readonly lengths?: readonly number[];
  /** Without bias and initial states. */
  readonly isBare?: boolean;
  /** Numbers of x are multiplied by this: pre-activations stay on one side of a kink. */
  readonly range?: readonly [number, number];
  readonly order?: 1 | 2;
}

/** A node with the runtime's own operator, in float32, or the steps written out, with the rule of an operator. */
function check(
  op: RecurrentName,
  rule: RecurrentName | `cgfac.${RecurrentName}` | 'native',
  form: Form = {},
): GradientCase {
  const { attributes = {}, steps = 3, batch = 2, lengths, isBare = false, range = [-1, 1], order } = form;
  const direction = attributes.direction?.kind === 'string' ? attributes.direction.value : 'forward';
  const directions = direction === 'bidirectional' ? 2 : 1;
  const [inputs, hidden] = directions === 2 ? [2, 1] : [1, 2]; // about as many coordinates
  const outputs = gates[op] * hidden;
  const isBatchFirst = attributes.layout !== undefined;
  const state = { shape: isBatchFirst ? [batch, directions, hidden] : [directions, batch, hidden], range };
  const shown = {
    shape: [batch, steps, directions * outputs],
    values: Array(batch * steps * directions * outputs).fill(0),
  };
  const options = { outputs: recurrentOutputs(op) };
  return {
    name: `${op} by the rule of ${rule} ${JSON.stringify(form)}`,
    inputs: [
      { shape: isBatchFirst ? [batch, steps, inputs] : [steps, batch, inputs], range },
      { shape: [directions, outputs, inputs], range },
      { shape: [directions, outputs, hidden], range },
      ...(isBare ? [] : [{ shape: [directions, 2 * outputs], range }, state, ...(op === 'LSTM' ? [state] : [])]),
      ...(rule.startsWith('cgfac.') ? [shown, shown] : []),
    ],
    build: (b, x) => {
      const [bias, ...states] = isBare ? [] : x.slice(3, op === 'LSTM' ? 6 : 5);
      const ends = lengths && b.constant(tensorFrom('int32', [batch], lengths));
      const given = [...x.slice(0, 3), bias, ends, ...states];
      if (rule === 'native') return b.node(op, given, attributes, options);
      const definition = composedOperator((context) => unrolledRecurrent(op, context), {
        gradient: operators[rule].gradient,
      });
      const count = op === 'LSTM' ? 8 : 6;
      const all = rule.startsWith('cgfac.')
        ? [...Array.from({ length: count }, (_, i) => given[i]), ...x.slice(-2)]
        : given;
      return b.node(op, all, attributes, { ...options, domain: 'test', definition });
    },
    ...(rule === 'native' && { dtype: 'float32' as const }),
    ...(order && { order }),
  };
}

const to = (direction: 'reverse' | 'bidirectional') => ({ direction: text(direction) });
const usual = (op: RecurrentName): readonly GradientCase[] => [
  check(op, op, { attributes: to('bidirectional'), lengths: [1, 2], steps: 2, order: 1 }),
  check(op, op, { attributes: to('reverse'), steps: 2, batch: 1 }),
  check(op, 'native', { attributes: { ...to('bidirectional'), layout: int(1) }, steps: 2, order: 1 }),
];
const shown = (op: RecurrentName, attributes: Attributes = {}): GradientCase =>
  check(op, `cgfac.${op}`, {
    attributes: { ...to('bidirectional'), ...attributes },
    steps: 2,
    lengths: [2, 1],
    order: 1,
  });

/** Sums of products with a captured matrix, and of a part of it; one sequence is read from its end. */
const scanned = (b: Builder, [first, xs, matrix, ys]: readonly Value[], fromEnd: boolean): readonly Value[] => {
  const [state, x, weight, y] = [first, xs, matrix, ys] as [Value, Value, Value, Value]; // four inputs
  const { carried, given } = b.scan(
    { state, count: b.scalar(0, 'int64') },
    { x, y },
    (inner, before, slices) => {
      const s = inner.add(inner.matmul(before.state, weight), inner.mul(slices.x, inner.cast(before.count, x.dtype)));
      const next = inner.tanh(inner.add(s, inner.sum(inner.square(weight), [0])));
      return {
        carried: { state: next, count: inner.add(before.count, inner.scalar(1, 'int64')) },
        given: { product: inner.mul(next, slices.y), s },
      };
    },
    fromEnd,
  );
  return [carried.state, given.product, b.mul(given.s, 0.5)];
};
const scan = (steps: number, fromEnd: boolean): GradientCase => ({
  name: `Scan ${fromEnd ? 'from the end' : ''}`,
  inputs: [{ shape: [2, 3] }, { shape: [steps, 2, 3] }, { shape: [3, 3] }, { shape: [steps, 2, 3] }],
  build: (b, x) => scanned(b, x, fromEnd),
});

export const lstmCases = {
  LSTM: [
    ...usual('LSTM'),
    check('LSTM', 'LSTM', { isBare: true, order: 1 }),
    check('LSTM', 'LSTM', { attributes: { clip: float(0.75) }, steps: 2, order: 1 }),
    check('LSTM', 'LSTM', { attributes: { input_forget: int(1) }, steps: 2, lengths: [2, 1], order: 1 }),
    check('LSTM', 'LSTM', {
      attributes: {
        ...to('bidirectional'),
        activations: texts(['Sigmoid', 'Affine', 'ScaledTanh', 'Softsign', 'HardSigmoid', 'Tanh']),
        activation_alpha: floats([0.75, 1.5]),
        activation_beta: floats([0.25, 0.5]),
      },
      ...{ steps: 2, range: [-0.5, 0.5], order: 1 },
    }),
  ],
  'cgfac.LSTM': [shown('LSTM')],
} satisfies CaseTable;

export const gruCases = {
  GRU: [
    ...usual('GRU'),
    check('GRU', 'GRU', { attributes: { clip: float(0.75) }, steps: 2, order: 1 }),
    check('GRU', 'GRU', { attributes: { linear_before_reset: int(1), ...to('reverse') }, steps: 2, batch: 1 }),
    check('GRU', 'GRU', {
      attributes: { linear_before_reset: int(1), ...to('bidirectional') },
      ...{ lengths: [1, 2], steps: 2, order: 1 },
    }),
  ],
  'cgfac.GRU': [shown('GRU'), shown('GRU', { linear_before_reset: int(1) })],
} satisfies CaseTable;

export const rnnCases = {
  Scan: [scan(3, false), scan(3, true), scan(1, false)],
  RNN: [
    ...usual('RNN'),
    check('RNN', 'RNN', { attributes: { activations: texts(['Relu']) }, range: [0.1, 0.5], order: 1 }),
  ],
  'cgfac.RNN': [shown('RNN')],
} satisfies CaseTable;
