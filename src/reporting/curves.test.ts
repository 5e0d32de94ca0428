import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { madeUpRun } from '../../test/support/made-up.js';
import { type CurvePoint, curveOf, smoothed, thinned } from './curves.js';

const curve = (values: readonly number[]): CurvePoint[] =>
  values.map((value, index) => ({ step: index + 1, seconds: (index + 1) / 10, value }));

it('leaves out what is missing or not finite', () => {
  const run = madeUpRun('sgd', (step) => (step > 3 ? Number.NaN : step), { count: 5 });
  expect(curveOf(run, ({ loss }) => loss).map(({ value }) => value)).toEqual([1, 2, 3]);
  expect(curveOf(run, ({ metrics }) => metrics.accuracy)).toEqual([]);
});

describe('smoothed', () => {
  it('averages noise away and keeps a straight line straight, its first point above all', () => {
    const line = curve(Array.from({ length: 1000 }, (_, index) => index));
    const zigzag = line.map((point, index) => ({ ...point, value: point.value + (index % 2 ? 5 : -5) }));
    expect(smoothed(line)[0]).toEqual(line[0]);
    for (const [index, { value }] of smoothed(line).slice(0, 980).entries()) expect(value).toBeCloseTo(index, 6);
    for (const [index, { value }] of smoothed(zigzag).slice(20, 980).entries())
      expect(Math.abs(value - index - 20)).toBeLessThan(0.3);
  });

  it('leaves short curves as they are', () => {
    const short = curve([3, 1, 2]);
    expect(smoothed(short)).toEqual(short);
  });
});

describe('thinned', () => {
  it('keeps the ends, the order, and a lone spike', () => {
    const values = Array.from({ length: 2000 }, (_, index) => (index === 777 ? 50 : Math.sin(index / 200)));
    const few = thinned(
      curve(values),
      100,
      ({ step }) => step,
      ({ value }) => value,
    );
    expect(few).toHaveLength(100);
    expect([few[0]?.step, few.at(-1)?.step]).toEqual([1, 2000]);
    expect(few.some(({ value }) => value === 50)).toBe(true);
    expect(few.every((point, index) => index === 0 || point.step > (few[index - 1]?.step ?? 0))).toBe(true);
  });

  it('never has more points than it was given or asked for', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, noDefaultInfinity: true })),
        fc.integer({ min: 3, max: 50 }),
        (values, count) => {
          const few = thinned(
            curve(values),
            count,
            ({ step }) => step,
            ({ value }) => value,
          );
          expect(few.length).toBe(Math.min(values.length, count));
        },
      ),
      { examples: [[[8.988465674311592e307, 0, 0, -1.7976931348623133e308, 0], 4]] },
    );
  });
});
