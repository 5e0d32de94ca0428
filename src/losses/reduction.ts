// Means of losses over all elements, weighted by example: Σw·l/Σw.
import type { Value } from '../graph/graph.js';
import { elementCount } from '../graph/tensor.js';
import { alongBatch } from '../metrics/sums.js';
import type { Builder } from '../ops/builder.js';

/** Lower bound on a sum of weights: if all are 0, the sum of losses is 0, and so is the mean. */
const least = 1e-30;

/**
 * Return the mean of all elements, a scalar; with weights the weighted mean of the examples' means, Σw·l/Σw, which is 0 if all
 * weights are 0.
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

/** Return the mean of each column, which is the last axis, weighted as by `weightedMean`. */
export function weightedColumns(b: Builder, values: Value, weights: Value | undefined): Value {
  const rows = Array.from({ length: values.rank - 1 }, (_, axis) => axis);
  if (!weights) return b.mean(values, rows);
  const spread = alongBatch(b, weights, values);
  const positions = elementCount(values.dims.slice(1, -1));
  return quotient(b, b.sum(b.mul(values, spread), rows), b.mul(b.sum(spread), positions));
}

/** Return a sum of weighted losses over the sum of the weights; 0 if all weights are 0. */
export const quotient = (b: Builder, sum: Value, weights: Value): Value =>
  b.div(sum, b.max(b.cast(weights, sum.dtype), least));
