// Inverse p-th roots of symmetric positive definite matrices by products alone: the coupled iteration of Newton.

import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { identityLike } from '../ops/identity.js';
import { orderOf } from './cholesky.js';

/** Rounds until the iteration gives up; a condition of κ takes about log κ and 6 more. */
const largestRounds = 60;

/** Keeps the root of a zero matrix finite. */
const tiny = 2 ** -100;

/** The root of a matrix, or the roots of a batch. */
export interface InverseRoot {
  /** A^(−1/p), shaped as A. */
  readonly root: Value;
  /** The largest element of |H^p·A − I| as the iteration knows it, over the whole batch; a scalar. */
  readonly residual: Value;
}

/**
 * Return A^(−1/p) by M ← M̂^p·M and H ← H·M̂ with M̂ = ((p + 1)·I − M)/p, from multiples of A and I, until M is I (Guo & Higham
 * 2006, SIAM J. Matrix Anal. Appl. 28; Anil et al. 2020, arXiv 2002.09018). A round takes 2 + log₂ p
 * matrix products.
 * @param matrix A, symmetric positive semidefinite, `[n, n]` or `[batch, n, n]`
 * @param p a whole number above 0
 * @param ridge what is added to the diagonal as a share of ‖A‖∞, which bounds the largest eigenvalue: below 10⁻⁶ float32 may
 *   not converge if A is singular
 * @throws GraphError for a value that is not a square matrix or a batch of them, of known sizes
 */
export function inverseRoot(b: Builder, matrix: Value, p: number, ridge: number): InverseRoot {
  const order = orderOf(matrix);
  const [rows, columns] = [matrix.rank - 2, matrix.rank - 1];
  const bound = b.add(b.reduceMax(b.sum(b.abs(matrix), [columns], true), [rows], true), tiny);
  const identity = identityLike(b, matrix);
  const scaled = b.add(b.div(matrix, bound), b.mul(identity, ridge));
  const unscale = b.pow(bound, -1 / p);
  if (order === 1) {
    return { root: b.mul(b.pow(scaled, -1 / p), unscale), residual: b.scalar(0, matrix.dtype) };
  }
  const start = (1 + p) / (2 * (1 + ridge));
  const first = b.mul(scaled, start);
  const tolerance = matrix.dtype === 'float64' ? 1e-13 : 1e-6;
  const distance = (builder: Builder, m: Value) => builder.reduceMax(builder.abs(builder.sub(m, identity)));
  const { root, residual } = b.loop(
    largestRounds,
    { m: first, root: b.expandLike(b.mul(identity, start ** (1 / p)), matrix), residual: distance(b, first) },
    (inner, _, { m, root: old, residual: before }) => {
      // Not a multiple of a difference: the runtime would make its number, which float32 rounds, a part of the products.
      const factor = inner.sub(inner.mul(identity, 1 + 1 / p), inner.mul(m, 1 / p));
      const next = inner.matmul(powerOf(inner, factor, p), m);
      const now = distance(inner, next);
      // Near the end each residual is the square of the one before: one that is not smaller is rounding.
      const improves = inner.op('Or', [inner.greaterOrEqual(before, 0.5), inner.less(now, before)]);
      const again = inner.and(inner.greater(now, tolerance), improves);
      return { m: next, root: inner.matmul(old, factor), residual: now, again };
    },
  );
  return { root: b.mul(root, unscale), residual };
}

/** Return X^p by repeated squaring. */
function powerOf(b: Builder, x: Value, p: number): Value {
  if (p === 1) return x;
  const half = powerOf(b, x, p >> 1);
  const square = b.matmul(half, half);
  return p % 2 === 0 ? square : b.matmul(square, x);
}
