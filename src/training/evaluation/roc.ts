// The curve of true over false positive rates of scores, and the area under it.

/** Scores of the examples of one class against all others. */
export class ScoredClass {
  readonly #scores: number[] = [];
  readonly #positive: number[] = [];
  readonly #negative: number[] = [];

  add(score: number, isPositive: boolean, weight: number): void {
    this.#scores.push(score);
    this.#positive.push(isPositive ? weight : 0);
    this.#negative.push(isPositive ? 0 : weight);
  }

  /** Return the curve from (0, 0) to (1, 1), a point for each distinct score; undefined without positive or negative examples. */
  curve(): RocCurve | undefined {
    const order = Uint32Array.from(this.#scores, (_, i) => i).sort(
      (a, b) => (this.#scores[b] ?? 0) - (this.#scores[a] ?? 0),
    );
    const points: (readonly [number, number])[] = [[0, 0]];
    let [found, mistaken, area] = [0, 0, 0];
    for (let start = 0; start < order.length; ) {
      const score = this.#scores[order[start] ?? 0];
      let [positive, negative] = [0, 0];
      let end = start;
      for (; end < order.length && this.#scores[order[end] ?? 0] === score; end++) {
        positive += this.#positive[order[end] ?? 0] ?? 0;
        negative += this.#negative[order[end] ?? 0] ?? 0;
      }
      area += negative * (found + positive / 2);
      found += positive;
      mistaken += negative;
      points.push([mistaken, found]);
      start = Math.max(end, start + 1);
    }
    if (!(found > 0) || !(mistaken > 0)) return undefined;
    return { area: area / (found * mistaken), points: points.map(([x, y]) => [x / mistaken, y / found] as const) };
  }
}

export interface RocCurve {
  readonly area: number;
  /** False positive rate and true positive rate, both rising. */
  readonly points: readonly (readonly [number, number])[];
}

/** Points of a curve that a record keeps: denser where false positives are few. */
const keptPoints = 60;

/** Return the mean of curves at equal false positive rates; a single short curve stays as it is. */
export function meanCurve(curves: readonly RocCurve[]): readonly (readonly [number, number])[] {
  const [only, ...others] = curves;
  if (only && others.length === 0 && only.points.length <= keptPoints) return only.points;
  return Array.from({ length: keptPoints }, (_, i) => {
    const rate = (i / (keptPoints - 1)) ** 2;
    return [rate, curves.reduce((sum, { points }) => sum + heightAt(points, rate), 0) / curves.length] as const;
  });
}

/** The height of a rising line, above where it is vertical. */
function heightAt(points: RocCurve['points'], x: number): number {
  let [low, high] = [0, points.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((points[middle]?.[0] ?? 1) <= x) low = middle;
    else high = middle - 1;
  }
  const [[x0, y0], next] = [points[low] ?? [0, 0], points[low + 1]];
  return next ? y0 + ((x - x0) / (next[0] - x0)) * (next[1] - y0) : y0;
}
