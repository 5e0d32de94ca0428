// Where the rows of a drawn table come from: latent numbers of mean 0 and deviation 1, columns made of them in scales and
// distributions of their own, and a signal that depends on the latent numbers alone.
import type { Random } from '../../src/random.js';

export interface Columns {
  readonly count: number;
  /** Factors of the columns: 1; 10^−2 … 10^2; 10^−4 … 10^4; 10^−6 or 10^6. */
  readonly scales: 'unit' | 'mixed' | 'wide' | 'extreme';
  /** In deviations of a column: 0; a few; up to a thousand; or the seconds since 1970 with spans of days to years. */
  readonly offsets: 'none' | 'some' | 'large' | 'timestamps';
  /** `mixed`: normal, skewed, whole and two-valued columns side by side. `heavy`: Student's t of 1.5 degrees of freedom. */
  readonly distribution: 'mixed' | 'normal' | 'correlated' | 'heavy' | 'one-hot' | 'pixels';
  /** Share of columns that do not vary. */
  readonly constant: number;
  /** Share of columns that repeat the first. */
  readonly duplicate: number;
}

export interface Source {
  /** Columns there are. */
  readonly width: number;
  /** Numbers of a signal. */
  readonly outputs: number;
  /** An example's columns, and its signal of about mean 0 and deviation 1. */
  example(source: Random): { readonly inputs: readonly number[]; readonly signal: readonly number[] };
}

interface Column {
  readonly scale: number;
  readonly offset: number;
  value(latent: number): number;
}

type Shape = (latent: number) => number;

const shapes: readonly Shape[] = [
  (z) => z,
  (z) => z,
  (z) => Math.exp(0.8 * z), // incomes, areas
  (z) => Math.round(2 * z + 4), // counts
  (z) => Number(z > 0.5), // yes or no
  (z) => Math.tanh(z),
];

/** @param outputs numbers of the signal */
export function tableSource(columns: Columns, outputs: number, source: Random): Source {
  const { count, distribution } = columns;
  const drawnColumns = Array.from({ length: count }, (_, j): Column => drawColumn(columns, j, source));
  const mixing = Array.from({ length: count }, () => source.normal() * 2);
  const signals = Array.from({ length: outputs }, () => drawSignal(count, source));
  const latentOf = (rows: Random): number[] => {
    if (distribution === 'one-hot') {
      const hot = rows.integer(count);
      return Array.from({ length: count }, (_, j) => Number(j === hot));
    }
    const common = rows.normal();
    return mixing.map((weight) => {
      const own = rows.normal();
      return distribution === 'correlated' ? (weight * common + 0.1 * own) / Math.hypot(weight, 0.1) : own;
    });
  };
  // Signals are brought to mean 0 and deviation 1 by a sample.
  const sample = Array.from({ length: 256 }, () => latentOf(source));
  const standardized = signals.map((signal) => {
    const values = sample.map(signal);
    const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
    const deviation = Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length) || 1;
    return (z: readonly number[]) => (signal(z) - mean) / deviation;
  });
  return {
    width: count,
    outputs,
    example(rows) {
      const latent = latentOf(rows);
      const inputs = drawnColumns.map((column, j) => {
        const z = latent[j] ?? 0;
        const drawn = distribution === 'heavy' ? heavy(z, rows) : z;
        return column.scale * (column.value(drawn) + column.offset);
      });
      const repeated = Math.floor(columns.duplicate * count);
      for (let j = 1; j <= repeated; j++) inputs[count - j] = inputs[0] ?? 0;
      return { inputs, signal: standardized.map((signal) => signal(latent)) };
    },
  };
}

function drawColumn({ scales, offsets, distribution, constant }: Columns, index: number, source: Random): Column {
  const [exponent, offset, shape, isConstant] = [
    source.uniform() * 2 - 1,
    source.normal(),
    source.integer(shapes.length),
    source.uniform() < constant,
  ];
  const fixed = Math.fround(source.normal());
  const scale = {
    unit: 1,
    mixed: 10 ** (2 * exponent),
    wide: 10 ** (4 * exponent),
    extreme: exponent < 0 ? 1e-6 : 1e6,
  }[scales];
  if (distribution === 'pixels') {
    return { scale: 1, offset: 0, value: (z) => Math.max(0, Math.min(255, Math.round(100 * z + 60))) };
  }
  const value: Shape = isConstant ? () => fixed : (distribution === 'mixed' && shapes[shape]) || ((z) => z);
  if (offsets === 'timestamps' && index % 2 === 0) {
    const span = 10 ** (5 + 1.5 * (exponent + 1)); // seconds: a day to three years
    return { scale: span, offset: 1.7e9 / span, value };
  }
  return { scale, offset: { none: 0, some: 3 * offset, large: 300 * offset, timestamps: 3 * offset }[offsets], value };
}

/** Student's t of 1.5 degrees of freedom: a normal over the root of a gamma (of shape 0.75, by Ahrens & Dieter) over its mean. */
function heavy(z: number, source: Random): number {
  const shape = 0.75;
  for (;;) {
    const bound = (1 + shape / Math.E) * source.uniform();
    const candidate = bound <= 1 ? bound ** (1 / shape) : -Math.log((1 + shape / Math.E - bound) / shape);
    const accepted = bound <= 1 ? Math.exp(-candidate) : candidate ** (shape - 1);
    if (candidate > 0 && source.uniform() < accepted) return z / Math.sqrt(candidate / shape);
  }
}

/** A linear part, a smooth one of a few directions, a product and a threshold, in shares that differ between signals. */
function drawSignal(count: number, source: Random): (z: readonly number[]) => number {
  const direction = () => {
    const weights = Array.from({ length: count }, () => (source.uniform() < 0.6 ? source.normal() : 0));
    const norm = Math.hypot(...weights) || 1;
    return (z: readonly number[]) => weights.reduce((sum, weight, j) => sum + (weight / norm) * (z[j] ?? 0), 0);
  };
  const [linear, smooth, other, step] = [direction(), direction(), direction(), direction()];
  const kinds = [
    [1, 0, 0, 0],
    [1, 0.5, 0.3, 0],
    [0.5, 1, 0.5, 0.5],
    [0, 1, 0, 0],
    [0.3, 0, 0, 1],
  ] as const;
  const [a, b, c, d] = kinds[source.integer(kinds.length)] ?? kinds[0];
  const threshold = 0.5 * source.normal();
  return (z) =>
    a * linear(z) + b * Math.sin(2 * smooth(z)) + c * other(z) * smooth(z) + d * Number(step(z) > threshold);
}
