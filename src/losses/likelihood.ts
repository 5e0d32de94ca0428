// The likelihood in second-order steps: that of the loss, with weighted cases, in units of its variance if it has one; and a
// substitute for losses without a likelihood.
import { gradients } from '../autodiff/gradients.js';
import type { Value } from '../graph/graph.js';
import { alongBatch } from '../metrics/sums.js';
import type { Builder } from '../ops/builder.js';
import { examplesOf } from './elements.js';
import type { Loss, LossLikelihood } from './loss.js';
import { quotient } from './reduction.js';

/** Outputs of the network with their targets. */
export interface Cases {
  readonly output: Value;
  readonly targets: Value;
  /** Weights of the examples, `[batch]`. */
  readonly weights?: Value | undefined;
}

/** The part of a likelihood that curvature needs, as functions of the network's output. */
export interface OutputLikelihood {
  /** Number of cases. */
  cases(output: Value): number;
  /** The random numbers for sampling; left out if there is no distribution. */
  readonly noise?: LossLikelihood['noise'];
  /** Return a cotangent of the output, in its shape; the covariance of each case's is the Fisher information. */
  sampledCotangent?(b: Builder, at: Cases, noise: Value): Value;
  /** Return the same for the targets of the data: its second moment is the empirical Fisher information. */
  cotangent(b: Builder, at: Cases): Value;
  /** Return H·v for each case. */
  hessianProduct(b: Builder, at: Cases, vector: Value): Value;
  /** Return columns s_k with Σ_k s_k·s_kᵀ = H for each case. */
  hessianRoot?(b: Builder, at: Cases): readonly Value[];
}

export interface Likelihood extends OutputLikelihood {
  /** Return the factor from the loss to the mean negative log-likelihood of one example, a scalar. */
  weight(output: Value): Value;
}

/** Return the number of cases in a mean over a batch: those of the likelihood, else the examples. */
export const casesOf = ({ likelihood }: Loss, output: Value): number => (likelihood?.cases ?? examplesOf)(output);

/** Return the weights of the examples, scaled to the mean 1, in a shape that broadcasts to the output; undefined if all are 1. */
export function caseWeightsOf(b: Builder, output: Value, weights: Value | undefined): Value | undefined {
  if (!weights) return undefined;
  const along = alongBatch(b, weights, output);
  return quotient(b, b.mul(along, examplesOf(output)), b.sum(along));
}

/** Return the likelihood of a loss, with unit variance if it has one; the substitute if the loss has no likelihood. */
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
 * The substitute for the likelihood of a loss without one: the empirical Fisher information of the derivatives g of each
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
 * Return the likelihood with a given variance σ²: the negative log-likelihood of N(z, σ²) is ½(z − y)²/σ². Gradient and
 * Fisher information are those of unit variance, divided by σ²: damping and lengths of steps do not depend on the units of
 * the targets.
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
