// Rows of classes, as the metrics of classifiers see them: labels, answers and weights, whatever axes a batch has.
import { OptionError } from '../errors.js';
import { int, type Value } from '../graph/graph.js';
import { elementCount, isFloatingPoint } from '../graph/tensor.js';
import type { Builder } from '../ops/builder.js';
import type { EvaluatedBatch } from './metric.js';

/** Labels with the model's answers, a row each. */
export interface ClassRows {
  readonly classes: number;
  /** `[rows]` int64. */
  readonly labels: Value;
  /** `[rows, classes]`: the output of the network, and what it expects. */
  readonly scores: Value;
  readonly expected: Value;
  /** `[rows]`: weights of the examples, 0 of ignored rows; undefined where all count alike. */
  readonly weights: Value | undefined;
}

/** @throws OptionError if the targets are no labels */
export function classRows(
  b: Builder,
  metric: string,
  { kind, output, expected, given, ignored, weights }: EvaluatedBatch,
): ClassRows {
  if (kind !== 'labels') {
    throw new OptionError(
      `the metric ${metric} is for labels of classes, and the targets are numbers: give a loss of labels, or another metric`,
    );
  }
  const classes = output.dims.at(-1) ?? 1;
  const dims = output.dims.slice(0, -1);
  const rows = elementCount(dims);
  const labels = b.reshape(labelsOf(b, given), [rows]);
  const kept =
    ignored === undefined || isFloatingPoint(given.dtype)
      ? undefined
      : b.sub(1, b.cast(b.equal(labels, b.scalar(ignored, 'int64')), 'float32'));
  const own = weights && b.reshape(spreadOver(b, weights, dims), [rows]);
  return {
    classes,
    labels,
    scores: b.reshape(output, [rows, classes]),
    expected: b.reshape(expected, [rows, classes]),
    weights: own && kept ? b.mul(own, kept) : (own ?? kept),
  };
}

/** Targets of 0 and 1 (or −1 and 1) with the model's answers: `[rows, columns]`, the last axis being the columns. */
export interface BinaryRows {
  readonly columns: number;
  readonly isTrue: Value;
  readonly isPredicted: Value;
  readonly scores: Value;
  /** `[rows, 1]` */
  readonly weights: Value | undefined;
  /** The number of targets that are none of −1, 0 and 1: see `checkBinary`. */
  readonly between: Value;
}

/** The model's answer is what it expects on the side of ½. */
export function binaryRows(b: Builder, { output, expected, given, weights }: EvaluatedBatch): BinaryRows {
  const columns = given.rank > 1 ? (given.dims.at(-1) ?? 1) : 1;
  const rows = elementCount(given.dims) / columns;
  const matrix = (x: Value): Value => b.reshape(x, [rows, columns]);
  const dims = given.rank > 1 ? given.dims.slice(0, -1) : given.dims;
  const size = b.abs(given);
  const isExtreme = b.cast(b.equal(b.mul(size, b.sub(size, 1)), 0), 'float32');
  return {
    columns,
    isTrue: b.cast(matrix(b.greater(given, 0.5)), 'float32'),
    isPredicted: b.cast(matrix(b.greater(expected, 0.5)), 'float32'),
    scores: matrix(output),
    weights: weights && b.reshape(spreadOver(b, weights, dims), [rows, 1]),
    between: b.sub(elementCount(given.dims), b.sum(isExtreme)),
  };
}

/** @throws OptionError if there were other targets than 0 and 1 */
export function checkBinary(metric: string, between: ArrayLike<number> | undefined): void {
  if ((between?.[0] ?? 0) === 0) return;
  throw new OptionError(
    `the metric ${metric} is for labels or for targets of 0 and 1, and ${between?.[0]} targets are other numbers: choose a metric of numbers, such as mae()`,
  );
}

/** @throws OptionError if the targets are labels */
export function checkNumbers(metric: string, { kind }: EvaluatedBatch): void {
  if (kind === 'values') return;
  throw new OptionError(
    `the metric ${metric} is of numbers, and the targets are labels of classes: choose one of classes, such as accuracy()`,
  );
}

/** The position of the largest element along the last axis. */
export const largest = (b: Builder, x: Value): Value => b.op('ArgMax', [x], { axis: int(-1), keepdims: int(0) });

/** The labels as int64; of probabilities of classes the largest. */
export const labelsOf = (b: Builder, given: Value): Value =>
  isFloatingPoint(given.dtype) ? largest(b, given) : b.cast(given, 'int64');

/** `[rows, classes]`: 1 at each label, 0 elsewhere; only zeros of a label outside. */
export const indicators = (b: Builder, labels: Value, classes: number): Value =>
  b.cast(b.equal(b.unsqueeze(labels, [1]), b.integers(Array.from({ length: classes }, (_, i) => i))), 'float32');

/** Weights of the examples, `[batch]`, repeated for the positions of each. */
const spreadOver = (b: Builder, weights: Value, dims: readonly number[]): Value => {
  const along = b.reshape(b.cast(weights, 'float32'), [dims[0] ?? 1, ...dims.slice(1).map(() => 1)]);
  return dims.length === 1 ? along : b.mul(b.filled(dims, 1, 'float32'), along);
};
