// The statistics of studies: medians, geometric means, and powers fitted in logarithms.

/** y ≈ factor · x^exponent, fitted by least squares of log y on log x. */
export interface PowerFit {
  readonly exponent: number;
  readonly factor: number;
  /** The range of x. */
  readonly from: number;
  readonly to: number;
  readonly points: number;
  /** Share of the variance of log y that the line explains; 1 for two points. */
  readonly rSquared: number;
}

/** Return the fit; null for less than two different x above 0 with y above 0. */
export function powerFit(points: readonly { readonly x: number; readonly y: number }[]): PowerFit | null {
  const usable = points.filter(({ x, y }) => x > 0 && y > 0 && Number.isFinite(x) && Number.isFinite(y));
  const xs = usable.map(({ x }) => x);
  const [from, to] = [Math.min(...xs), Math.max(...xs)];
  if (usable.length < 2 || from === to) return null;
  const logs = usable.map(({ x, y }) => ({ x: Math.log(x), y: Math.log(y) }));
  const [meanX, meanY] = [mean(logs.map(({ x }) => x)), mean(logs.map(({ y }) => y))];
  const sum = (term: (point: { x: number; y: number }) => number) => logs.reduce((all, point) => all + term(point), 0);
  const spread = sum(({ x }) => (x - meanX) ** 2);
  const exponent = sum(({ x, y }) => (x - meanX) * (y - meanY)) / spread;
  const offset = meanY - exponent * meanX;
  const total = sum(({ y }) => (y - meanY) ** 2);
  const unexplained = sum(({ x, y }) => (y - offset - exponent * x) ** 2);
  const rSquared = total === 0 ? 1 : 1 - unexplained / total;
  return { exponent, factor: Math.exp(offset), from, to, points: usable.length, rSquared };
}

/** Return the mean; NaN of nothing. */
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Return the median, of an even number of values the mean of the middle two; NaN of nothing. Infinity counts as the largest. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((x, y) => x - y);
  const half = sorted.length / 2;
  const [low = Number.NaN, high = Number.NaN] = [sorted[Math.ceil(half) - 1], sorted[Math.floor(half)]];
  return low === high ? low : (low + high) / 2;
}

/** Return the geometric mean of values above 0; NaN of nothing. */
export const geometricMean = (values: readonly number[]): number => Math.exp(mean(values.map(Math.log)));

/**
 * Return the mean time of a step over a whole period: the mean over the positions in the period of the medians over all
 * periods. Work that is done once in a period counts, an interruption by another program does not.
 * @param times of consecutive steps, whole periods of them
 */
export function periodMean(times: readonly number[], period: number): number {
  const positions = Array.from({ length: Math.min(period, times.length) }, (_, position) =>
    median(times.filter((_, step) => step % period === position)),
  );
  return mean(positions);
}

/** Return the groups of items with the same key, in the order of their first items. */
export function groupedBy<Item, Key>(items: readonly Item[], key: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
}
