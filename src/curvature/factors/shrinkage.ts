// What rows cannot tell of a factor: R rows stand for m > R directions, so their largest eigenvalues are too large and the
// smallest are zero. Shrinking towards the mean eigenvalue, (1 − s)·F̂ + s·I, is nearer to the factor.
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { diagonalOf, elementDot, traceOf } from './matrices.js';

/** Bounds on s: the shrunk factor has a scale also if rows seem exact, or are as many equal eigenvalues. */
const [smallest, largest] = [1e-4, 1 - 1e-4];

/**
 * Return s of the rows of a factor by Ledoit & Wolf 2004 ("A well-conditioned estimator for large-dimensional covariance
 * matrices", lemma 3.3 and section 3.2): the share of ‖F̂ − I‖² that is the error of R rows, b²/d² with d² = ‖F̂‖² − m and
 * b² = Σ‖r‖⁴ − ‖F̂‖²/R.
 * @param kernel K = r·rᵀ, `[R, R]` or `[groups, R, R]`, of rows in units of the mean eigenvalue: its trace is m
 * @returns a scalar, or `[groups, 1, 1]`
 */
export function estimatedShrinkage(b: Builder, kernel: Value): Value {
  const rows = kernel.dims.at(-1) ?? 1;
  const square = elementDot(b, kernel, kernel);
  const lengths = diagonalOf(b, kernel);
  const fourth = kernel.rank === 3 ? b.sum(b.square(lengths), [1, 2], true) : b.dot(lengths, lengths);
  const error = b.sub(fourth, b.mul(square, 1 / rows));
  const distance = b.max(b.sub(square, traceOf(b, kernel)), 1e-30);
  return b.min(b.max(b.div(error, distance), smallest), largest);
}
