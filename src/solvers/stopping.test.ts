// When conjugate gradients end, against the method by hand: Martens 2010, section 4.4.
import { describe, expect, test } from 'vitest';
import {
  apply,
  entry,
  largestDifference,
  type Matrix,
  solve,
  withEigenvalues,
} from '../../test/support/dense-solves.js';
import { evaluate } from '../../test/support/evaluate.js';
import { OptionError } from '../errors.js';
import { tensorFrom, toNumbers } from '../graph/tensor.js';
import { Builder } from '../ops/builder.js';
import { conjugateGradient } from './conjugate-gradient.js';
import { byProgress, byResidual, type Stopping } from './stopping.js';

const dot = (x: Float64Array, y: Float64Array) => x.reduce((sum, number, i) => sum + number * entry(y, i), 0);

/** Iterations until φ hardly falls, and the progress then: ‖b‖ is 1. */
function byHand(matrix: Matrix, side: Float64Array, tolerance: number, least: number, maxIterations: number) {
  let [x, r] = [side.map(() => 0), side];
  let p = r;
  const values = [0];
  for (let i = 1; i <= maxIterations; i++) {
    const image = apply(matrix, p);
    const step = dot(r, r) / dot(p, image);
    x = x.map((number, k) => number + step * entry(p, k));
    const next = r.map((number, k) => number - step * entry(image, k));
    p = p.map((number, k) => entry(next, k) + (dot(next, next) / dot(r, r)) * number);
    r = next;
    const value = 0.5 * dot(x, apply(matrix, x)) - dot(side, x);
    values.push(value);
    const window = Math.max(least, Math.ceil(0.1 * i));
    const progress = i > window ? (value - (values[i - window] ?? 0)) / value / window : 1;
    if (i > window && value < 0 && progress < tolerance) return { iterations: i, progress };
  }
  return { iterations: maxIterations, progress: 1 };
}

async function solved(matrices: readonly Matrix[], sides: readonly Float64Array[], stopping: Stopping, most = 200) {
  const b = new Builder();
  const order = sides[0]?.length ?? 0;
  const stacked = (columns: number, parts: readonly ArrayLike<number>[]) =>
    b.constant(
      tensorFrom(
        'float64',
        [parts.length, order, columns],
        parts.flatMap((part) => Array.from(part)),
      ),
    );
  const a = stacked(order, matrices);
  const { value, iterations, residual, measure } = conjugateGradient(b, {
    operator: (inner, [x = a]) => [inner.matmul(a, x)],
    rightHandSide: [stacked(1, sides)],
    maxIterations: most,
    batched: true,
    stopping,
  });
  const results = await evaluate({ value: value[0] ?? a, iterations, residual, measure }, b);
  const numbers = (name: string) => toNumbers(results[name] ?? tensorFrom('float32', [0], []));
  return {
    value: numbers('value'),
    iterations: entry(numbers('iterations'), 0),
    residual: entry(numbers('residual'), 0),
    measure: entry(numbers('measure'), 0),
  };
}

const spectrum = (order: number, condition: number): number[] =>
  Array.from({ length: order }, (_, i) => condition ** (-i / (order - 1)));
const unit = (order: number): Float64Array => {
  const x = Float64Array.from({ length: order }, (_, i) => 1 + ((i * 7) % 5) - (i % 3));
  return x.map((number) => number / Math.sqrt(dot(x, x)));
};
const matrix = withEigenvalues(spectrum(60, 200), 4);

describe('by progress', () => {
  test.each([
    [5e-4, 10],
    [5e-3, 10],
    [1e-4, 3], // after more than 30 iterations the window is longer
  ])('ε = %d over %d iterations: ends with the solve by hand', async (tolerance, window) => {
    const expected = byHand(matrix, unit(60), tolerance, window, 200);
    const result = await solved([matrix], [unit(60)], byProgress({ tolerance, window }));
    expect(result.iterations).toBe(expected.iterations);
    expect(result.measure / expected.progress).toBeCloseTo(1, 4);
    expect(result.iterations).toBeGreaterThan(window);
    expect(result.measure).toBeLessThan(tolerance);
  });

  test('each system of a batch ends by its own', async () => {
    const easy = withEigenvalues(spectrum(60, 3), 5);
    const [slow, fast, both] = await Promise.all(
      [[matrix], [easy], [matrix, easy]].map((each) =>
        solved(
          each,
          each.map(() => unit(60)),
          byProgress(),
        ),
      ),
    );
    expect(both?.iterations).toBe(slow?.iterations);
    expect(fast?.iterations).toBeLessThan(slow?.iterations ?? 0);
    expect(largestDifference(both?.value ?? [], [...(slow?.value ?? []), ...(fast?.value ?? [])])).toBeLessThan(1e-12);
  });

  test('a solve that runs out of iterations says so by its measure', async () => {
    const result = await solved([matrix], [unit(60)], byProgress({ tolerance: 1e-5 }), 20);
    expect(result.iterations).toBe(20);
    expect(result.measure).toBeGreaterThan(1e-5);
    expect(await solved([matrix], [unit(60)], byProgress(), 5)).toMatchObject({ iterations: 5, measure: 1 });
  });

  test('a solution that is exact ends the solve before there is a window', async () => {
    const easy = withEigenvalues([1, 2, 3, 1, 2, 3], 3);
    const result = await solved([easy], [unit(6)], byProgress());
    expect(result.iterations).toBeLessThan(10);
    expect(result.measure).toBe(0);
  });

  test('a right-hand side of zero takes no iteration', async () => {
    expect(await solved([matrix], [new Float64Array(60)], byProgress())).toMatchObject({ iterations: 0 });
  });
});

test('by the residual: the measure is the residual', async () => {
  const result = await solved([matrix], [unit(60)], byResidual({ tolerance: 0.1 }));
  expect(result.measure).toBe(result.residual);
  expect(result.residual).toBeLessThanOrEqual(0.1);
});

test('numbers out of range, and unknown options, are refused', () => {
  expect(() => byResidual({ tolerance: 0 })).toThrow(OptionError);
  expect(() => byProgress({ tolerance: -1 })).toThrow(OptionError);
  expect(() => byProgress({ window: 0 })).toThrow(OptionError);
  expect(() => byProgress({ epsilon: 1 } as object)).toThrow("unknown option 'epsilon'");
});

describe('a preconditioner', () => {
  const scales = Float64Array.from({ length: 40 }, (_, i) => 10 ** ((i % 7) - 3));
  const inner = withEigenvalues(spectrum(40, 10), 6);
  const badlyScaled = inner.map((x, i) => x * entry(scales, Math.floor(i / 40)) * entry(scales, i % 40));

  test('that undoes bad scales solves in the iterations of the well-scaled system', async () => {
    const b = new Builder();
    const constant = (dims: readonly number[], elements: ArrayLike<number>) =>
      b.constant(tensorFrom('float64', dims, Array.from(elements)));
    const a = constant([40, 40], badlyScaled);
    const inverse = constant(
      [40],
      scales.map((x) => x ** -2),
    );
    const side = unit(40);
    const options = {
      operator: (at: Builder, [x = inverse]: readonly (typeof a)[]) => [at.matmul(a, x)],
      rightHandSide: [constant([40], side)],
      maxIterations: 400,
      stopping: byResidual({ tolerance: 1e-12 }),
    };
    const plain = conjugateGradient(b, options);
    const better = conjugateGradient(b, {
      ...options,
      preconditioner: (at, [r = inverse]) => [at.mul(r, inverse)],
    });
    const results = await evaluate(
      { value: better.value[0] ?? a, plain: plain.iterations, better: better.iterations, residual: better.residual },
      b,
    );
    const numbers = (name: string) => toNumbers(results[name] ?? tensorFrom('float32', [0], []));
    expect(entry(numbers('better'), 0)).toBeLessThan(60);
    expect(entry(numbers('plain'), 0)).toBeGreaterThan(3 * entry(numbers('better'), 0));
    expect(entry(numbers('residual'), 0)).toBeLessThan(1e-12);
    const exact = solve(badlyScaled, side);
    const size = Math.max(...exact.map(Math.abs));
    expect(largestDifference(numbers('value'), exact) / size).toBeLessThan(1e-8);
  });
});
