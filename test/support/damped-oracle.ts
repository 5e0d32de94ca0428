// Damped directions of one Kronecker block in plain float64: by the eigenvectors of its factors, nothing inverted.
import { at, generate, type Matrix, multiplied, scaled, trace, transposed } from './dense.js';

interface DampedSystem {
  /** A, `[inputs, inputs]`, and G, `[outputs, outputs]`. */
  readonly a: Matrix;
  readonly g: Matrix;
  /** `[inputs, outputs]` */
  readonly v: Matrix;
  /** λ is δ² times the product of the factors' mean eigenvalues. */
  readonly delta: number;
}

export interface DampedSolution {
  readonly direction: Matrix;
  /** Of the damped block: what rounding may grow by. */
  readonly condition: number;
}

/** λ·(A⊗G + λI)⁻¹·V. A factor that is zero leaves V alone. */
export const tikhonovOracle = (system: DampedSystem): DampedSolution =>
  filtered(system, (a, g, delta) => delta ** 2 / (a * g + delta ** 2));

/** λ·(A + π√λ I)⁻¹·V·(G + √λ/π I)⁻¹, π² the ratio of the mean eigenvalues. A factor that is zero is left out. */
export const factoredOracle = (system: DampedSystem): DampedSolution =>
  filtered(system, (a, g, delta) => (delta / (a + delta)) * (delta / (g + delta)));

/** Multiplies V, seen in the eigenvectors of the factors, by a function of the eigenvalues in units of their means. */
function filtered(
  { a, g, v, delta }: DampedSystem,
  filter: (a: number, g: number, delta: number) => number,
): DampedSolution {
  const [left, right] = [symmetricEigen(inUnits(a)), symmetricEigen(inUnits(g))];
  const value = (values: readonly number[], i: number) => Math.max(0, values[i] ?? 0);
  const factors = generate(v.rows, v.columns, (i, j) => filter(value(left.values, i), value(right.values, j), delta));
  const seen = multiplied(transposed(left.vectors), v, right.vectors);
  const passed = generate(v.rows, v.columns, (i, j) => at(seen, i, j) * at(factors, i, j));
  return {
    direction: multiplied(left.vectors, passed, transposed(right.vectors)),
    condition: Math.max(...factors.data) / Math.min(...factors.data),
  };
}

export const meanEigenvalue = (factor: Matrix): number => trace(factor) / factor.rows;

const inUnits = (factor: Matrix): Matrix => scaled(factor, 1 / (meanEigenvalue(factor) || 1));

/** Eigenvalues and eigenvectors (columns) of a symmetric matrix by Jacobi's rotations (Golub & Van Loan, section 8.5). */
export function symmetricEigen(x: Matrix): { readonly values: number[]; readonly vectors: Matrix } {
  const order = x.rows;
  const table = Array.from({ length: order }, (_, i) => Array.from({ length: order }, (_unused, j) => at(x, i, j)));
  const basis = Array.from({ length: order }, (_, i) => Array.from({ length: order }, (_unused, j) => Number(i === j)));
  const get = (rows: readonly number[][], i: number, j: number): number => rows[i]?.[j] ?? Number.NaN;
  for (let sweep = 0; sweep < 30; sweep++) {
    for (let p = 0; p < order; p++) {
      for (let q = p + 1; q < order; q++) {
        if (get(table, p, q) === 0) continue;
        const theta = (get(table, q, q) - get(table, p, p)) / (2 * get(table, p, q));
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
        const cosine = 1 / Math.hypot(t, 1);
        const sine = t * cosine;
        const turn = (first: number, second: number): [number, number] => [
          cosine * first - sine * second,
          sine * first + cosine * second,
        ];
        for (const rows of [table, basis]) {
          for (const row of rows) [row[p], row[q]] = turn(row[p] ?? 0, row[q] ?? 0);
        }
        const [above, below] = [table[p], table[q]];
        for (let k = 0; above && below && k < order; k++) [above[k], below[k]] = turn(above[k] ?? 0, below[k] ?? 0);
      }
    }
  }
  return {
    values: Array.from({ length: order }, (_, i) => get(table, i, i)),
    vectors: generate(order, order, (i, j) => get(basis, i, j)),
  };
}
