// How losses average: over all elements, each example counting by its weight, Σw·l/Σw.
import type { Value } from '../graph/graph.js';
import { elementCount } from '../graph/tensor.js';
import { alongBatch } from '../metrics/sums.js';
import type { Builder } from '../ops/builder.js';

/** A sum of weights that is 0 divides a sum of losses that is 0: the mean is then 0. */
const least = 1e-30;

/**
 * The mean of all elements; with weights each example's mean, weighted: Σw·l/Σw, a scalar. Zero if all weights are zero.
 * @param values `[batch, …]`
 * @param weights `[batch]`
 * @example
 * const b = new Builder();
 * const errors = b.abs(b.input('errors', 'float32', [4, 2]));
 * const mean = weightedMean(b, errors, b.input('weights', 'float32', [4]));
 */
export function weightedMean(b: Builder, values: Value, weights: Value | undefined): Value {
  if (!weights) return b.mean(values);
  const example = Array.from({ length: values.rank - 1 }, (_, axis) => axis + 1);
  return quotient(b, b.dot(b.mean(values, example), b.cast(weights, values.dtype)), b.sum(weights));
}

/** The mean of each column, which is the last axis, weighted as above. */
export function weightedColumns(b: Builder, values: Value, weights: Value | undefined): Value {
  const rows = Array.from({ length: values.rank - 1 }, (_, axis) => axis);
  if (!weights) return b.mean(values, rows);
  const spread = alongBatch(b, weights, values);
  const positions = elementCount(values.dims.slice(1, -1));
  return quotient(b, b.sum(b.mul(values, spread), rows), b.mul(b.sum(spread), positions));
}

/** A sum of weighted losses over the sum of the weights; 0 if there are none. */
export const quotient = (b: Builder, sum: Value, weights: Value): Value =>
  b.div(sum, b.max(b.cast(weights, sum.dtype), least));
