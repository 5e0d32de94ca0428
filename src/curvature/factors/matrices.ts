// Small matrix helpers of the curvature code: traces, sums of products, stacks.
import type { Value } from '../../graph/graph.js';
import { tensorFrom } from '../../graph/tensor.js';
import type { Builder } from '../../ops/builder.js';
import { identityLike } from '../../ops/identity.js';

/**
 * Return the trace of a square matrix, a scalar, or of each matrix of a batch, `[batch, 1, 1]`. A single matrix's diagonal is
 * gathered: a pass over all elements would cost as much as a copy.
 */
export const traceOf = (b: Builder, matrix: Value): Value =>
  matrix.rank === 3 ? b.sum(diagonalOf(b, matrix), [1, 2], true) : b.sum(diagonalOf(b, matrix));

/** Return the diagonal of a matrix, `[order]`; of the matrices of a batch as matrices that are zero elsewhere. */
export function diagonalOf(b: Builder, matrix: Value): Value {
  if (matrix.rank === 3) return b.mul(matrix, identityLike(b, matrix));
  const order = matrix.dims[0] ?? 1;
  const diagonal = b.pooled(`diagonal.${order}`, () =>
    tensorFrom(
      'int64',
      [order, 2],
      Array.from({ length: 2 * order }, (_, i) => i >> 1),
    ),
  );
  return b.op('GatherND', [matrix, diagonal]);
}

/** Return the sum of products of two matrices' elements, a scalar; of each pair of two batches, `[batch, 1, 1]`. */
export const elementDot = (b: Builder, x: Value, y: Value): Value =>
  x.rank === 3 ? b.sum(b.mul(x, y), [1, 2], true) : b.dot(x, y);

/** Return the sum of a value that is one number, or one number for each matrix of a batch. */
export const total = (b: Builder, x: Value): Value => (x.rank === 0 ? x : b.sum(x));

/** Return matrices of equal shape, and batches of such, as one batch `[count, rows, columns]`. */
export const stack = (b: Builder, matrices: readonly Value[]): Value =>
  b.concat(
    matrices.map((matrix) => (matrix.rank === 2 ? b.unsqueeze(matrix, [0]) : matrix)),
    0,
  );

/** Return the part of a stacked batch that belongs to one of the matrices that `stack` was given. */
export function unstack(b: Builder, stacked: Value, matrices: readonly Value[], index: number): Value {
  const countOf = (matrix: Value | undefined) => (matrix?.rank === 3 ? (matrix.dims[0] ?? 1) : 1);
  const from = matrices.slice(0, index).reduce((sum, matrix) => sum + countOf(matrix), 0);
  const part = b.slice(stacked, 0, from, from + countOf(matrices[index]));
  return matrices[index]?.rank === 3 ? part : b.squeeze(part, [0]);
}

/** Return a number of a block once for each of its matrices: `[matrices, 1, 1]`, from a scalar or from `[groups, 1, 1]`. */
export const numbersFor = (b: Builder, number: Value, { rank, dims: [matrices = 1] }: Value): Value =>
  number.rank === 0 && rank === 3
    ? b.op('Expand', [number, b.integers([matrices, 1, 1])])
    : b.reshape(number, [rank === 3 ? matrices : 1, 1, 1]);

/** Return a number that `unstack` gave for a block as the block has it: a scalar, or `[groups, 1, 1]`. */
export const numberOfOne = (b: Builder, number: Value): Value => (number.rank === 3 ? number : b.reshape(number, []));
