// Rows of labels, predictions and weights for the metrics of classifiers, from batches with any axes.
import { OptionError } from '../errors.js';
import { int, type Value } from '../graph/graph.js';
import { elementCount, isFloatingPoint } from '../graph/tensor.js';
import type { Builder } from '../ops/builder.js';
import type { EvaluatedBatch, Numbers } from './metric.js';

/** Labels with the model's predictions, a row each. */
export interface ClassRows {
  readonly classes: number;
  /** `[rows]` int64. */
  readonly labels: Value;
  /** Logits, `[rows, classes]`. */
  readonly scores: Value;
  /** Probabilities, `[rows, classes]`. */
  readonly expected: Value;
  /** Weights, `[rows]`, 0 for ignored rows; undefined if all are 1. */
  readonly weights: Value | undefined;
}

/**
 * Return the rows of a batch of labels.
 * @throws OptionError if the targets are no labels
 */
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

/** Targets of 0 and 1 (or −1 and 1) with the model's predictions, `[rows, columns]`: the last axis has the columns. */
export interface BinaryRows {
  readonly columns: number;
  readonly isTrue: Value;
  readonly isPredicted: Value;
  readonly scores: Value;
  /** `[rows, 1]` */
  readonly weights: Value | undefined;
}

/** Return the rows of a batch of targets 0 and 1. The model predicts 1 if it expects more than ½. */
export function binaryRows(b: Builder, { output, expected, given, weights }: EvaluatedBatch): BinaryRows {
  const columns = given.rank > 1 ? (given.dims.at(-1) ?? 1) : 1;
  const rows = elementCount(given.dims) / columns;
  const matrix = (x: Value): Value => b.reshape(x, [rows, columns]);
  const dims = given.rank > 1 ? given.dims.slice(0, -1) : given.dims;
  return {
    columns,
    isTrue: b.cast(matrix(b.greater(given, 0.5)), 'float32'),
    isPredicted: b.cast(matrix(b.greater(expected, 0.5)), 'float32'),
    scores: matrix(output),
    weights: weights && b.reshape(spreadOver(b, weights, dims), [rows, 1]),
  };
}

/** Return what `checkBinary` decides by: the number of targets other than −1, 0 and 1. Labels need no check. */
export function binaryChecks(b: Builder, { kind, given }: EvaluatedBatch): Record<string, Value> {
  if (kind === 'labels') return {};
  const size = b.abs(given);
  const isExtreme = b.cast(b.equal(b.mul(size, b.sub(size, 1)), 0), 'float32');
  return { between: b.sub(elementCount(given.dims), b.sum(isExtreme)) };
}

/** @throws OptionError if there are targets other than 0 and 1 */
export function checkBinary(metric: string, { between }: Numbers): void {
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

/** Return the position of the largest element along the last axis. */
export const largest = (b: Builder, x: Value): Value => b.op('ArgMax', [x], { axis: int(-1), keepdims: int(0) });

/** Return the labels as int64; for probabilities of classes, the class of the largest. */
export const labelsOf = (b: Builder, given: Value): Value =>
  isFloatingPoint(given.dtype) ? largest(b, given) : b.cast(given, 'int64');

/** Return `[rows, classes]`: 1 at each label, 0 elsewhere; a row of zeros for a label outside the classes. */
export const indicators = (b: Builder, labels: Value, classes: number): Value =>
  b.cast(b.equal(b.unsqueeze(labels, [1]), b.integers(Array.from({ length: classes }, (_, i) => i))), 'float32');

/** Weights of the examples, `[batch]`, repeated for the positions of each. */
const spreadOver = (b: Builder, weights: Value, dims: readonly number[]): Value => {
  const along = b.reshape(b.cast(weights, 'float32'), [dims[0] ?? 1, ...dims.slice(1).map(() => 1)]);
  return dims.length === 1 ? along : b.mul(b.filled(dims, 1, 'float32'), along);
};
