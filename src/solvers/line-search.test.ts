// The line search on functions of one number: what it returns satisfies the strong Wolfe conditions, by evaluations in JavaScript.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { evaluate } from '../../test/support/evaluate.js';
import type { Value } from '../graph/graph.js';
import { tensorFrom, toNumbers } from '../graph/tensor.js';
import { Builder } from '../ops/builder.js';
import { lineSearch } from './line-search.js';

interface Curve {
  value(t: number): number;
  slope(t: number): number;
  inGraph(b: Builder, t: Value): { value: Value; slope: Value };
}

/** Σ cₖ·tᵏ */
const polynomial = (coefficients: readonly number[]): Curve => {
  const derived = coefficients.slice(1).map((c, k) => c * (k + 1));
  const at = (terms: readonly number[], t: number) => terms.reduceRight((sum, c) => sum * t + c, 0);
  const graph = (b: Builder, terms: readonly number[], t: Value) =>
    terms.reduceRight<Value>((sum, c) => b.add(b.mul(sum, t), c), b.mul(t, 0));
  return {
    value: (t) => at(coefficients, t),
    slope: (t) => at(derived, t),
    inGraph: (b, t) => ({ value: graph(b, coefficients, t), slope: graph(b, derived, t) }),
  };
};

async function searched(curve: Curve, first: number, maxEvaluations = 25, narrowest = 1e-9) {
  const b = new Builder();
  const scalar = (x: number) => b.scalar(x, 'float64');
  const { at, evaluations } = lineSearch(b, {
    evaluate: (inner, t) => curve.inGraph(inner, t),
    start: { value: scalar(curve.value(0)), slope: scalar(curve.slope(0)) },
    first: scalar(first),
    maxEvaluations,
    narrowest: scalar(narrowest),
  });
  const results = await evaluate({ at, evaluations }, b);
  const number = (name: string) => toNumbers(results[name] ?? tensorFrom('float64', [0], []))[0] ?? Number.NaN;
  return { at: number('at'), evaluations: number('evaluations') };
}

const satisfiesWolfe = (curve: Curve, t: number): boolean =>
  t > 0 &&
  curve.value(t) <= curve.value(0) + 1e-4 * t * curve.slope(0) + 1e-12 * Math.abs(curve.value(0)) &&
  Math.abs(curve.slope(t)) <= 0.9 * Math.abs(curve.slope(0)) * (1 + 1e-9);

describe('where the function falls at first', () => {
  test('quartics that grow at both ends: the conditions hold, from any first t', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.double({ min: -3, max: 3, noNaN: true }),
        fc.double({ min: -5, max: -0.01, noNaN: true }),
        fc.double({ min: -4, max: 4, noNaN: true }),
        fc.double({ min: -2, max: 2, noNaN: true }),
        fc.double({ min: 0.01, max: 3, noNaN: true }),
        fc.integer({ min: -4, max: 3 }),
        async (c0, c1, c2, c3, c4, exponent) => {
          const curve = polynomial([c0, c1, c2, c3, c4]);
          const { at } = await searched(curve, 10 ** exponent);
          expect(satisfiesWolfe(curve, at)).toBe(true);
        },
      ),
      { numRuns: 40 },
    );
  });

  test('a first t that is good enough is taken, with one evaluation', async () => {
    expect(await searched(polynomial([1, -2, 1]), 0.8)).toEqual({ at: 0.8, evaluations: 1 });
  });

  test('the minimum of a parabola is found by one interpolation; outward a trial is at most tenfold', async () => {
    const inward = await searched(polynomial([0, -2, 1]), 100);
    expect(inward.at).toBeCloseTo(1, 9);
    expect(inward.evaluations).toBe(2);
    // The slope at 0.001 is still 0.999 of the first, at 0.01 0.99, at 0.1 0.9.
    const outward = await searched(polynomial([0, -2, 1]), 0.001);
    expect(outward.at).toBeCloseTo(0.1, 12);
    expect(outward.evaluations).toBe(3);
  });

  test('NaN beyond a wall is too high', async () => {
    const wall: Curve = {
      ...polynomial([0, -1, 0.01]),
      inGraph(b, t) {
        const { value, slope } = polynomial([0, -1, 0.01]).inGraph(b, t);
        const beyond = b.greater(t, 2);
        return { value: b.where(beyond, Number.NaN, value), slope: b.where(beyond, Number.NaN, slope) };
      },
    };
    const { at, evaluations } = await searched(wall, 16);
    expect(at).toBeGreaterThan(0);
    expect(at).toBeLessThanOrEqual(2);
    expect(wall.value(at)).toBeLessThan(0);
    expect(evaluations).toBeLessThanOrEqual(25);
  });

  test('out of evaluations, the lowest value counts', async () => {
    const steep = polynomial([0, -1, 0, 0, 1e6]);
    const { at, evaluations } = await searched(steep, 100, 3);
    expect(evaluations).toBe(3);
    expect(steep.value(at)).toBeLessThanOrEqual(0);
    const endless = await searched(polynomial([0, -1]), 1, 4);
    expect(endless).toEqual({ at: 1000, evaluations: 4 });
  });

  test('an interval that is too narrow ends it', async () => {
    const { evaluations } = await searched(polynomial([0, -1, 1e8]), 1, 25, 1);
    expect(evaluations).toBeLessThan(4);
  });
});

test.each([0, 1, Number.NaN])('a first slope of %d: nothing is evaluated', async (slope) => {
  expect(await searched(polynomial([1, slope, 1]), 1)).toEqual({ at: 0, evaluations: 0 });
});
