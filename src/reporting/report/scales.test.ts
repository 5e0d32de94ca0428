import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fittingScale, linearScale, logScale, type Scale, tightScale } from './scales.js';

const builders: Readonly<Record<string, (values: readonly number[]) => Scale>> = {
  linear: (values) => linearScale(values, 6),
  log: (values) => logScale(values, 6),
  fitting: (values) => fittingScale(values, 6),
  tight: (values) => tightScale(values.map(Math.abs), 6),
  'with a knee': (values) => logScale(values, 6, 10),
};

describe.each(Object.entries(builders))('the %s scale', (_, build) => {
  const check = (values: readonly number[]) => {
    const scale = build(values);
    expect(scale.min).toBeLessThan(scale.max);
    expect(scale.ticks.length).toBeGreaterThanOrEqual(2);
    const rising = [scale.min, ...scale.ticks, scale.max].every((tick, index, all) => tick >= (all[index - 1] ?? tick));
    expect(rising).toBe(true);
    expect([scale.at(scale.min), scale.at(scale.max)]).toEqual([expect.closeTo(0, 9), expect.closeTo(1, 9)]);
    for (const value of [...values, ...scale.ticks]) {
      if (!Number.isFinite(value)) continue;
      expect(scale.at(value)).toBeGreaterThanOrEqual(0);
      expect(scale.at(value)).toBeLessThanOrEqual(1);
    }
  };

  it.each([[[1]], [[0]], [[-5, -5]], [[1e-300, 1e300]], [[]], [[Number.NaN]], [[2.7, 3.3]], [[1.0001, 1.0002]]])(
    'has two numbers or more for %j',
    check,
  );

  it('has two numbers or more for any positive values', () => {
    const value = fc.tuple(fc.double({ min: 1, max: 10, noNaN: true }), fc.integer({ min: -30, max: 30 }));
    const size = value.map(([mantissa, exponent]) => mantissa * 10 ** exponent);
    fc.assert(fc.property(fc.array(size, { minLength: 1 }), check));
  });
});

it('marks round numbers', () => {
  expect(linearScale([3, 97], 5).ticks).toEqual([0, 20, 40, 60, 80, 100]);
  expect(logScale([0.04, 0.7], 6).ticks).toEqual([0.05, 0.1, 0.2, 0.3, 0.5]);
  expect(logScale([1e-8, 1], 5).ticks.length).toBeLessThanOrEqual(5);
  expect(logScale([2.7, 3.3], 6).ticks).toEqual([2.6, 2.8, 3, 3.2, 3.4, 3.6]);
});

it('does not let one spike press all other values together', () => {
  const usual = Array.from({ length: 50 }, (_, index) => -2 + Math.sin(index));
  const values = [-1200, ...usual];
  const height = (scale: Scale) => scale.at(Math.max(...usual)) - scale.at(Math.min(...usual));
  expect(height(linearScale(values, 6))).toBeLessThan(0.01);
  const scale = fittingScale(values, 6);
  expect(scale.kind).toBe('signed-log');
  expect(height(scale)).toBeGreaterThan(20 * height(linearScale(values, 6)));
  expect(scale.at(-1200)).toBeGreaterThan(0);
  expect(scale.ticks).toContain(0);
  expect(fittingScale(usual, 6).kind).toBe('linear');
});

it('keeps most of its height for what is below the knee', () => {
  const scale = logScale([0.1, 1e30], 6, 1);
  expect(scale.at(1)).toBeGreaterThan(0.7);
  expect(scale.at(1e30)).toBeGreaterThan(scale.at(1e20));
  expect(scale.ticks.some((tick) => tick > 1e9)).toBe(true);
});
