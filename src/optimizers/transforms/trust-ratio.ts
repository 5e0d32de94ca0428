// Layerwise trust ratios: each parameter's update is as long, in proportion, as the parameter.
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { checkedNumber, checkKeys, type OptionKeys } from '../../options.js';
import type { Transform } from './updates.js';

export interface TrustRatioOptions {
  /** The largest norm of a parameter that counts; 10 by default. */
  readonly maximum?: number;
}

const keys: OptionKeys<TrustRatioOptions> = { maximum: true };

/**
 * Return the transform `u ← u·min(‖θ‖, c)/‖u‖` of each parameter (You et al. 2020, LAMB, arXiv 1904.00962, algorithm 2), or u
 * itself where one of the norms is 0.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * chain(scaleByAdam(), addDecayedWeights(0.01), scaleByTrustRatio(), scaleByLearningRate(0.001));
 */
export function scaleByTrustRatio(options: TrustRatioOptions = {}): Transform {
  checkKeys('scaleByTrustRatio', options, keys);
  const maximum = checkedNumber('maximum', options.maximum ?? 10, { above: 0 });
  return ({ b }, updates) =>
    updates.map((update, _, parameter) => {
      const length = norm(b, update);
      return b.mul(update, ratioOr1(b, b.min(norm(b, parameter), maximum), length, length));
    });
}

/** Return the Euclidean norm, a scalar. */
export const norm = (b: Builder, x: Value): Value => b.sqrt(b.dot(x, x));

/** Return the quotient of scalars; 1 unless the numerator and another scalar are above 0. */
export const ratioOr1 = (b: Builder, numerator: Value, denominator: Value, other: Value): Value =>
  b.where(b.and(b.greater(numerator, 0), b.greater(other, 0)), b.div(numerator, denominator), 1);
