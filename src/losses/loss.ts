// The contract of a loss: its value, its targets, and its likelihood if it has one.
import type { Shape, TensorType, Value } from '../graph/graph.js';
import type { DataType } from '../graph/tensor.js';
import type { Metric } from '../metrics/metric.js';
import type { Builder } from '../ops/builder.js';

/** The distribution of random numbers that a program gets in each step. */
export type Distribution = (typeof distributions)[number];

export const distributions = ['uniform', 'normal', 'sign'] as const;

/** Numbers that a loss takes as targets: those between two bounds, or a few that stand for classes. */
export interface TargetRange {
  readonly atLeast?: number;
  readonly atMost?: number;
  readonly only?: readonly number[];
}

/**
 * A function to minimize, with all properties in which losses differ. A loss without a likelihood trains with first-order
 * optimizers, and with second-order ones by the targets of the data.
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
  /** Its name in messages and reports, e.g. `softmax-cross-entropy`. */
  readonly name: string;
  /** Labels of classes, with a mean over rows; or numbers, with a mean over elements. */
  readonly targets: 'labels' | 'values';
  /** Whether it also takes probabilities of the classes, in the logits' shape, as targets. */
  readonly softTargets?: true;
  /** Of numbers, those that it takes as targets; others are refused before the first step. All if left out. */
  readonly targetRange?: TargetRange;
  /** Whether `value` can be negative; it is then no bound on the decrease that a step predicts. */
  readonly mayBeNegative?: true;
  /** The label of rows that do not count. */
  readonly ignoredLabel?: number;
  /**
   * Return the value that the loss is computed from: the input of the activation that the loss contains (softmax, sigmoid),
   * with the classes on the last axis. If left out, it is the prediction itself.
   * @param targets shape of the targets, if it is known
   */
  contained?(b: Builder, prediction: Value, targets?: Shape): Value;
  /** Return the expected targets of an output: probabilities of logits, rates of logarithms. If left out, the output itself. */
  expected?(b: Builder, output: Value): Value;
  /**
   * Return element type and shape of the targets for an output of the given type.
   * @param given element type of the given targets, for a loss that takes several
   */
  targetType(output: TensorType, given?: DataType): TensorType;
  /**
   * Return the mean loss, a scalar, reduced as by PyTorch's default: over rows of labels, over elements of numbers. With
   * weights it is Σw·l/Σw.
   * @param output the network's output, before a final softmax or sigmoid that the loss contains
   * @param weights of the examples, `[batch]`
   */
  value(b: Builder, output: Value, targets: Value, weights?: Value): Value;
  /**
   * Return the divisor of `value`, a scalar, which weights the means of batches when they are combined. If left out, it is the
   * number of examples, or the sum of their weights.
   */
  mass?(b: Builder, output: Value, targets: Value, weights?: Value): Value;
  /**
   * Return the loss of outputs and targets that are `deviation` times as large, a scalar, perhaps float64. A model can learn
   * standardized targets only if the loss has this formula.
   * @param deviation of all elements, `[1]`, or of each column, which is the last axis
   */
  inUnits?(b: Builder, output: Value, targets: Value, deviation: Value, weights?: Value): Value;
  /** The distribution whose negative log-likelihood the loss is; left out if there is none. */
  readonly likelihood?: LossLikelihood;
  /** The metric of evaluations by default. */
  readonly metric: Metric;
  /** The kind of second-order step by default (for tables it is self-tuning anyway). */
  readonly step: 'normalized' | 'self-tuning';
}

/**
 * The likelihood of a loss: `mean negative log-likelihood of a case = scale · value`, up to a constant. Its functions are of
 * one case of weight 1, in the output's shape; `caseWeights` are the weights of the cases.
 */
export interface LossLikelihood {
  /** Return the factor from `value` to the mean negative log-likelihood of one case. */
  scale(output: Value): number;
  /** Return the number of cases, the factors of the likelihood: examples, or rows of logits for sequences. */
  cases(output: Value): number;
  /** Whether the likelihood has a variance, which is 1 here; `value` is then its maximum-likelihood estimate. */
  readonly hasVariance?: true;
  /** Whether a case is one of several classes, of which the outputs are logits: the prior on weights is then wider. */
  readonly isCategorical?: true;
  /** The random numbers for sampling: their distribution, and their shape for a given output. */
  readonly noise: { readonly distribution: Distribution; shape(output: Value): readonly number[] };
  /**
   * Return the derivative of each case's negative log-likelihood by the output, with targets drawn from the model's
   * distribution: its mean is 0 and its covariance the Fisher information of the output.
   */
  sampledCotangent(b: Builder, output: Value, noise: Value): Value;
  /** Return the derivative of each case's negative log-likelihood by the output, for given targets. */
  cotangent(b: Builder, output: Value, targets: Value): Value;
  /**
   * Return H·v for each case, with the Hessian H of its negative log-likelihood by the output (the inner matrix of
   * Gauss–Newton). If the Hessian depends on the targets, H is its mean over the model's distribution.
   */
  hessianProduct(b: Builder, output: Value, vector: Value): Value;
  /**
   * Return the columns s_k of a square root of that Hessian, Σ_k s_k·s_kᵀ = H for each case: the exact Fisher matrix needs
   * one backward pass for each.
   */
  hessianRoot(b: Builder, output: Value): readonly Value[];
  /**
   * Return the weight of each case, e.g. by class: the mean negative log-likelihood is the mean of weight times that of the
   * case. It broadcasts to the output; with a diagonal Hessian each element can have its own. Undefined if all are 1.
   * @param weights of the examples, `[batch]`, which the result includes
   */
  caseWeights?(b: Builder, output: Value, targets: Value, weights?: Value): Value | undefined;
  /** Without weights of examples all cases count alike, whatever the targets are (`caseWeights` then is 1 but for rounding). */
  readonly casesAlike?: true;
}
