// Small matrix helpers of the curvature code: identities, traces, stacks.
import type { Value } from '../../graph/graph.js';
import { tensorFrom } from '../../graph/tensor.js';
import type { Builder } from '../../ops/builder.js';

/** Largest order of an identity that the program holds as a constant; larger ones are made when they are used. */
const largestConstant = 512;

/** The identity matrix of a square matrix's order and element type. */
export function identityLike(b: Builder, matrix: Value): Value {
  const order = matrix.dims[0] ?? 1;
  if (order > largestConstant) return b.op('EyeLike', [matrix]);
  return b.pooled(`identity.${matrix.dtype}.${order}`, () => {
    const elements = new Float64Array(order * order);
    for (let i = 0; i < order; i++) elements[i * (order + 1)] = 1;
    return tensorFrom(matrix.dtype, [order, order], elements);
  });
}

/** Trace of a square matrix, a scalar: its diagonal is gathered, a pass over all elements would cost as much as a copy. */
export function traceOf(b: Builder, matrix: Value): Value {
  const order = matrix.dims[0] ?? 1;
  const diagonal = b.pooled(`diagonal.${order}`, () =>
    tensorFrom(
      'int64',
      [order, 2],
      Array.from({ length: 2 * order }, (_, i) => i >> 1),
    ),
  );
  return b.sum(b.op('GatherND', [matrix, diagonal]));
}

/** Matrices of equal shape as one batch `[count, rows, columns]`. */
export const stack = (b: Builder, matrices: readonly Value[]): Value =>
  b.concat(
    matrices.map((matrix) => b.unsqueeze(matrix, [0])),
    0,
  );

/** One matrix of a batch. */
export const unstack = (b: Builder, stacked: Value, index: number): Value =>
  b.squeeze(b.slice(stacked, 0, index, index + 1), [0]);
