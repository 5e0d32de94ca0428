// Weighted sums over a batch, and their quotients.
import type { Value } from '../graph/graph.js';
import { elementCount } from '../graph/tensor.js';
import type { Builder } from '../ops/builder.js';
import type { Numbers } from './metric.js';

/** A sum and its divisor: their quotient is the mean. */
export type WeightedSum = Readonly<Record<'sum' | 'weight', Value | number>>;

/**
 * Return the sum of all elements and their number; with weights, which broadcast to the values, both weighted.
 * @param per number of elements that count as one
 * @example
 * const within1: Metric = {
 *   name: 'within1',
 *   lowerIsBetter: false,
 *   sums: (b, { expected, given }) => sumOver(b, b.cast(b.less(b.abs(b.sub(expected, given)), 1), 'float32')),
 *   value: ratio,
 * };
 */
export function sumOver(b: Builder, values: Value, weights?: Value, per = 1): WeightedSum {
  const count = elementCount(values.dims) / per;
  if (!weights) return { sum: b.sum(values), weight: count };
  const along = b.cast(weights, values.dtype);
  return { sum: b.sum(b.mul(values, along)), weight: b.mul(b.sum(along), count / elementCount(along.dims)) };
}

/**
 * Return the mean from the sums over a whole set, which `sumOver` makes of each batch.
 * @example
 * console.log(ratio({ sum: [6], weight: [4] })); // 1.5
 */
export const ratio = ({ sum, weight }: Numbers): number => (sum?.[0] ?? Number.NaN) / (weight?.[0] ?? Number.NaN);

/** Return weights of the examples, `[batch]`, as `[batch, 1, …]`: they broadcast to another value of the batch. */
export const alongBatch = (b: Builder, weights: Value, other: Value): Value =>
  b.reshape(b.cast(weights, other.dtype), [weights.dims[0] ?? 1, ...other.dims.slice(1).map(() => 1)]);
