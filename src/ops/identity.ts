// Identity matrices.
import type { Value } from '../graph/graph.js';
import { tensorFrom } from '../graph/tensor.js';
import type { Builder } from './builder.js';

/** Largest order of an identity that is a constant of the program; larger ones are computed. */
const largestConstant = 512;

/** Return the identity matrix of the order and element type of a square matrix, or of the matrices of a batch. */
export function identityLike(b: Builder, matrix: Value): Value {
  const order = matrix.dims.at(-1) ?? 1;
  if (order > largestConstant)
    return b.op('EyeLike', [matrix.rank === 2 ? matrix : b.filled([order, order], 0, matrix.dtype)]);
  return b.pooled(`identity.${matrix.dtype}.${order}`, () => {
    const elements = new Float64Array(order * order);
    for (let i = 0; i < order; i++) elements[i * (order + 1)] = 1;
    return tensorFrom(matrix.dtype, [order, order], elements);
  });
}
