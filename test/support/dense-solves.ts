// Dense linear algebra in plain float64 TypeScript: the oracle of the solvers' tests. Matrices are row-major, [n, n].
import { type Random, random } from '../../src/random.js';

export type Matrix = Float64Array;

export const entry = (matrix: ArrayLike<number>, i: number): number => {
  const number = matrix[i];
  if (number === undefined) throw new RangeError(`no element ${i}`);
  return number;
};

export const identity = (n: number): Matrix => diagonal(new Float64Array(n).fill(1));

export function diagonal(values: ArrayLike<number>): Matrix {
  const matrix = new Float64Array(values.length ** 2);
  for (let i = 0; i < values.length; i++) matrix[i * (values.length + 1)] = entry(values, i);
  return matrix;
}

/** X·Y, or X·Yᵀ */
export function multiply(x: ArrayLike<number>, y: ArrayLike<number>, n: number, transposeY = false): Matrix {
  const product = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let k = 0; k < n; k++) sum += entry(x, i * n + k) * entry(y, transposeY ? j * n + k : k * n + j);
      product[i * n + j] = sum;
    }
  }
  return product;
}

/** A·x */
export function apply(matrix: ArrayLike<number>, x: ArrayLike<number>): Float64Array {
  const n = x.length;
  return Float64Array.from({ length: n }, (_, i) => {
    let sum = 0;
    for (let k = 0; k < n; k++) sum += entry(matrix, i * n + k) * entry(x, k);
    return sum;
  });
}

/** The solution of A·x = b by Gaussian elimination with row exchanges. */
export function solve(matrix: ArrayLike<number>, rightHandSide: ArrayLike<number>): Float64Array {
  const n = rightHandSide.length;
  const rows = Array.from({ length: n }, (_, i) => [
    ...Array.from({ length: n }, (_, j) => entry(matrix, i * n + j)),
    entry(rightHandSide, i),
  ]);
  for (let k = 0; k < n; k++) {
    const below = rows.slice(k).sort((x, y) => Math.abs(entry(y, k)) - Math.abs(entry(x, k)));
    rows.splice(k, n - k, ...below);
    const pivot = rows[k] ?? [];
    for (const row of rows.slice(k + 1)) {
      const factor = entry(row, k) / entry(pivot, k);
      for (let j = k; j <= n; j++) row[j] = entry(row, j) - factor * entry(pivot, j);
    }
  }
  const x = new Float64Array(n);
  for (let i = n - 1; i >= 0; i--) {
    const row = rows[i] ?? [];
    let sum = entry(row, n);
    for (let j = i + 1; j < n; j++) sum -= entry(row, j) * entry(x, j);
    x[i] = sum / entry(row, i);
  }
  return x;
}

const normals = (length: number, generator: Random): Float64Array =>
  Float64Array.from({ length }, () => generator.normal());

/** Q·diag(λ)·Qᵀ with a random orthogonal Q (a product of Householder reflections). */
export function withEigenvalues(eigenvalues: ArrayLike<number>, seed: number): Matrix {
  const n = eigenvalues.length;
  let matrix = diagonal(eigenvalues);
  const generator = random(seed);
  for (let reflection = 0; reflection < Math.min(n, 4); reflection++) {
    const v = normals(n, generator);
    const squared = v.reduce((sum, x) => sum + x * x, 0);
    const reflector = identity(n).map((x, i) => x - (2 * entry(v, Math.floor(i / n)) * entry(v, i % n)) / squared);
    matrix = multiply(multiply(reflector, matrix, n), reflector, n);
  }
  // Exactly symmetric, as what the solvers are given
  return matrix.map((x, i) => (x + entry(matrix, (i % n) * n + Math.floor(i / n))) / 2);
}

/** RᵀR/r + δI for r random rows. */
export function lowRankPlusDamping(n: number, rank: number, damping: number, seed: number): Matrix {
  const generator = random(seed);
  const rows = normals(rank * n, generator);
  const matrix = diagonal(new Float64Array(n).fill(damping));
  for (let k = 0; k < rank; k++) {
    for (let i = 0; i < n; i++) {
      const scaled = entry(rows, k * n + i) / rank;
      for (let j = 0; j < n; j++) matrix[i * n + j] = entry(matrix, i * n + j) + scaled * entry(rows, k * n + j);
    }
  }
  return matrix;
}

/** 1/(i + j + 1) + δ on the diagonal. */
export const hilbert = (n: number, damping: number): Matrix =>
  Float64Array.from({ length: n * n }, (_, i) => {
    const [row, column] = [Math.floor(i / n), i % n];
    return 1 / (row + column + 1) + (row === column ? damping : 0);
  });

export const largestDifference = (x: ArrayLike<number>, y: ArrayLike<number>): number =>
  Array.from(x).reduce((largest, value, i) => {
    const difference = Math.abs(value - entry(y, i));
    return difference > largest || Number.isNaN(difference) ? difference : largest;
  }, 0);
