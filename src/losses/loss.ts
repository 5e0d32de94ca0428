// The contract of a loss: its value, the targets that it takes, and the likelihood that it is, if it is one.
import type { Shape, TensorType, Value } from '../graph/graph.js';
import type { DataType } from '../graph/tensor.js';
import type { Metric } from '../metrics/metric.js';
import type { Builder } from '../ops/builder.js';

/** Random numbers a program takes as input each step. */
export type Distribution = (typeof distributions)[number];

export const distributions = ['uniform', 'normal', 'sign'] as const;

/**
 * What is minimized, and all that differs between one loss and another: nobody asks for a loss by its name. A loss
 * without a likelihood trains with first-order optimizers, and with second-order ones by the targets of the data.
 * @example
 * const logCosh: Loss = {
 *   name: 'log-cosh',
 *   targets: 'values',
 *   targetType: (output) => output,
 *   value: (b, output, targets, weights) => {
 *     const x = b.sub(output, targets);
 *     return weightedMean(b, b.add(x, b.log(b.div(b.add(1, b.exp(b.mul(x, -2))), 2))), weights);
 *   },
 *   metric: squaredError(),
 *   step: 'self-tuning',
 * };
 */
export interface Loss {
  /** In messages and reports, e.g. `softmax-cross-entropy`. */
  readonly name: string;
  /** Labels of classes, which it averages over rows; or numbers, which it averages over elements. */
  readonly targets: 'labels' | 'values';
  /** It takes labels, and probabilities of the classes in the logits' shape as well. */
  readonly softTargets?: true;
  /** Whether `value` can fall below 0; what steps promise is then not bounded by it. */
  readonly mayBeNegative?: true;
  /** The label of rows that do not count. */
  readonly ignoredLabel?: number;
  /**
   * What the loss is computed from: the value under the activation that it contains (softmax, sigmoid), with the classes
   * on the last axis; the prediction itself where left out.
   * @param targets shape of the targets, where it is known
   */
  contained?(b: Builder, prediction: Value, targets?: Shape): Value;
  /** The mean of the targets that an output stands for: probabilities of logits, rates of logarithms; itself where left out. */
  expected?(b: Builder, output: Value): Value;
  /**
   * Element type and shape of the targets for an output of the given type.
   * @param given element type of the targets that there are, where the loss takes several
   */
  targetType(output: TensorType, given?: DataType): TensorType;
  /**
   * The mean loss, a scalar, reduced as PyTorch's default does: over rows of labels, over elements of numbers. With weights
   * Σw·l/Σw.
   * @param output what the network computes, before the final softmax or sigmoid where the loss contains it
   * @param weights of the examples, `[batch]`
   */
  value(b: Builder, output: Value, targets: Value, weights?: Value): Value;
  /**
   * What `value` divides by, a scalar, where that depends on the targets: by it the means of batches are joined. The number
   * of examples, or the sum of their weights, where left out.
   */
  mass?(b: Builder, output: Value, targets: Value, weights?: Value): Value;
  /**
   * The loss of outputs and targets that are `deviation` times as large, a scalar, perhaps float64. Where there is such a
   * formula, a model can learn standardized targets.
   * @param deviation of all, `[1]`, or of each column, which is the last axis
   */
  inUnits?(b: Builder, output: Value, targets: Value, deviation: Value, weights?: Value): Value;
  /** The distribution whose negative log-likelihood the loss is; none where left out. */
  readonly likelihood?: LossLikelihood;
  /** What a person judges by, where no metric is named. */
  readonly metric: Metric;
  /** The kind of second-order step that is taken where none is named (tables take self-tuning ones anyway). */
  readonly step: 'normalized' | 'self-tuning';
}

/**
 * The likelihood of a loss: `mean negative log-likelihood of a case = scale · value`, up to a constant. Its functions are of
 * one case of weight 1, in the output's shape; `caseWeights` tells how much each case counts.
 */
export interface LossLikelihood {
  /** The factor from `value` to the mean negative log-likelihood of one case. */
  scale(output: Value): number;
  /** Number of cases the likelihood is a product over: examples, or rows of logits for sequences. */
  cases(output: Value): number;
  /** Whether the likelihood has a variance, which is 1 here; `value` is then its maximum-likelihood estimate. */
  readonly hasVariance?: true;
  /** What random numbers sampling takes: their distribution, and their shape for a given output. */
  readonly noise: { readonly distribution: Distribution; shape(output: Value): readonly number[] };
  /**
   * Derivative of each case's negative log-likelihood by the output, with targets drawn from the model's own distribution: its
   * mean is 0 and its covariance the Fisher information of the output.
   */
  sampledCotangent(b: Builder, output: Value, noise: Value): Value;
  /** Derivative of each case's negative log-likelihood by the output, for given targets. */
  cotangent(b: Builder, output: Value, targets: Value): Value;
  /**
   * H·v for each case, H being the Hessian of its negative log-likelihood by the output (Gauss–Newton's inner matrix); of
   * one that depends on the targets, its mean over the model's own.
   */
  hessianProduct(b: Builder, output: Value, vector: Value): Value;
  /**
   * Columns s_k of a square root of that Hessian, Σ_k s_k·s_kᵀ = H for each case: exact curvature takes one backward pass for
   * each.
   */
  hessianRoot(b: Builder, output: Value): readonly Value[];
  /**
   * How much each case counts, with targets that are weighted (by class, or not at all): the mean negative log-likelihood is
   * the mean of weight times that of the case. It broadcasts to the output; of diagonal Hessians each element may have one.
   * Undefined where all are 1.
   * @param weights of the examples, `[batch]`: this includes them
   */
  caseWeights?(b: Builder, output: Value, targets: Value, weights?: Value): Value | undefined;
}
