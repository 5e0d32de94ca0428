// Accuracy: the share of right answers.
import { int, type Value } from '../graph/graph.js';
import { elementCount, isFloatingPoint } from '../graph/tensor.js';
import type { Builder } from '../ops/builder.js';
import type { Judged, Metric } from './metric.js';
import { ratio, weightedSum, weightOf } from './sums.js';

/** The position of the largest element along the last axis. */
export const largest = (b: Builder, x: Value): Value => b.op('ArgMax', [x], { axis: int(-1), keepdims: int(0) });

/** The labels as int64; of probabilities of classes the largest. */
export const labelsOf = (b: Builder, given: Value): Value =>
  isFloatingPoint(given.dtype) ? largest(b, given) : b.cast(given, 'int64');

/**
 * How much each row of labels counts, in the shape of the labels: the weight of its example, and 0 of rows that are
 * ignored. Undefined where all count alike.
 */
export function rowWeights(b: Builder, judged: Judged): Value | undefined {
  const { given, ignored, weights, output } = judged;
  const isLabels = !isFloatingPoint(given.dtype);
  const kept =
    ignored === undefined || !isLabels
      ? undefined
      : b.sub(1, b.cast(b.equal(b.cast(given, 'int64'), b.scalar(ignored, 'int64')), 'float32'));
  if (!weights) return kept;
  const dims = output.dims.slice(0, -1);
  const spread = b.mul(
    b.filled(dims, 1, 'float32'),
    b.reshape(b.cast(weights, 'float32'), [dims[0] ?? 1, ...dims.slice(1).map(() => 1)]),
  );
  return kept ? b.mul(spread, kept) : spread;
}

/**
 * The share of rows whose largest logit is the label's; of numbers 0 and 1, the share of elements on the right side of ½.
 * @example
 * await train(model, { data, metrics: [accuracy(), f1()], optimizer: cgfac(), epochs: 5 });
 */
export const accuracy = (): Metric => ({
  name: 'accuracy',
  lowerIsBetter: false,
  sums(b, judged) {
    const { kind, output, expected, given } = judged;
    if (kind === 'values') {
      const right = b.equal(b.greater(expected, 0.5), b.greater(given, 0.5));
      const count = elementCount(given.dims.slice(1));
      const weight = weightOf(b, judged);
      return {
        right: weightedSum(b, b.cast(right, 'float32'), judged),
        weight: typeof weight === 'number' ? weight * count : b.mul(weight, count),
      };
    }
    const right = b.cast(b.equal(largest(b, output), labelsOf(b, given)), 'float32');
    const weights = rowWeights(b, judged);
    if (!weights) return { right: b.sum(right), weight: elementCount(right.dims) };
    return { right: b.sum(b.mul(right, weights)), weight: b.sum(weights) };
  },
  value: ({ right, weight }) => ratio(right, weight),
});
