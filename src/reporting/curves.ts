// Curves out of step records, smoothed, and thinned for drawing.

import type { RunRecord, StepRecord } from '../training/run-record.js';

/** One point of a curve: where training was, and the value there. */
export interface CurvePoint {
  readonly step: number;
  readonly seconds: number;
  readonly value: number;
}

/** Return the loss, a metric, or a number of the optimizer at every step that has a finite one. */
export function curveOf(run: RunRecord, value: (record: StepRecord) => number | undefined): CurvePoint[] {
  return run.steps.flatMap((record) => {
    const found = value(record);
    if (found === undefined || !Number.isFinite(found)) return [];
    return [{ step: record.step, seconds: record.seconds, value: found }];
  });
}

/**
 * Take the noise of batches out of a curve: each point becomes the mean of the points around it, a twenty-fifth of the
 * curve (fewer near the start). Curves under 100 points stay as they are.
 */
export function smoothed(points: readonly CurvePoint[]): CurvePoint[] {
  if (points.length < 100) return [...points];
  const reach = Math.floor(points.length / 50);
  const sums = [0];
  for (const { value } of points) sums.push((sums.at(-1) ?? 0) + value);
  return points.map((point, index) => {
    // The start falls steeply: a window that is cut on one side only would bend it.
    const half = Math.min(reach, index);
    const end = Math.min(points.length, index + half + 1);
    const start = index - half;
    return { ...point, value: ((sums[end] ?? 0) - (sums[start] ?? 0)) / (end - start) };
  });
}

/**
 * Return at most `count` points (if `count` is at least 3) that keep the look of the curve: largest triangle three buckets (S. Steinarsson, "Downsampling
 * Time Series for Visual Representation", 2013), with `x` and `y` as they will be drawn.
 */
export function thinned(
  points: readonly CurvePoint[],
  count: number,
  x: (point: CurvePoint) => number,
  y: (point: CurvePoint) => number,
): CurvePoint[] {
  const [first] = points;
  const last = points.at(-1);
  if (points.length <= count || count < 3 || first === undefined || last === undefined) return [...points];
  const chosen = [first];
  const bucketSize = (points.length - 2) / (count - 2);
  const bucket = (index: number) =>
    points.slice(
      1 + Math.floor(index * bucketSize),
      Math.min(points.length - 1, 1 + Math.floor((index + 1) * bucketSize)),
    );
  for (let index = 0; index < count - 2; index += 1) {
    const from = chosen.at(-1) ?? first;
    const next = index + 1 < count - 2 ? bucket(index + 1) : [last];
    const toX = next.reduce((sum, point) => sum + x(point), 0) / next.length;
    const toY = next.reduce((sum, point) => sum + y(point), 0) / next.length;
    let largest = -1;
    let best: CurvePoint | undefined;
    for (const point of bucket(index)) {
      const area = Math.abs((x(from) - toX) * (y(point) - y(from)) - (x(from) - x(point)) * (toY - y(from)));
      // The first point stands where areas overflow: a bucket never goes empty.
      if (best === undefined || area > largest) {
        largest = area;
        best = point;
      }
    }
    if (best) chosen.push(best);
  }
  return [...chosen, last];
}

/** Return a run's loss as it is drawn: of the batches, smoothed. */
export const lossCurve = (run: RunRecord): CurvePoint[] => smoothed(curveOf(run, ({ loss }) => loss));
