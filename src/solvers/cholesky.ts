// The inverse of the Cholesky factor, by blocks: matrix products join halves, and a loop eliminates small blocks. There is
// no triangular solve: everything after the loop is a product of matrices.
import { GraphError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import { tensorFrom } from '../graph/tensor.js';
import type { Builder } from '../ops/builder.js';

/**
 * Largest order that is eliminated pivot by pivot. One pivot of one 32×32 block takes as long as an iteration of the loop
 * itself, 6 µs. In a batch the arithmetic dominates, and smaller blocks leave more of it to products of matrices.
 */
const blockOrder = (batch: number): number => (batch > 4 ? 16 : 32);

/**
 * Return L⁻¹, lower triangular, for A = L·Lᵀ. It is as stable as Cholesky's method up to a factor √κ(A) in theory, and as
 * LAPACK's inverse in measurements; recursion on A⁻¹ itself (Schur complements of inverses) is not.
 * @param matrix A, `[n, n]` or `[batch, n, n]`, symmetric positive definite. If A is not numerically positive definite, the
 *   result holds NaN or infinities.
 * @returns L⁻¹, shaped as A
 * @throws GraphError for a value that is not a square matrix or a batch of them, of known sizes
 */
export function inverseCholeskyFactor(b: Builder, matrix: Value): Value {
  const order = orderOf(matrix);
  if (order <= blockOrder(matrix.rank === 3 ? (matrix.dims[0] ?? 1) : 1)) return eliminate(b, matrix, order);
  const half = order >> 1;
  const leading = inverseCholeskyFactor(b, block(b, matrix, [0, half], [0, half]));
  // With L = [L₁ 0; B L₂]: B = A₂₁·L₁⁻ᵀ and L₂·L₂ᵀ = A₂₂ − B·Bᵀ
  const below = b.gemm(block(b, matrix, [half, order], [0, half]), leading, undefined, { transposeY: true });
  const square = block(b, matrix, [half, order], [half, order]);
  const complement = b.gemm(below, below, square, { transposeY: true, alpha: -1 });
  const trailing = inverseCholeskyFactor(b, complement);
  // L⁻¹ = [L₁⁻¹ 0; −L₂⁻¹·B·L₁⁻¹ L₂⁻¹]
  const corner = b.neg(b.matmul(trailing, b.matmul(below, leading)));
  const zeros = b.filled([...matrix.dims.slice(0, -2), half, order - half], 0, matrix.dtype);
  return joinBlocks(b, leading, zeros, corner, trailing);
}

/**
 * Gaussian elimination of [A | I] without row exchanges: A = M·D·Mᵀ with a unit lower triangular M becomes [D·Mᵀ | M⁻¹],
 * and L⁻¹ = D^(−½)·M⁻¹.
 */
function eliminate(b: Builder, matrix: Value, order: number): Value {
  const { dtype, rank } = matrix;
  if (order === 1) return b.reciprocal(b.sqrt(matrix));
  const identity = b.constant(
    tensorFrom(
      dtype,
      [order, order],
      squareOf(order, (row, column) => row === column),
    ),
  );
  const strictlyLower = b.constant(
    tensorFrom(
      dtype,
      [order, order],
      squareOf(order, (row, column) => row > column),
    ),
  );
  const positions = b.constant(
    tensorFrom(
      'int64',
      [order, 1],
      Array.from({ length: order }, (_, i) => i),
    ),
  );
  const augmented = b.concat([matrix, b.expandLike(identity, matrix)], rank - 1);
  const eliminated = b.loop(order, { rows: augmented }, (inner, iteration, { rows }) => {
    const pivot = inner.gather(positions, iteration); // [1], so that the gathered rows and columns stay matrices
    const pivotRow = inner.gather(rows, pivot, rank - 2);
    const scaledRow = inner.div(pivotRow, inner.gather(pivotRow, pivot, rank - 1));
    const columnBelow = inner.mul(inner.gather(rows, pivot, rank - 1), inner.gather(strictlyLower, pivot, 1));
    const remaining =
      rank === 2
        ? inner.gemm(columnBelow, scaledRow, rows, { alpha: -1 })
        : inner.sub(rows, inner.mul(columnBelow, scaledRow));
    return { rows: remaining };
  }).rows;
  const upper = b.slice(eliminated, rank - 1, 0, order);
  const pivots = b.sum(b.mul(upper, identity), [rank - 1], true);
  return b.div(b.slice(eliminated, rank - 1, order, 2 * order), b.sqrt(pivots));
}

/** Return the order n of a square matrix or of a batch of them. */
export function orderOf(matrix: Value): number {
  const [rows, columns] = matrix.dims.slice(-2);
  if ((matrix.rank !== 2 && matrix.rank !== 3) || rows === undefined || rows !== columns || rows === 0) {
    throw new GraphError(
      `'${matrix.name}' has the shape [${matrix.shape.join(', ')}]; expected square matrices, [n, n] or [batch, n, n]`,
    );
  }
  return rows;
}

/** Return rows and columns from … to (exclusive) of a matrix or of each matrix of a batch. */
export function block(
  b: Builder,
  matrix: Value,
  rows: readonly [number, number],
  columns: readonly [number, number],
): Value {
  const starts = b.integers([rows[0], columns[0]]);
  const ends = b.integers([rows[1], columns[1]]);
  return b.op('Slice', [matrix, starts, ends, b.integers([matrix.rank - 2, matrix.rank - 1])]);
}

/** Return [topLeft topRight; bottomLeft bottomRight]. */
export function joinBlocks(b: Builder, topLeft: Value, topRight: Value, bottomLeft: Value, bottomRight: Value): Value {
  const [rows, columns] = [topLeft.rank - 2, topLeft.rank - 1];
  return b.concat([b.concat([topLeft, topRight], columns), b.concat([bottomLeft, bottomRight], columns)], rows);
}

const squareOf = (order: number, is: (row: number, column: number) => boolean): number[] =>
  Array.from({ length: order * order }, (_, i) => Number(is(Math.floor(i / order), i % order)));
