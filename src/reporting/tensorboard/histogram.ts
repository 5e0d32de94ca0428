// Histograms of tensors: counts in buckets of equal width between the smallest and the largest element.

export interface Histogram {
  readonly min: number;
  readonly max: number;
  readonly count: number;
  readonly sum: number;
  readonly sumOfSquares: number;
  /** The right ends of the buckets, increasing. */
  readonly limits: readonly number[];
  /** Elements in each bucket. */
  readonly counts: readonly number[];
}

/** TensorBoard shows 30 by default, and splits other numbers of buckets between them. */
const buckets = 30;

/** Return the histogram of the finite elements; undefined if there are none. */
export function histogramOf(elements: ArrayLike<number | bigint>): Histogram | undefined {
  let [min, max, count, sum, sumOfSquares] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0, 0];
  for (let i = 0; i < elements.length; i++) {
    const value = Number(elements[i]);
    if (!Number.isFinite(value)) continue;
    min = Math.min(min, value);
    max = Math.max(max, value);
    count += 1;
    sum += value;
    sumOfSquares += value * value;
  }
  if (count === 0) return undefined;
  const width = (max - min) / buckets;
  // Equal elements, or elements so near that the limits would not increase: one bucket.
  if (!(min + width > min && max - width < max)) {
    return { min, max, count, sum, sumOfSquares, limits: [max], counts: [count] };
  }
  const counts = new Array<number>(buckets).fill(0);
  for (let i = 0; i < elements.length; i++) {
    const value = Number(elements[i]);
    if (!Number.isFinite(value)) continue;
    const bucket = Math.min(buckets - 1, Math.floor((value - min) / width));
    counts[bucket] = (counts[bucket] ?? 0) + 1;
  }
  const limits = counts.map((_, bucket) => (bucket === buckets - 1 ? max : min + (bucket + 1) * width));
  return { min, max, count, sum, sumOfSquares, limits, counts };
}
