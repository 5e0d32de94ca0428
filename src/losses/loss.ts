// What a loss knows: its value, and the Fisher information of the distribution whose negative log-likelihood it is.
import type { TensorType, Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';

/** Random numbers a program takes as input each step. */
export type Distribution = 'uniform' | 'normal' | 'sign';

/**
 * A loss is a mean of negative log-likelihoods up to a constant factor: `mean NLL per example = scale · value`.
 * Second-order methods work with the likelihood, whose Hessian is the Fisher information; reports show `value`.
 */
export interface Loss {
  readonly name: LossName;
  /**
   * The mean loss, a scalar, reduced as PyTorch's default does.
   * @param output what the network computes, before the final softmax or sigmoid where the loss contains it
   */
  value(b: Builder, output: Value, targets: Value): Value;
  /** Element type and shape of the targets for an output of the given type. */
  targetType(output: TensorType): TensorType;
  /** The factor from `value` to the mean negative log-likelihood of one example (one row of logits, one example's elements). */
  scale(output: Value): number;
  /** Whether the likelihood has a variance, which is 1 here; `value` is then its maximum-likelihood estimate. */
  readonly hasVariance?: true;
  /** Number of cases the likelihood is a product over: examples, or rows of logits for sequences. */
  cases(output: Value): number;
  /** What random numbers sampling takes: their distribution, and their shape for a given output. */
  readonly noise: { readonly distribution: Distribution; shape(output: Value): readonly number[] };
  /**
   * Derivative of each case's negative log-likelihood by the output, with targets drawn from the model's own
   * distribution; in the output's shape. Its covariance is the Fisher information of the output.
   */
  sampledCotangent(b: Builder, output: Value, noise: Value): Value;
  /** Derivative of each case's negative log-likelihood by the output, for given targets; in the output's shape. */
  cotangent(b: Builder, output: Value, targets: Value): Value;
  /** H·v for each case, H being the Hessian of its negative log-likelihood by the output (Gauss–Newton's inner matrix). */
  hessianProduct(b: Builder, output: Value, vector: Value): Value;
  /**
   * Columns s_k of a square root of that Hessian, Σ_k s_k·s_kᵀ = H for each case, each in the output's shape: exact
   * curvature takes one backward pass for each.
   */
  hessianRoot(b: Builder, output: Value): readonly Value[];
}

export type LossName = 'softmax-cross-entropy' | 'sigmoid-cross-entropy' | 'mean-squared-error';
