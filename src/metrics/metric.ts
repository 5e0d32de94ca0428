// The contract of a metric: sums in the program, or rows that it collects, and the number that they come to on a whole set.
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';

/** What a metric sees of a batch. */
export interface EvaluatedBatch {
  /** The model's own first output, in the units of the data. */
  readonly prediction: Value;
  /** What the loss sees: logits with the classes on the last axis, where the network ends in the activation that it contains. */
  readonly output: Value;
  /**
   * What the model expects of the targets, in the units of the data: probabilities of the classes along the last axis,
   * probabilities of 1, or numbers.
   */
  readonly expected: Value;
  /** The targets in the units of the data, arranged as `expected`: labels without the axis of the classes, else in its shape. */
  readonly given: Value;
  /** Labels of classes, which may be given as their probabilities; or numbers, which may be 0 and 1. */
  readonly kind: 'labels' | 'values';
  /** Weights of the examples, `[batch]`; all count alike where left out. */
  readonly weights?: Value | undefined;
  /** The label of rows that do not count, where the loss ignores one. */
  readonly ignored?: number | undefined;
  /** The loss that a person sees, a scalar: its mean in the units of the data. */
  readonly reported: Value;
}

/** Elements of tensors, flattened, by name. */
export type Numbers = Readonly<Record<string, ArrayLike<number>>>;

/**
 * A figure by which a person judges a model on a set of examples: exact however the set is cut into batches. It is
 * computed from sums over the examples, of fixed shapes, which the program adds up in each batch; or, where no sums
 * suffice (ranks, medians), from rows of each example, which are collected over the set.
 * @example
 * const bias: Metric = {
 *   name: 'bias',
 *   lowerIsBetter: true,
 *   sums: (b, { expected, given }) => ({ error: b.sum(b.sub(expected, given)), count: b.sum(b.onesLike(given)) }),
 *   value: ({ error, count }) => Math.abs(error[0] / count[0]),
 * };
 */
export interface Metric {
  /** A name in camel case, unique in a run: the key of its value in records, e.g. `squaredError`. */
  readonly name: string;
  readonly lowerIsBetter: boolean;
  /** Sums over the examples of a batch, weighted if there are weights; numbers are known before the program runs. */
  sums?(b: Builder, batch: EvaluatedBatch): Readonly<Record<string, Value | number>>;
  /** Tensors whose first axis is that of the examples, or of whatever rows there are. */
  rows?(b: Builder, batch: EvaluatedBatch): Readonly<Record<string, Value>>;
  /** The figure: of the sums over all batches, and of the collected rows in the order of the examples. */
  value(numbers: Numbers): number;
  /** What there is to see behind the figure, row by row: counts of a confusion matrix. */
  table?(numbers: Numbers): readonly (readonly number[])[];
}
