// Eigenbases that follow a matrix as it changes: one step of orthogonal iteration from the basis before, which costs a
// product and a QR decomposition, where a decomposition from scratch costs some hundred passes (symmetric-eigen.ts).
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { identityLike } from '../ops/identity.js';
import { orderOf } from './cholesky.js';
import { orthogonalFactor } from './qr.js';
import { descendingOrder, permuted, symmetricEigen } from './symmetric-eigen.js';

/** Next to A's largest element: what keeps the basis where A is 0. */
const ridge = 2 ** -40;

/**
 * Return the orthogonal factor of A·Q: one step of orthogonal iteration, whose fixed points are eigenbases. Column j nears the
 * j-th eigenvector by the quotient of neighbouring eigenvalues, so let the columns stand in the order of their Rayleigh
 * quotients (`rayleighQuotients`, `descendingOrder`). Signs follow those of Q. If A is 0, Q stays.
 * @param matrix A, symmetric positive semidefinite, `[n, n]` or `[batch, n, n]`
 * @param basis Q, orthogonal, shaped as A; columns are the vectors
 * @throws GraphError for a value that is not a square matrix or a batch of them, of known sizes
 */
export function orthogonalIteration(b: Builder, matrix: Value, basis: Value): Value {
  const [rows, columns] = [matrix.rank - 2, matrix.rank - 1];
  const scale = b.max(b.reduceMax(b.abs(matrix), [rows, columns], true), 2 ** -100);
  const image = b.matmul(b.div(matrix, scale), basis);
  return orthogonalFactor(b, b.add(image, b.mul(basis, ridge)));
}

/** Return the diagonal of QᵀAQ, the Rayleigh quotients of the columns of Q, `[n]` or `[batch, n]`. */
export const rayleighQuotients = (b: Builder, matrix: Value, basis: Value): Value =>
  b.sum(b.mul(basis, b.matmul(matrix, basis)), [matrix.rank - 2]);

/** Largest order that is decomposed at once: at order 128 Jacobi's rounds take as long as 30 steps of iteration, at 256 as 100. */
const largestDecomposed = 64;

/** Steps of orthogonal iteration instead. */
const firstSteps = 5;

/**
 * Return a first basis for `orthogonalIteration`: the eigenbasis up to order 64, and for larger matrices what five steps from
 * I give, which is near the leading eigenvectors.
 * @param matrix symmetric positive semidefinite, `[n, n]` or `[batch, n, n]`
 * @throws GraphError for a value that is not a square matrix or a batch of them, of known sizes
 */
export function firstEigenbasis(b: Builder, matrix: Value): Value {
  if (orderOf(matrix) <= largestDecomposed) return symmetricEigen(b, matrix).vectors;
  const start = { basis: b.expandLike(identityLike(b, matrix), matrix) };
  return b.loop(firstSteps, start, (inner, _, { basis }) => ({
    basis: orderedIteration(inner, matrix, basis).basis,
  })).basis;
}

/**
 * Put the columns of a basis in the order of their Rayleigh quotients and take a step of orthogonal iteration.
 * @returns the new basis, and which old column each new one comes from, `[n]` or `[batch, n]`
 */
export function orderedIteration(b: Builder, matrix: Value, basis: Value): { basis: Value; positions: Value } {
  const positions = descendingOrder(b, rayleighQuotients(b, matrix, basis));
  const ordered = permuted(b, basis, positions, basis.rank - 1);
  return { basis: orthogonalIteration(b, matrix, ordered), positions };
}
