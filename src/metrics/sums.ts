// Sums over the examples of a batch, weighted if there are weights; and their quotients.
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import type { Judged } from './metric.js';

/** The first elements' quotient. */
export const ratio = (sum: ArrayLike<number> | undefined, weight: ArrayLike<number> | undefined): number =>
  (sum?.[0] ?? Number.NaN) / (weight?.[0] ?? Number.NaN);

/** The sum of all elements of `[batch, …]`, each example's times its weight. */
export const weightedSum = (b: Builder, values: Value, { weights }: Pick<Judged, 'weights'>): Value =>
  weights ? b.sum(b.mul(values, alongBatch(b, weights, values))) : b.sum(values);

/** The number of examples, or the sum of their weights. */
export const weightOf = (b: Builder, { prediction, weights }: Judged): Value | number =>
  weights ? b.sum(weights) : (prediction.dims[0] ?? 1);

/** Weights of the examples, `[batch]`, as `[batch, 1, …]`: they broadcast to another value of the batch. */
export const alongBatch = (b: Builder, weights: Value, other: Value): Value =>
  b.reshape(b.cast(weights, other.dtype), [weights.dims[0] ?? 1, ...other.dims.slice(1).map(() => 1)]);
