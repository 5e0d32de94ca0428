// The contract of a metric: sums in the program or collected rows, and the number computed from them on a whole set.
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';

/** A batch with the model's outputs: the input of a metric. */
export interface EvaluatedBatch {
  /** The model's first output, in the units of the data. */
  readonly prediction: Value;
  /** The input of the loss: logits with the classes on the last axis if the network ends in the activation that the loss contains. */
  readonly output: Value;
  /**
   * The expected targets, in the units of the data: probabilities of the classes along the last axis, probabilities of 1, or
   * numbers.
   */
  readonly expected: Value;
  /** The targets in the units of the data: labels in the shape of `expected` without the axis of the classes, else in its shape. */
  readonly given: Value;
  /** Labels of classes, or probabilities of them; or numbers, which can be 0 and 1. */
  readonly kind: 'labels' | 'values';
  /** Weights of the examples, `[batch]`; all are 1 if left out. */
  readonly weights?: Value | undefined;
  /** The label of rows that do not count, if the loss ignores one. */
  readonly ignored?: number | undefined;
  /** The mean loss in the units of the data, a scalar. */
  readonly reported: Value;
}

/** Elements of tensors, flattened, by name. */
export type Numbers = Readonly<Record<string, ArrayLike<number>>>;

/**
 * A figure that evaluates a model on a set of examples, exact for any batches of the set. It is computed from sums over the
 * examples, of fixed shapes, which the program adds up in each batch; or, if sums do not suffice (ranks, medians), from rows
 * of each example, which are collected over the set.
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
  /** Return sums over the examples of a batch, weighted if there are weights; as numbers if they are known without running it. */
  sums?(b: Builder, batch: EvaluatedBatch): Readonly<Record<string, Value | number>>;
  /** Return tensors whose first axis is that of the examples, or of rows of them. */
  rows?(b: Builder, batch: EvaluatedBatch): Readonly<Record<string, Value>>;
  /** Return the figure from the sums over all batches and the collected rows in the order of the examples. */
  value(numbers: Numbers): number;
  /** Return a table behind the figure, row by row, such as the counts of a confusion matrix. */
  table?(numbers: Numbers): readonly (readonly number[])[];
}
