// Inverses of symmetric positive definite matrices: one LU node for small ones, Cholesky by blocks for large ones.
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { block, inverseCholeskyFactor, joinBlocks, orderOf } from './cholesky.js';

/**
 * Largest order at which the runtime's LU inverse (one node, one thread for each matrix of a batch) is faster, by processor
 * time on one thread: the loop over pivots takes its time once a batch, the arithmetic once a matrix. Measured: between 256 and
 * 320 for one matrix, 192 and 256 for two, 160 and 192 for four, 129 and 160 for 14, 64 and 128 for 30.
 */
const largestLu = (batch: number): number => 270 / batch ** 0.27;

/** Largest order at which a Gram matrix is one product: halving saves arithmetic, but here the calls would take longer. */
const smallestHalved = 128;

/**
 * Return the inverse of a symmetric positive definite matrix, or of each matrix of a batch. Its residual is that of LAPACK's
 * Cholesky inverse, also for a matrix of low rank plus a little damping. `benchmarks/solvers.ts` times it.
 * @param matrix `[n, n]` or `[batch, n, n]`, float32 or float64; the caller adds the damping that makes it positive definite
 * @returns the inverse, shaped as the matrix, symmetric up to rounding. It holds NaN, infinities or arbitrary numbers if the
 *   matrix is not numerically positive definite.
 * @throws GraphError for a value that is not a square matrix or a batch of them, of known sizes
 */
export function spdInverse(b: Builder, matrix: Value): Value {
  if (orderOf(matrix) <= largestLu(matrix.rank === 3 ? (matrix.dims[0] ?? 1) : 1))
    return b.op('com.microsoft.Inverse', [matrix]);
  return gramOfTriangle(b, inverseCholeskyFactor(b, matrix));
}

/** Return YᵀY for a lower triangular Y, by halves: a third of the multiplications of the plain product. A⁻¹ is L⁻ᵀ·L⁻¹. */
export function gramOfTriangle(b: Builder, triangle: Value): Value {
  const order = orderOf(triangle);
  if (order <= smallestHalved) return b.gemm(triangle, triangle, undefined, { transposeX: true });
  const half = order >> 1;
  const corner = block(b, triangle, [half, order], [0, half]);
  const trailing = block(b, triangle, [half, order], [half, order]);
  // [Y₁ᵀY₁ + Y₂₁ᵀY₂₁, (Y₂ᵀY₂₁)ᵀ; Y₂ᵀY₂₁, Y₂ᵀY₂]
  const leading = gramOfTriangle(b, block(b, triangle, [0, half], [0, half]));
  const below = b.gemm(trailing, corner, undefined, { transposeX: true });
  const sum = b.gemm(corner, corner, leading, { transposeX: true });
  return joinBlocks(b, sum, b.transposeMatrices(below), below, gramOfTriangle(b, trailing));
}
