import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  apply,
  diagonal,
  entry,
  largestDifference,
  type Matrix,
  solve,
  withEigenvalues,
} from '../../test/support/dense-solves.js';
import { evaluate } from '../../test/support/evaluate.js';
import { GraphError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import { type DataType, tensorFrom, toNumbers } from '../graph/tensor.js';
import { Builder } from '../ops/builder.js';
import { type ConjugateGradientOptions, conjugateGradient } from './conjugate-gradient.js';
import { byResidual } from './stopping.js';

/** A residual that only zero is within. */
const never = byResidual({ tolerance: Number.MIN_VALUE });

interface Outcome {
  readonly value: number[];
  readonly iterations: number;
  readonly residual: number;
}

type Settings = Partial<Omit<ConjugateGradientOptions, 'operator' | 'rightHandSide'>>;

async function outcome(b: Builder, options: ConjugateGradientOptions): Promise<Outcome> {
  const { value, iterations, residual } = conjugateGradient(b, options);
  const parts = Object.fromEntries(value.map((part, i) => [`part${i}`, part]));
  const results = await evaluate({ ...parts, iterations, residual }, b);
  const numbers = (name: string) => toNumbers(results[name] ?? tensorFrom('float32', [0], []));
  expect(results.iterations?.dtype).toBe('int64');
  for (const scalar of ['iterations', 'residual']) expect(results[scalar]?.dims).toEqual([]);
  return {
    value: value.flatMap((_, i) => numbers(`part${i}`)),
    iterations: entry(numbers('iterations'), 0),
    residual: entry(numbers('residual'), 0),
  };
}

const vector = (b: Builder, dtype: DataType, numbers: ArrayLike<number>): Value =>
  b.constant(tensorFrom(dtype, [numbers.length], Array.from(numbers)));
const matrixOf = (b: Builder, dtype: DataType, matrix: Matrix): Value => {
  const order = Math.sqrt(matrix.length);
  return b.constant(tensorFrom(dtype, [order, order], matrix));
};

/** Solves for one vector. */
function solved(
  matrix: Matrix,
  rightHandSide: ArrayLike<number>,
  make: (b: Builder) => Settings = () => ({}),
  dtype: DataType = 'float64',
): Promise<Outcome> {
  const b = new Builder();
  const a = matrixOf(b, dtype, matrix);
  return outcome(b, {
    operator: (inner, [x = a]) => [inner.matmul(a, x)],
    rightHandSide: [vector(b, dtype, rightHandSide)],
    maxIterations: 100,
    stopping: byResidual({ tolerance: dtype === 'float64' ? 1e-10 : 1e-5 }),
    ...make(b),
  });
}

/** Solves all systems at once, each an order×1 matrix. */
function solvedBatch(matrices: readonly Matrix[], sides: readonly ArrayLike<number>[], settings: Settings = {}) {
  const b = new Builder();
  const order = sides[0]?.length ?? 0;
  const stack = (rows: number, columns: number, parts: readonly ArrayLike<number>[]) =>
    b.constant(
      tensorFrom(
        'float64',
        [parts.length, rows, columns],
        parts.flatMap((part) => Array.from(part)),
      ),
    );
  const a = stack(order, order, matrices);
  return outcome(b, {
    operator: (inner, [x = a]) => [inner.matmul(a, x)],
    rightHandSide: [stack(order, 1, sides)],
    maxIterations: 100,
    stopping: byResidual({ tolerance: 1e-10 }),
    batched: true,
    ...settings,
  });
}

/** The first iterates of the method as in a textbook. */
function textbook(matrix: Matrix, rightHandSide: Float64Array, iterations: number): Float64Array {
  const dot = (x: Float64Array, y: Float64Array) => x.reduce((sum, number, i) => sum + number * entry(y, i), 0);
  let x = rightHandSide.map(() => 0);
  let r = rightHandSide;
  let p = r;
  for (let k = 0; k < iterations; k++) {
    const image = apply(matrix, p);
    const step = dot(r, r) / dot(p, image);
    x = x.map((number, i) => number + step * entry(p, i));
    const next = r.map((number, i) => number - step * entry(image, i));
    const ratio = dot(next, next) / dot(r, r);
    p = p.map((number, i) => entry(next, i) + ratio * number);
    r = next;
  }
  return x;
}

const ramp = (length: number): Float64Array => Float64Array.from({ length }, (_, i) => 1 + ((i * 7) % 5) - (i % 3));
const spectrum = (order: number, condition: number): number[] =>
  Array.from({ length: order }, (_, i) => condition ** (-i / Math.max(1, order - 1)));
const length = (x: ArrayLike<number>): number => Math.hypot(...Array.from(x));

describe('one system', () => {
  test('agrees with a dense solve over orders, conditions, scales and element types', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 0, max: 2 }),
        fc.integer({ min: -12, max: 12 }),
        fc.constantFrom('float32', 'float64'),
        fc.nat(1000),
        async (order, digits, scale, dtype, seed) => {
          const matrix = withEigenvalues(spectrum(order, 10 ** digits), seed);
          const side = ramp(order).map((x) => x * 10 ** scale);
          const result = await solved(matrix, side, undefined, dtype);
          expect(result.residual).toBeLessThanOrEqual(dtype === 'float64' ? 1e-10 : 1e-5);
          const error = largestDifference(result.value, solve(matrix, side));
          // ‖error‖ ≤ ‖A⁻¹‖·‖residual‖
          expect(error).toBeLessThan(length(side) * 10 ** digits * (dtype === 'float64' ? 1e-9 : 5e-5));
        },
      ),
      { numRuns: 30 },
    );
  });

  test('may be made of several tensors: weights and bias', async () => {
    const matrix = withEigenvalues(spectrum(8, 30), 1);
    const side = ramp(8);
    const b = new Builder();
    const a = matrixOf(b, 'float64', matrix);
    const result = await outcome(b, {
      operator: (inner, [weight = a, bias = a]) => {
        const y = inner.matmul(a, inner.concat([inner.reshape(weight, [6]), bias], 0));
        return [inner.reshape(inner.slice(y, 0, 0, 6), [2, 3]), inner.slice(y, 0, 6, 8)];
      },
      rightHandSide: [b.reshape(vector(b, 'float64', side.slice(0, 6)), [2, 3]), vector(b, 'float64', side.slice(6))],
      maxIterations: 50,
      stopping: byResidual({ tolerance: 1e-12 }),
    });
    expect(largestDifference(result.value, solve(matrix, side))).toBeLessThan(1e-9);
  });

  test('takes at most as many iterations as A has distinct eigenvalues', async () => {
    for (const distinct of [1, 2, 3, 5]) {
      const eigenvalues = Array.from({ length: 20 }, (_, i) => 1 + (i % distinct));
      const result = await solved(withEigenvalues(eigenvalues, distinct), ramp(20));
      expect(result.iterations).toBeLessThanOrEqual(distinct);
      expect(result.residual).toBeLessThanOrEqual(1e-10);
    }
  });

  test('running out of iterations is a result: the textbook iterate and its residual', async () => {
    const matrix = withEigenvalues(spectrum(20, 1e4), 3);
    const result = await solved(matrix, ramp(20), () => ({ maxIterations: 4 }));
    expect(result).toMatchObject({ iterations: 4 });
    expect(largestDifference(result.value, textbook(matrix, ramp(20), 4))).toBeLessThan(1e-10);
    const image = apply(matrix, Float64Array.from(result.value));
    const difference = ramp(20).map((x, i) => x - entry(image, i));
    expect(result.residual).toBeCloseTo(length(difference) / length(ramp(20)), 10);
  });

  test('ends as soon as the residual is within the tolerance', async () => {
    const matrix = withEigenvalues(spectrum(20, 1e4), 3);
    const loose = await solved(matrix, ramp(20), () => ({ stopping: byResidual({ tolerance: 0.05 }) }));
    expect(loose.residual).toBeLessThanOrEqual(0.05);
    const before = await solved(matrix, ramp(20), () => ({
      stopping: byResidual({ tolerance: 0.05 }),
      maxIterations: loose.iterations - 1,
    }));
    expect(before.residual).toBeGreaterThan(0.05);
  });

  test('starting from the solution takes no iteration', async () => {
    const matrix = withEigenvalues(spectrum(10, 100), 4);
    const solution = solve(matrix, ramp(10));
    const result = await solved(matrix, ramp(10), (b) => ({ initial: [vector(b, 'float64', solution)] }));
    expect(result).toMatchObject({ iterations: 0 });
    expect(largestDifference(result.value, solution)).toBeLessThan(1e-12);
  });

  test('starting near the solution takes fewer iterations than from zero', async () => {
    const matrix = withEigenvalues(spectrum(30, 1e4), 4);
    const near = solve(matrix, ramp(30)).map((x, i) => x + 1e-9 * (i % 3));
    const cold = await solved(matrix, ramp(30));
    const warm = await solved(matrix, ramp(30), (b) => ({ initial: [vector(b, 'float64', near)] }));
    expect(warm.iterations).toBeLessThan(cold.iterations);
    expect(largestDifference(warm.value, solve(matrix, ramp(30)))).toBeLessThan(1e-5);
  });

  test('the start is the best multiple of what is given', async () => {
    const matrix = withEigenvalues(spectrum(10, 100), 4);
    const solution = solve(matrix, ramp(10));
    for (const factor of [-3, 1e-6, 1e6]) {
      const initial = solution.map((x) => factor * x);
      const result = await solved(matrix, ramp(10), (b) => ({ initial: [vector(b, 'float64', initial)] }));
      expect(result).toMatchObject({ iterations: 0 });
      expect(largestDifference(result.value, solution)).toBeLessThan(1e-12);
    }
  });

  test('a start whose residual is above that of zero, or that is NaN, is dropped', async () => {
    const cold = await solved(diagonal([1, 100]), [1, 1]);
    // φ is least at 0.13 of the first, with the residual (0.87, −2.9).
    for (const start of [
      [1, 0.3],
      [Number.NaN, 0],
      [Number.POSITIVE_INFINITY, 1],
      [0, 0],
    ]) {
      const initial = (b: Builder) => ({ initial: [vector(b, 'float64', start)] });
      expect(await solved(diagonal([1, 100]), [1, 1], initial)).toEqual(cold);
    }
  });

  test('a zero right-hand side gives zero in no iteration, whatever the start', async () => {
    const zero = new Float64Array(5);
    const expected = { value: [...zero], iterations: 0, residual: 0 };
    const matrix = withEigenvalues(spectrum(5, 10), 6);
    expect(await solved(matrix, zero)).toEqual(expected);
    expect(await solved(matrix, zero, (b) => ({ initial: [vector(b, 'float64', ramp(5))] }))).toEqual(expected);
    expect(await solved(matrix, zero, () => ({ stopping: never }))).toEqual(expected);
  });

  test('scales with the right-hand side, bit by bit for powers of two', async () => {
    const matrix = withEigenvalues(spectrum(10, 1e3), 7);
    const plain = await solved(matrix, ramp(10), undefined, 'float32');
    for (const scale of [2 ** -50, 2 ** 50]) {
      const scaled = await solved(
        matrix,
        ramp(10).map((x) => x * scale),
        undefined,
        'float32',
      );
      expect(scaled).toEqual({ ...plain, value: plain.value.map((x) => x * scale) });
    }
  });
});

describe('a batch of systems', () => {
  const orders = 12;
  const matrices = [1, 10, 1e3, 1e5].map((condition, i) => withEigenvalues(spectrum(orders, condition), i));
  const sides = matrices.map((_, i) => ramp(orders).map((x, at) => (x + i * (at % 2)) * 10 ** (3 * i - 4)));

  test('is its systems one by one; the slowest counts', async () => {
    const together = await solvedBatch(matrices, sides);
    const apart = await Promise.all(matrices.map((matrix, i) => solved(matrix, sides[i] ?? [])));
    expect(together.residual).toBeLessThanOrEqual(1e-10);
    expect(together.iterations).toBe(Math.max(...apart.map(({ iterations }) => iterations)));
    expect(together.residual).toBeLessThanOrEqual(1e-10);
    for (const [i, { value }] of apart.entries()) {
      const part = together.value.slice(i * orders, (i + 1) * orders);
      expect(largestDifference(part, value)).toBeLessThan(1e-9 * length(value));
    }
  });

  test('takes vectors of one number for each system, and several tensors', async () => {
    const b = new Builder();
    const factors = vector(b, 'float64', [2, 4, 5]);
    const parts = [vector(b, 'float64', [2, 4, 10]), b.constant(tensorFrom('float64', [3, 2], [4, 6, 8, 4, 5, 15]))];
    const result = await outcome(b, {
      operator: (inner, [x = factors, y = factors]) => [
        inner.mul(x, factors),
        inner.mul(y, inner.unsqueeze(factors, [1])),
      ],
      rightHandSide: parts,
      maxIterations: 3,
      stopping: byResidual({ tolerance: 1e-12 }),
      batched: true,
    });
    expect(result.iterations).toBe(1);
    expect(largestDifference(result.value, [1, 1, 2, 2, 3, 2, 1, 1, 3])).toBeLessThan(1e-14);
  });

  test('tells what each system took, if asked: what it takes alone', async () => {
    const b = new Builder();
    const a = b.constant(
      tensorFrom(
        'float64',
        [4, orders, orders],
        matrices.flatMap((each) => Array.from(each)),
      ),
    );
    const options = {
      operator: (inner: Builder, [x = a]: readonly Value[]) => [inner.matmul(a, x)],
      rightHandSide: [
        b.constant(
          tensorFrom(
            'float64',
            [4, orders, 1],
            sides.flatMap((side) => Array.from(side)),
          ),
        ),
      ],
      maxIterations: 100,
      stopping: byResidual({ tolerance: 1e-10 }),
      batched: true,
    };
    expect(conjugateGradient(b, options).systems).toBeUndefined();
    const { systems } = conjugateGradient(b, { ...options, apart: true });
    if (!systems) throw new Error('it was asked');
    const results = await evaluate({ ...systems }, b);
    const told = (name: string) => toNumbers(results[name] ?? tensorFrom('float32', [0], []));
    const apart = await Promise.all(matrices.map((matrix, i) => solved(matrix, sides[i] ?? [])));
    expect(told('iterations')).toEqual(apart.map(({ iterations }) => iterations));
    expect(new Set(told('iterations')).size).toBeGreaterThan(2);
    for (const [i, { residual }] of apart.entries())
      expect(Math.abs(entry(told('residual'), i) - residual)).toBeLessThan(1e-10);
  });

  test('a system that is zero, or breaks down, leaves the others alone', async () => {
    const indefinite = diagonal(ramp(orders).map((_, i) => (i % 2 === 0 ? 1 : -1)));
    const systems = [...matrices, indefinite, diagonal(new Float64Array(orders))];
    const result = await solvedBatch(systems, [
      ...sides.slice(0, 3),
      new Float64Array(orders),
      ramp(orders),
      ramp(orders),
    ]);
    expect(result.value.every(Number.isFinite)).toBe(true);
    expect(result.residual).toBe(1);
    for (const i of [0, 1, 2]) {
      const part = result.value.slice(i * orders, (i + 1) * orders);
      const exact = solve(matrices[i] ?? indefinite, sides[i] ?? []);
      expect(largestDifference(part, exact)).toBeLessThan(1e-6 * length(exact));
    }
    expect(result.value.slice(3 * orders, 4 * orders)).toEqual(Array(orders).fill(0));
  });
});

describe('breakdowns', () => {
  test.each([
    ['zero', 0, 0],
    ['negative definite', -1, -2],
    ['indefinite', 1, -1],
    ['singular', 1, 0],
    ['tiny', 1e-37, 1e-38],
    ['huge', 1e37, 1e36],
    ['both', 1e19, 1e-19],
  ])('a %s operator ends without NaN', async (_, even, odd) => {
    const matrix = diagonal(ramp(9).map((__, i) => (i % 2 === 0 ? even : odd)));
    for (const scale of [1e-25, 1, 1e12]) {
      const side = ramp(9).map((x) => x * scale);
      const result = await solved(matrix, side, () => ({ stopping: never, maxIterations: 60 }), 'float32');
      expect(result.value.some(Number.isNaN)).toBe(false);
      expect(Number.isFinite(result.residual)).toBe(true);
    }
  });

  test('a direction of no or negative curvature, or one along which the residual explodes, is not taken', async () => {
    const negative = diagonal([-1, -2]);
    const flat = Float64Array.of(0, 1, 1, 0);
    const explosive = Float64Array.of(1e-12, 1, 1, 0);
    for (const matrix of [negative, flat, explosive]) {
      const result = await solved(matrix, [3, 0]);
      expect(result).toEqual({ value: [0, 0], iterations: 1, residual: 1 });
    }
  });

  test('a singular but consistent system is solved', async () => {
    const matrix = diagonal([1, 2, 0, 4]);
    const result = await solved(matrix, [3, 4, 0, 8]);
    expect(result.residual).toBeLessThanOrEqual(1e-10);
    expect(largestDifference(result.value, [3, 2, 0, 2])).toBeLessThan(1e-12);
  });

  test('asking for more than rounding allows ends, and keeps the solution', async () => {
    const matrix = withEigenvalues(spectrum(10, 100), 9);
    const result = await solved(matrix, ramp(10), () => ({ stopping: never, maxIterations: 500 }));
    expect(largestDifference(result.value, solve(matrix, ramp(10)))).toBeLessThan(1e-10);
  });

  test('an operator that returns NaN leaves the value before it', async () => {
    const matrix = diagonal([1, 2, Number.NaN]);
    const result = await solved(matrix, [1, 1, 1]);
    expect(result).toEqual({ value: [0, 0, 0], iterations: 1, residual: 1 });
  });
});

test('shapes that do not fit are refused', () => {
  const b = new Builder();
  const side = b.input('side', 'float32', [4]);
  const other = b.input('other', 'float32', [5]);
  const good: ConjugateGradientOptions = {
    operator: (_, x) => x,
    rightHandSide: [side],
    maxIterations: 1,
    stopping: never,
  };
  expect(() => conjugateGradient(b, { ...good, rightHandSide: [] })).toThrow(GraphError);
  expect(() => conjugateGradient(b, { ...good, operator: () => [other] })).toThrow(
    "the operator has (float32[5]), expected the right-hand side's (float32[4])",
  );
  expect(() => conjugateGradient(b, { ...good, initial: [side, side] })).toThrow('the initial has');
});
