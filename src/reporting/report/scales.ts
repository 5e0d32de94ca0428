// Axes: the range that the data need, and round numbers to mark on it.

/** A range and the values to mark in it. */
export interface Scale {
  readonly kind: 'linear' | 'log';
  readonly min: number;
  readonly max: number;
  readonly ticks: readonly number[];
}

/** A linear scale over the values, with about `count` ticks at 1, 2 or 5 times a power of ten. */
export function linearScale(values: readonly number[], count: number, fromZero = false): Scale {
  let [min, max] = range(values);
  if (fromZero) [min, max] = [Math.min(0, min), Math.max(0, max)];
  if (min === max) [min, max] = min === 0 ? [0, 1] : [min - Math.abs(min) / 2, max + Math.abs(max) / 2];
  const step = roundStep((max - min) / count);
  const [first, last] = [Math.floor(min / step + 1e-9), Math.ceil(max / step - 1e-9)];
  const ticks = Array.from({ length: last - first + 1 }, (_, index) =>
    Number(((first + index) * step).toPrecision(12)),
  );
  return { kind: 'linear', min: ticks[0] ?? min, max: ticks.at(-1) ?? max, ticks };
}

/** As `linearScale`, but ending where the data end: for time and steps, where space beyond the last point is wasted. */
export function tightScale(values: readonly number[], count: number): Scale {
  const scale = linearScale(values, count, true);
  const max = Math.max(...values.filter(Number.isFinite), 0) || scale.max;
  return { ...scale, max, ticks: scale.ticks.filter((tick) => tick <= max) };
}

/** A logarithmic scale over positive values; ticks at powers of ten, and at 2 and 5 times them where there is room. */
export function logScale(values: readonly number[], count: number): Scale {
  const positive = values.filter((value) => value > 0);
  // In exponents, and within what the powers of ten can hold.
  const exponents = (positive.length > 0 ? range(positive) : [1, 10]).map((end) => Math.log10(end));
  const [low = 0, high = 1] = exponents.map((exponent) => Math.min(250, Math.max(-250, exponent)));
  // A little room above and below, at least a factor of 1.5 between the ends.
  const room = Math.max((high - low) * 0.07, (Math.log10(1.5) - (high - low)) / 2);
  const [min, max] = [10 ** (low - room), 10 ** (high + room)];
  const first = Math.floor(low - room);
  const decades = Array.from({ length: Math.floor(high + room) - first + 1 }, (_, index) => first + index);
  const marks = (factors: readonly number[], every = 1) =>
    decades
      .filter((decade) => decade % every === 0)
      .flatMap((decade) => factors.map((factor) => Number((factor * 10 ** decade).toPrecision(3))))
      .filter((tick) => tick >= min && tick <= max);
  const thinnest = Math.max(1, Math.ceil(decades.length / count));
  const candidates = [
    marks([1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9]),
    marks([1, 2, 3, 5]),
    marks([1, 2, 5]),
    marks([1, 3]),
    marks([1]),
  ];
  const fitting = candidates.find((ticks) => ticks.length <= count && ticks.length >= 2) ?? marks([1], thinnest);
  return { kind: 'log', min, max, ticks: fitting };
}

function range(values: readonly number[]): [number, number] {
  const finite = values.filter(Number.isFinite);
  if (finite.length === 0) return [0, 1];
  return [finite.reduce((a, b) => Math.min(a, b)), finite.reduce((a, b) => Math.max(a, b))];
}

/** The smallest of 1, 2, 5 times a power of ten that is at least `size`. */
function roundStep(size: number): number {
  const power = 10 ** Math.floor(Math.log10(size));
  return power * ([1, 2, 5].find((factor) => factor * power >= size * (1 - 1e-9)) ?? 10);
}
