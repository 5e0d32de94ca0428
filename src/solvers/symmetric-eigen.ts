// The eigendecomposition of a symmetric matrix by Jacobi's method: each round rotates n/2 disjoint pairs of rows and columns
// at once, and a sweep of n − 1 rounds meets every pair (Brent & Luk 1985, a tournament).

import type { Value } from '../graph/graph.js';
import { tensorFrom } from '../graph/tensor.js';
import type { Builder } from '../ops/builder.js';
import { identityLike } from '../ops/identity.js';
import { orderOf } from './cholesky.js';

/** Eigenvalues from the largest down, `[n]` or `[batch, n]`, and eigenvectors as columns in that order, `[n, n]` or `[batch, n, n]`. */
export interface Eigendecomposition {
  readonly values: Value;
  readonly vectors: Value;
}

/** Sweeps until the method gives up; convergence is quadratic, and 10 suffice for orders up to 1000. */
const largestSweeps = 16;

/**
 * Pairs of nearly equal eigenvalues turn by large angles, which fills again what other rounds have emptied. They wait until
 * their element is more than this share of the largest one: convergence stays quadratic for multiple eigenvalues.
 */
const clusterShare = 0.02;

/** Keeps quotients of zeros finite: the smallest normal number of float32. */
const tiny = 2 ** -126;

/**
 * Return the eigendecomposition A = V·diag(λ)·Vᵀ of a symmetric matrix, or of each matrix of a batch. V is orthogonal up to
 * rounding also for multiple eigenvalues and for zero matrices. A round takes 13 passes over n² elements and 40 nodes, and
 * there are n − 1 rounds in each of 6 to 9 sweeps: for orders up to some hundreds, and rarely. `orthogonalIteration` follows a
 * matrix that changes at the cost of a few matrix products.
 * @param matrix `[n, n]` or `[batch, n, n]`, float32 or float64
 * @throws GraphError for a value that is not a square matrix or a batch of them, of known sizes
 */
export function symmetricEigen(b: Builder, matrix: Value): Eigendecomposition {
  const order = orderOf(matrix);
  const [batch] = matrix.rank === 3 ? matrix.dims : [];
  if (batch === 1) {
    const { values, vectors } = symmetricEigen(b, b.squeeze(matrix, [0]));
    return { values: b.unsqueeze(values, [0]), vectors: b.unsqueeze(vectors, [0]) };
  }
  const rowAxis = matrix.rank - 2;
  const scale = b.max(b.reduceMax(b.abs(matrix), [rowAxis, rowAxis + 1], true), tiny);
  const started = { matrix: b.div(matrix, scale), rows: b.expandLike(identityLike(b, matrix), matrix) };
  const { matrix: diagonalized, rows } = order === 1 ? started : sweeps(b, started, order);
  const values = b.squeeze(b.mul(diagonalOf(b, diagonalized), scale), [rowAxis + 1]);
  const descending = descendingOrder(b, values);
  return {
    values: permuted(b, values, descending, rowAxis),
    vectors: b.transposeMatrices(permuted(b, rows, descending, rowAxis)),
  };
}

interface Carried {
  readonly matrix: Value;
  /** Vᵀ */
  readonly rows: Value;
  readonly [name: string]: Value;
}

function sweeps(b: Builder, started: Carried, order: number): Carried {
  const { dtype } = started.matrix;
  const schedule = tournament(order);
  const rounds = schedule.length;
  const partners = b.pooled(`tournament.${order}`, () => tensorFrom('int64', [rounds, order], schedule.flat()));
  const signs = b.pooled(`roles.${order}.${dtype}`, () => {
    const roles = schedule.map((round) => round.map((partner, i) => Math.sign(partner - i)));
    return tensorFrom(dtype, [rounds, order, 1], roles.flat());
  });
  const offDiagonal = b.sub(1, identityLike(b, started.matrix));
  const precision = dtype === 'float64' ? 2 ** -52 : 2 ** -23;
  const largest = (builder: Builder, matrix: Value) => builder.reduceMax(builder.abs(builder.mul(matrix, offDiagonal)));
  const isLeft = (builder: Builder, rest: Value) => builder.greater(rest, Math.sqrt(order) * precision);
  const initial = { ...started, rest: largest(b, started.matrix) };
  return b.loop(
    largestSweeps,
    initial,
    (outer, _, { rest: before, ...carried }) => {
      const significant = outer.max(outer.mul(before, clusterShare), precision);
      const swept = outer.loop(rounds, carried, (inner, round, { matrix, rows }) => {
        const partner = inner.gather(partners, round);
        const { cosine, sine } = rotation(inner, matrix, partner, inner.gather(signs, round), {
          significant,
          precision,
        });
        const rotated = (x: Value): Value =>
          inner.sub(inner.mul(x, cosine), inner.mul(inner.gather(x, partner, x.rank - 2), sine));
        // J·A·Jᵀ = J·(J·A)ᵀ, since A is symmetric
        return { matrix: rotated(inner.transposeMatrices(rotated(matrix))), rows: rotated(rows) };
      });
      // Rounding adds up over a sweep: one step of Newton and Schulz makes V orthogonal again, and V·A·Vᵀ is taken anew.
      const gram = outer.gemm(swept.rows, swept.rows, undefined, { transposeY: true });
      const rows = outer.gemm(gram, swept.rows, outer.mul(swept.rows, 1.5), { alpha: -0.5 });
      const matrix = outer.gemm(outer.matmul(rows, started.matrix), rows, undefined, { transposeY: true });
      const rest = largest(outer, matrix);
      return { matrix, rows, rest, again: isLeft(outer, rest) };
    },
    isLeft(b, initial.rest),
  );
}

/** The cosine and the sine of each row, `[…, n, 1]`: row ← cosine·row − sine·(row of the partner). */
function rotation(
  b: Builder,
  matrix: Value,
  partner: Value,
  sign: Value,
  { significant, precision }: { significant: Value; precision: number },
) {
  const order = matrix.dims.at(-1) ?? 0;
  const own = diagonalOf(b, matrix);
  const theirs = b.gather(own, partner, matrix.rank - 2);
  const positions = b.reshape(partner, [order, 1]);
  const every = b.op('Expand', [positions, b.integers([...matrix.dims.slice(0, -1), 1])]);
  const between = b.op('GatherElements', [matrix, every], { axis: { kind: 'int', value: matrix.rank - 1 } });
  // tan = 2a/(δ ± √(δ² + 4a²)), the smaller root. Two partners have opposite δ and signs; a row without one has the sign 0.
  const difference = b.sub(theirs, own);
  // a + aᵀ: rounding makes them unequal, and partners must turn by one angle, or V loses its orthogonality.
  const double = b.add(between, b.gather(between, partner, matrix.rank - 2));
  const length = b.sqrt(b.add(b.square(difference), b.square(double)));
  const size = b.add(b.add(b.abs(difference), length), tiny);
  const direction = b.sign(b.add(difference, b.mul(sign, tiny)));
  const tangent = b.mul(b.min(b.max(b.div(double, size), -1), 1), direction);
  const least = b.where(b.greater(b.abs(tangent), 0.1), significant, precision);
  const isLarge = b.cast(b.greater(b.abs(double), least), matrix.dtype);
  const turn = b.mul(tangent, isLarge);
  const cosine = b.reciprocal(b.sqrt(b.add(b.square(turn), 1)));
  return { cosine, sine: b.mul(turn, cosine) };
}

/** Return the diagonals, `[…, n, 1]`. */
function diagonalOf(b: Builder, matrix: Value): Value {
  const [order = 0, batch = 1] = [matrix.dims.at(-1), ...(matrix.rank === 3 ? matrix.dims : [])];
  const positions = Array.from({ length: batch * order }, (_, i) => i % order);
  const indices = b.constant(tensorFrom('int64', [...matrix.dims.slice(0, -1), 1], positions));
  return b.op('GatherElements', [matrix, indices], { axis: { kind: 'int', value: matrix.rank - 1 } });
}

/** For each round the partner of each row, itself if it has none: every pair meets once. */
function tournament(players: number): number[][] {
  const seats = players + (players % 2);
  return Array.from({ length: seats - 1 }, (_, round) => {
    const partner = Array.from({ length: players }, (_, i) => i);
    const seated = (place: number): number => (place === 0 ? seats - 1 : (round + place - 1) % (seats - 1));
    for (let place = 0; place < seats / 2; place++) {
      const [one, other] = [seated(place), seated(seats - 1 - place)];
      if (one >= players || other >= players) continue;
      partner[one] = other;
      partner[other] = one;
    }
    return partner;
  });
}

/** Return the positions of numbers `[n]` or `[batch, n]` from the largest down; equal ones keep their order. */
export function descendingOrder(b: Builder, values: Value): Value {
  const length = b.integers([values.dims.at(-1) ?? 0]);
  const [, positions] = b.node('TopK', [values, length], {}, { outputs: ['sorted', 'positions'] });
  return positions as Value; // of the two that are asked for
}

/**
 * Return a value whose elements along one axis stand in a new order, one for each matrix of a batch.
 * @param positions `[n]`, or `[batch, n]` for a value whose first axis is the batch
 */
export function permuted(b: Builder, x: Value, positions: Value, axis: number): Value {
  if (positions.rank === 1) return b.gather(x, positions, axis);
  const [batch = 1, order = 1] = positions.dims;
  const shape = x.dims.map((_, i) => (i === 0 ? batch : i === axis ? order : 1));
  const indices = b.expandLike(b.reshape(positions, shape), x);
  return b.op('GatherElements', [x, indices], { axis: { kind: 'int', value: axis } });
}
