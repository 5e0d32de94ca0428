// Inverses of triangular matrices, by halves down to what one LU node inverts.
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { block, joinBlocks, orderOf } from './cholesky.js';

/** Largest order that is inverted by the runtime's LU decomposition. */
const largestLu = 128;

/**
 * Return the inverse of an upper triangular matrix, upper triangular.
 * @param matrix `[n, n]` or `[batch, n, n]`; if its diagonal has a 0, the inverse holds infinities or NaN
 * @throws GraphError for a value that is not a square matrix or a batch of them, of known sizes
 */
export function upperInverse(b: Builder, matrix: Value): Value {
  const order = orderOf(matrix);
  if (order <= largestLu) return b.op('com.microsoft.Inverse', [matrix]);
  const half = order >> 1;
  const leading = upperInverse(b, block(b, matrix, [0, half], [0, half]));
  const trailing = upperInverse(b, block(b, matrix, [half, order], [half, order]));
  // [A B; 0 C]⁻¹ = [A⁻¹ −A⁻¹·B·C⁻¹; 0 C⁻¹]
  const corner = b.neg(b.matmul(b.matmul(leading, block(b, matrix, [0, half], [half, order])), trailing));
  const zeros = b.filled([...matrix.dims.slice(0, -2), order - half, half], 0, matrix.dtype);
  return joinBlocks(b, leading, corner, zeros, trailing);
}
