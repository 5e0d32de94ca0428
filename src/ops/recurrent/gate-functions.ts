// The activation functions that recurrent operators name in their attribute `activations`, each with its derivative.
import { UnsupportedError } from '../../errors.js';
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../builder.js';

/** A function of ONNX's list for recurrent operators, applied to pre-activations. */
interface GateFunction {
  /** Default of the number that it takes from `activation_alpha`; undefined if it takes none. */
  readonly alpha?: number;
  /** Default of the number that it takes from `activation_beta`. */
  readonly beta?: number;
  readonly apply: (b: Builder, x: Value, alpha: number, beta: number) => Value;
  /** Return the derivative at x, where the function is y. */
  readonly slope: (b: Builder, x: Value, y: Value, alpha: number, beta: number) => Value;
}

/** The functions by their names in lower case: ONNX Runtime compares them so. */
const functions: ReadonlyMap<string, GateFunction> = new Map<string, GateFunction>([
  ['sigmoid', { apply: (b, x) => b.sigmoid(x), slope: (b, _, y) => b.mul(y, b.sub(1, y)) }],
  ['tanh', { apply: (b, x) => b.tanh(x), slope: (b, _, y) => b.sub(1, b.square(y)) }],
  ['relu', { apply: (b, x) => b.relu(x), slope: (b, x) => b.where(b.greater(x, 0), b.onesLike(x), 0) }],
  // αx + β
  [
    'affine',
    {
      ...{ alpha: 1, beta: 0 },
      apply: (b, x, alpha, beta) => b.add(b.mul(x, alpha), beta),
      slope: (b, x, _, alpha) => b.mul(b.onesLike(x), alpha),
    },
  ],
  [
    'leakyrelu',
    {
      alpha: 0.01,
      apply: (b, x, alpha) => b.where(b.greater(x, 0), x, b.mul(x, alpha)),
      slope: (b, x, _, alpha) => b.where(b.greater(x, 0), b.onesLike(x), alpha),
    },
  ],
  // α·tanh(βx)
  [
    'scaledtanh',
    {
      ...{ alpha: 1, beta: 1 },
      apply: (b, x, alpha, beta) => b.mul(b.tanh(b.mul(x, beta)), alpha),
      slope: (b, x, _, alpha, beta) => b.mul(b.sub(1, b.square(b.tanh(b.mul(x, beta)))), alpha * beta),
    },
  ],
  // clip(αx + β, 0, 1)
  [
    'hardsigmoid',
    {
      ...{ alpha: 0.2, beta: 0.5 },
      apply: (b, x, alpha, beta) => b.min(b.max(b.add(b.mul(x, alpha), beta), 0), 1),
      slope: (b, x, y, alpha) => b.where(b.and(b.greater(y, 0), b.less(y, 1)), b.mul(b.onesLike(x), alpha), 0),
    },
  ],
  // x/(1 + |x|)
  [
    'softsign',
    {
      apply: (b, x) => b.div(x, b.add(b.abs(x), 1)),
      slope: (b, x) => b.reciprocal(b.square(b.add(b.abs(x), 1))),
    },
  ],
  ['softplus', { apply: (b, x) => b.op('Softplus', [x]), slope: (b, x) => b.sigmoid(x) }],
]);

/** A function with its numbers. */
export interface Gate {
  readonly name: string;
  readonly apply: (b: Builder, x: Value) => Value;
  readonly slope: (b: Builder, x: Value, y: Value) => Value;
}

/**
 * Return the functions of a list of names; each takes the next of the numbers that the operator gives, if it takes any.
 * @throws UnsupportedError for a name without a rule
 */
export function gatesOf(names: readonly string[], alphas: readonly number[], betas: readonly number[]): Gate[] {
  const [left, right] = [[...alphas], [...betas]];
  return names.map((name) => {
    const found = functions.get(name.toLowerCase());
    if (!found) {
      throw new UnsupportedError(
        `its activation '${name}' has no rule; those of recurrent operators are ${[...functions.keys()].join(', ')}`,
      );
    }
    const alpha = found.alpha === undefined ? 0 : (left.shift() ?? found.alpha);
    const beta = found.beta === undefined ? 0 : (right.shift() ?? found.beta);
    return {
      name,
      apply: (b, x) => found.apply(b, x, alpha, beta),
      slope: (b, x, y) => found.slope(b, x, y, alpha, beta),
    };
  });
}
