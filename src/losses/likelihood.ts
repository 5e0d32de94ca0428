// The likelihood that second-order steps work with: that of the loss, and where it has a variance, in units of that.
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import type { Loss } from './loss.js';

/** What curvature asks of a loss: the likelihood as a function of the network's output. */
export type OutputLikelihood = Pick<
  Loss,
  'cases' | 'noise' | 'sampledCotangent' | 'cotangent' | 'hessianProduct' | 'hessianRoot'
>;

export interface Likelihood extends OutputLikelihood {
  /** The factor from the loss to the mean negative log-likelihood of one example, a scalar. */
  weight(output: Value): Value;
}

/** The likelihood of unit variance, where there is one at all. */
export const unitLikelihood = (b: Builder, loss: Loss): Likelihood => ({
  ...loss,
  weight: (output) => b.scalar(loss.scale(output), output.dtype),
});

/**
 * The likelihood of a given variance σ²: of N(z, σ²) the negative log-likelihood is ½(z − y)²/σ². Its gradient is 1/σ² and
 * its Fisher information 1/σ² that of unit variance, so that damping and lengths do not depend on the units of the targets.
 * @param variance a scalar, above 0
 */
export function likelihoodOfVariance(b: Builder, loss: Loss, variance: Value): Likelihood {
  const precision = b.reciprocal(variance);
  const rootPrecision = b.reciprocal(b.sqrt(variance));
  return {
    ...loss,
    weight: (output) => b.mul(precision, loss.scale(output)),
    sampledCotangent: (at, output, noise) => at.mul(loss.sampledCotangent(at, output, noise), rootPrecision),
    cotangent: (at, output, targets) => at.mul(loss.cotangent(at, output, targets), precision),
    hessianProduct: (at, output, vector) => at.mul(loss.hessianProduct(at, output, vector), precision),
    hessianRoot: (at, output) => loss.hessianRoot(at, output).map((column) => at.mul(column, rootPrecision)),
  };
}
