// The ends of a grid: a best value that lies there may not be the best there is.

/** The end of a grid at which a value lies. */
export type Edge = 'lowest' | 'highest' | null;

/** Return at which end of a grid a value lies; a grid of one value has none. */
export function edgeOf(value: number, grid: readonly number[]): Edge {
  if (grid.length < 2) return null;
  if (value === Math.min(...grid)) return 'lowest';
  return value === Math.max(...grid) ? 'highest' : null;
}

/** Return a grid of `count` values around a centre, each `factor` times the one before, to three digits. */
export const gridAround = (centre: number, factor: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => Number((centre * factor ** (i - (count - 1) / 2)).toPrecision(3)));
