// Axes by d3-scale: the range of the data, where each value lies in it, and at least two round numbers to mark.

import { ticks as linearTicks } from 'd3-array';
import { scaleLinear, scaleLog, scaleSymlog } from 'd3-scale';

/** A range and the values to mark in it. */
export interface Scale {
  /** `signed-log` is linear around zero and logarithmic in both directions beyond. */
  readonly kind: 'linear' | 'log' | 'signed-log';
  readonly min: number;
  readonly max: number;
  /** Rising; at least two. */
  readonly ticks: readonly number[];
  /** Above this value the scale is denser. */
  readonly knee?: number;
  /** Where a value lies: 0 at `min`, 1 at `max`. */
  readonly at: (value: number) => number;
}

/** The part of the height that is below the knee. */
const belowKnee = 0.72;
/** Ends beyond this are cut, so that there is room for margins in the range of numbers. */
const largest = 1e250;

/** Return a linear scale over the values, with about `count` ticks at 1, 2 or 5 times a power of ten, ending at ticks. */
export function linearScale(values: readonly number[], count: number, fromZero = false): Scale {
  const scale = scaleLinear()
    .domain(widened(range(fromZero ? [0, ...values] : values)))
    .nice(count);
  const [min = 0, max = 1] = scale.domain();
  return { kind: 'linear', min, max, ticks: scale.ticks(count), at: scale.range([0, 1]).clamp(true) };
}

/** Return a linear scale from zero to the end of the data: for time and steps. */
export function tightScale(values: readonly number[], count: number): Scale {
  const max = range(values)[1] || 1;
  const scale = scaleLinear().domain([0, max]);
  return { kind: 'linear', min: 0, max, ticks: scale.ticks(count), at: scale.range([0, 1]).clamp(true) };
}

/**
 * Return a logarithmic scale over positive values; ticks at powers of ten and, if there is room, at simple multiples of them.
 * @param knee values above it are drawn in the uppermost part, however far they go
 */
export function logScale(values: readonly number[], count: number, knee?: number): Scale {
  const [least, most] = range(values.filter((value) => value > 0)).map((end) => Math.max(1 / largest, end));
  const [low, high] = [Math.log10(least ?? 1), Math.log10(most ?? 10)];
  // A little room above and below, at least a factor of 1.5 between the ends.
  const room = Math.max((high - low) * 0.07, (Math.log10(1.5) - (high - low)) / 2);
  const [min, max] = [10 ** (low - room), 10 ** (high + room)];
  if (knee === undefined || knee <= min || knee >= max) {
    const scale = scaleLog().domain([min, max]).range([0, 1]).clamp(true);
    return { kind: 'log', min, max, ticks: logTicks(min, max, count), at: scale };
  }
  const scale = scaleLog().domain([min, knee, max]).range([0, belowKnee, 1]).clamp(true);
  const beyond = logTicks(knee, max, 3).filter((tick) => scale(tick) > belowKnee + 0.06);
  return { kind: 'log', min, max, knee, ticks: [...logTicks(min, knee, count), ...beyond], at: scale };
}

/** Return the scale on which most of the values are distinct: a few far ones do not press all others together. */
export function fittingScale(values: readonly number[], count: number, fromZero = false): Scale {
  const [min, max] = range(values);
  if (min > 0 && max > 20 * min) return logScale(values, count);
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (sorted.length === 0) return linearScale(values, count, fromZero);
  const at = (position: number) => sorted[position] ?? 0;
  // The inner four fifths of the values, the outermost left out even if there are few.
  const band = at(Math.floor(0.9 * (sorted.length - 1))) - at(Math.ceil(0.1 * (sorted.length - 1)));
  return band < (max - min) / 8 ? signedLogScale(sorted, count) : linearScale(values, count, fromZero);
}

function signedLogScale(values: readonly number[], count: number): Scale {
  const sizes = values
    .map(Math.abs)
    .filter((size) => size > 0)
    .sort((a, b) => a - b);
  const constant = sizes[Math.floor(sizes.length / 2)] ?? 1;
  const [low, high] = range([0, ...values]);
  const scale = scaleSymlog().constant(constant).domain([low, high]).range([0, 1]);
  const [min, max] = [low < 0 ? scale.invert(-0.06) : 0, high > 0 ? scale.invert(1.06) : 0];
  scale.domain([min, max]).clamp(true);
  const [first, last] = [Math.floor(Math.log10(constant)), Math.floor(Math.log10(Math.max(-min, max)))];
  const powers = Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index));
  // From zero outward, each as far from the last one as its label needs.
  const outward = (sign: 1 | -1): number[] => {
    const chosen: number[] = [];
    for (const power of powers) {
      const tick = sign * Number(power.toPrecision(3));
      if (tick < min || tick > max) continue;
      if (Math.abs(scale(tick) - scale(chosen.at(-1) ?? 0)) >= 0.6 / count) chosen.push(tick);
    }
    return chosen;
  };
  const ticks = [...outward(-1).reverse(), 0, ...outward(1)];
  return { kind: 'signed-log', min, max, ticks: ticks.length > 1 ? ticks : linearTicks(min, max, 3), at: scale };
}

/** Powers of ten, and simple multiples of them if there is room; round numbers at equal distances within a decade. */
function logTicks(min: number, max: number, count: number): number[] {
  const first = Math.floor(Math.log10(min));
  const decades = Array.from({ length: Math.floor(Math.log10(max)) - first + 1 }, (_, index) => first + index);
  const marks = (factors: readonly number[], every = 1) =>
    decades
      .filter((decade) => decade % every === 0)
      .flatMap((decade) => factors.map((factor) => Number((factor * 10 ** decade).toPrecision(3))))
      .filter((tick) => tick >= min && tick <= max);
  const candidates = [
    marks([1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9]),
    marks([1, 2, 3, 5]),
    marks([1, 2, 5]),
    marks([1, 3]),
    marks([1]),
    marks([1], Math.ceil(decades.length / count)),
  ];
  return candidates.find((ticks) => ticks.length <= count && ticks.length >= 2) ?? linearTicks(min, max, count - 1);
}

/** A range of one value gets room around it. */
function widened([min, max]: readonly [number, number]): [number, number] {
  if (min < max) return [min, max];
  return min === 0 ? [0, 1] : [min - Math.abs(min) / 2, max + Math.abs(max) / 2];
}

function range(values: readonly number[]): [number, number] {
  const finite = values.filter(Number.isFinite);
  if (finite.length === 0) return [0, 1];
  const bounded = (value: number) => Math.min(largest, Math.max(-largest, value));
  return [bounded(finite.reduce((a, b) => Math.min(a, b))), bounded(finite.reduce((a, b) => Math.max(a, b)))];
}
