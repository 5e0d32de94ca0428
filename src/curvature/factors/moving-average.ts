// Moving averages of the Kronecker factors: exact for a small or dense factor, by a sketch of R rows for a large one.
// Rows and factors of a block of several groups have a leading axis for the groups.
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import type { InputRows } from '../layer-tensor.js';

/** Weights of one step's update, scalars: ρ of the old average and 1 − ρ of the new value. */
export interface Decay {
  /** ρ */
  readonly keep: Value;
  /** 1 − ρ */
  readonly take: Value;
}

/**
 * Return ρ at step k, counted from 0: min(1 − 1/(k + 1), ρ_max). The first steps have equal weights, so that the average needs
 * no bias correction (Martens & Grosse 2015, section 5).
 */
export const decayAt = (step: number, maximum: number): number => Math.min(1 - 1 / (step + 1), maximum);

/** Return the shape of rowsᵀ·rows. */
export const factorDims = ({ dims }: Value): number[] => {
  const size = dims.at(-1) ?? 1;
  return [...dims.slice(0, -2), size, size];
};

/** Return ρ·F + (1 − ρ)·rowsᵀ·rows, `[size, size]`. */
export const averageFactor = (b: Builder, old: Value, rows: Value, decay: Decay): Value =>
  averaged(b, old, b.gemm(rows, rows, undefined, { transposeX: true }), decay);

/** Return ρ·old + (1 − ρ)·value. */
export const averaged = (b: Builder, old: Value, value: Value, { keep, take }: Decay): Value =>
  b.add(b.mul(old, keep), b.mul(value, take));

/**
 * Return √ρ·old + √(1 − ρ)·fold(signs ⊙ rows): with independent random signs, E[RᵀR] is exactly the moving average of
 * rowsᵀ·rows. If there are more than R rows, they are summed into R buckets (a count sketch, Charikar et al. 2002).
 * @param old `[R, size]`
 * @param rows `[N, size]`
 * @param signs `[N, 1]`, each ±1
 */
export function averageRows(b: Builder, old: Value, rows: Value, signs: Value, { keep, take }: Decay): Value {
  const folded = foldRows(b, b.mul(rows, b.mul(signs, b.sqrt(take))), old.dims.at(-2) ?? 1);
  return b.add(b.mul(old, b.sqrt(keep)), folded);
}

/** Return the sums of rows i, i + R, i + 2R, …: `[N, size]` to `[R, size]`; fewer rows than R are padded with zeros. */
export function foldRows(b: Builder, rows: Value, buckets: number): Value {
  const [count = 1, size = 1] = rows.dims.slice(-2);
  const [groups, axis] = [rows.dims.slice(0, -2), rows.rank - 2];
  if (count === buckets) return rows;
  const layers = Math.ceil(count / buckets);
  const missing = layers * buckets - count;
  const filled = missing > 0 ? b.concat([rows, b.filled([...groups, missing, size], 0, rows.dtype)], axis) : rows;
  return b.sum(b.reshape(filled, [...groups, layers, buckets, size]), [axis]);
}

/** Return input rows with the homogeneous coordinate as their last column: `[rows, inputs (+1)]`. */
export const joinedRows = (b: Builder, { values, homogeneous }: InputRows): Value =>
  homogeneous ? b.concat([values, homogeneous], values.rank - 1) : values;
