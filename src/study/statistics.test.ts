import { describe, expect, it } from 'vitest';
import { geometricMean, groupedBy, median, periodMean, powerFit } from './statistics.js';

describe('powerFit', () => {
  it('finds the exponent of an exact power, and the range', () => {
    const fitted = powerFit([256, 512, 1024, 4096].map((x) => ({ x, y: 3e-4 * x ** 1.7 })));
    expect(fitted?.exponent).toBeCloseTo(1.7, 10);
    expect(fitted?.factor).toBeCloseTo(3e-4, 10);
    expect(fitted).toMatchObject({ from: 256, to: 4096, points: 4 });
    expect(fitted?.rSquared).toBeCloseTo(1, 10);
  });

  it('is the least-squares line of the logarithms', () => {
    // log₂ y = 0, 2, 1 at log₂ x = 0, 1, 2: slope 1/2, a quarter of the variance explained.
    const fitted = powerFit([
      { x: 1, y: 1 },
      { x: 2, y: 4 },
      { x: 4, y: 2 },
    ]);
    expect(fitted?.exponent).toBeCloseTo(0.5, 12);
    expect(fitted?.rSquared).toBeCloseTo(0.25, 12);
  });

  it('says of constants that their exponent is 0, and leaves out what has no logarithm', () => {
    const constant = powerFit([1, 2, 4].map((x) => ({ x, y: 7 })));
    expect(constant?.exponent).toBeCloseTo(0, 12);
    const points = [
      { x: 0, y: 1 },
      { x: 1, y: 0 },
      { x: 2, y: 2 },
      { x: 4, y: Number.NaN },
      { x: 8, y: 8 },
    ];
    expect(powerFit(points)).toMatchObject({ from: 2, to: 8, points: 2 });
    expect(powerFit(points.slice(0, 3))).toBeNull();
    expect(powerFit([])).toBeNull();
  });
});

it('takes medians, in which what was never reached is the largest', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([5, Number.POSITIVE_INFINITY, 7])).toBe(7);
  expect(median([5, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY])).toBe(Number.POSITIVE_INFINITY);
  expect(median([])).toBeNaN();
  expect(geometricMean([1, 4, 16])).toBeCloseTo(4, 12);
});

it('counts periodic work, and no interruption', () => {
  // Each fourth step inverts: 9 ms instead of 1. One step of three periods was interrupted.
  const times = [9, 1, 1, 1, 9, 1, 500, 1, 9, 1, 1, 1];
  expect(periodMean(times, 4)).toBe(3);
  expect(periodMean(times.slice(0, 2), 4)).toBe(5);
});

it('groups in the order of first items', () => {
  expect([...groupedBy([3, 1, 5, 2], (x) => x % 2)]).toEqual([
    [1, [3, 1, 5]],
    [0, [2]],
  ]);
});
