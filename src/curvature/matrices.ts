// Small matrix helpers of the curvature code: identities, traces, stacks.
import type { Value } from '../graph/graph.js';
import { type DataType, tensorFrom } from '../graph/tensor.js';
import type { Builder } from '../ops/builder.js';

/** The identity matrix `[order, order]`. */
export function identityMatrix(b: Builder, order: number, dtype: DataType): Value {
  return b.pooled(`identity.${dtype}.${order}`, () => {
    const elements = Array.from({ length: order * order }, (_, i) => Number(i % (order + 1) === 0));
    return tensorFrom(dtype, [order, order], elements);
  });
}

/** Trace of a square matrix, a scalar. */
export const traceOf = (b: Builder, matrix: Value): Value =>
  b.sum(b.mul(matrix, identityMatrix(b, matrix.dims[0] ?? 1, matrix.dtype)));

/** Matrices of equal shape as one batch `[count, rows, columns]`. */
export const stack = (b: Builder, matrices: readonly Value[]): Value =>
  b.concat(
    matrices.map((matrix) => b.unsqueeze(matrix, [0])),
    0,
  );

/** One matrix of a batch. */
export const unstack = (b: Builder, stacked: Value, index: number): Value =>
  b.squeeze(b.slice(stacked, 0, index, index + 1), [0]);
