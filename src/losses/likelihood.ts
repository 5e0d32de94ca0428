// The likelihood that second-order steps work with: that of the loss, its cases weighted, in units of its variance if it
// has one; and what stands for it in losses that have none.
import { gradients } from '../autodiff/gradients.js';
import type { Value } from '../graph/graph.js';
import { alongBatch } from '../metrics/sums.js';
import type { Builder } from '../ops/builder.js';
import { examplesOf } from './elements.js';
import type { Loss, LossLikelihood } from './loss.js';
import { quotient } from './reduction.js';

/** Outputs of the network with the targets that belong to them. */
export interface Cases {
  readonly output: Value;
  readonly targets: Value;
  /** Of the examples, `[batch]`. */
  readonly weights?: Value | undefined;
}

/** What curvature asks of a loss: the likelihood as a function of the network's output. */
export interface OutputLikelihood {
  /** Number of cases. */
  cases(output: Value): number;
  /** What sampling takes; none where there is nothing to sample from. */
  readonly noise?: LossLikelihood['noise'];
  /** For each case a cotangent of the output, whose covariance is the Fisher information; in the output's shape. */
  sampledCotangent?(b: Builder, at: Cases, noise: Value): Value;
  /** The same for the targets of the data: its second moment is the empirical Fisher information. */
  cotangent(b: Builder, at: Cases): Value;
  /** H·v for each case. */
  hessianProduct(b: Builder, at: Cases, vector: Value): Value;
  /** Columns s_k with Σ_k s_k·s_kᵀ = H for each case. */
  hessianRoot?(b: Builder, at: Cases): readonly Value[];
}

export interface Likelihood extends OutputLikelihood {
  /** The factor from the loss to the mean negative log-likelihood of one example, a scalar. */
  weight(output: Value): Value;
}

/** Cases that a mean over a batch is of: those of the likelihood, else the examples. */
export const casesOf = ({ likelihood }: Loss, output: Value): number => (likelihood?.cases ?? examplesOf)(output);

/** Weights of examples that have the mean 1, as they broadcast to the output; undefined where all count alike. */
export function caseWeightsOf(b: Builder, output: Value, weights: Value | undefined): Value | undefined {
  if (!weights) return undefined;
  const along = alongBatch(b, weights, output);
  return quotient(b, b.mul(along, examplesOf(output)), b.sum(along));
}

/** The likelihood of unit variance, where there is one at all. */
export function unitLikelihood(b: Builder, loss: Loss): Likelihood {
  const { likelihood } = loss;
  if (!likelihood) return empiricalLikelihood(b, loss);
  const { scale, cases, noise } = likelihood;
  const caseWeights = likelihood.caseWeights ?? ((at, output, _, weights) => caseWeightsOf(at, output, weights));
  const weighted = (at: Builder, { output, targets, weights }: Cases, value: Value, power: 'root' | 'whole'): Value => {
    const each = caseWeights(at, output, targets, weights);
    return each ? at.mul(value, power === 'root' ? at.sqrt(each) : each) : value;
  };
  return {
    cases,
    noise,
    weight: (output) => b.scalar(scale(output), output.dtype),
    sampledCotangent: (at, cases_, drawn) =>
      weighted(at, cases_, likelihood.sampledCotangent(at, cases_.output, drawn), 'root'),
    cotangent: (at, cases_) => weighted(at, cases_, likelihood.cotangent(at, cases_.output, cases_.targets), 'root'),
    hessianProduct: (at, cases_, vector) =>
      weighted(at, cases_, likelihood.hessianProduct(at, cases_.output, vector), 'whole'),
    hessianRoot: (at, cases_) =>
      likelihood.hessianRoot(at, cases_.output).map((column) => weighted(at, cases_, column, 'root')),
  };
}

/**
 * What stands for the likelihood of a loss that has none: the empirical Fisher information, of the derivatives of each
 * example's loss by its output, for the targets of the data. H·v = g·(gᵀv).
 */
function empiricalLikelihood(b: Builder, loss: Loss): Likelihood {
  const derivative = (at: Builder, { output, targets, weights }: Cases): Value => {
    const [gradient] = gradients(at, loss.value(at, output, targets), [output]) as [Value]; // one value, one gradient
    const each = caseWeightsOf(at, output, weights);
    const perExample = at.mul(gradient, examplesOf(output));
    return each ? at.mul(perExample, at.sqrt(each)) : perExample;
  };
  return {
    cases: examplesOf,
    weight: (output) => b.scalar(1, output.dtype),
    cotangent: derivative,
    hessianProduct(at, cases, vector) {
      const gradient = derivative(at, cases);
      const axes = Array.from({ length: gradient.rank - 1 }, (_, axis) => axis + 1);
      return at.mul(gradient, at.sum(at.mul(gradient, vector), axes, true));
    },
  };
}

/**
 * The likelihood of a given variance σ²: of N(z, σ²) the negative log-likelihood is ½(z − y)²/σ². Its gradient is 1/σ² and
 * its Fisher information 1/σ² that of unit variance, so that damping and lengths do not depend on the units of the targets.
 * @param variance a scalar, above 0
 */
export function likelihoodOfVariance(b: Builder, loss: Loss, variance: Value): Likelihood {
  const precision = b.reciprocal(variance);
  const rootPrecision = b.reciprocal(b.sqrt(variance));
  const { sampledCotangent, hessianRoot, ...unit } = unitLikelihood(b, loss);
  return {
    ...unit,
    weight: (output) => b.mul(precision, loss.likelihood?.scale(output) ?? 1),
    ...(sampledCotangent && {
      sampledCotangent: (at: Builder, cases: Cases, noise: Value) =>
        at.mul(sampledCotangent(at, cases, noise), rootPrecision),
    }),
    cotangent: (at, cases) => at.mul(unit.cotangent(at, cases), precision),
    hessianProduct: (at, cases, vector) => at.mul(unit.hessianProduct(at, cases, vector), precision),
    ...(hessianRoot && {
      hessianRoot: (at: Builder, cases: Cases) => hessianRoot(at, cases).map((column) => at.mul(column, rootPrecision)),
    }),
  };
}
