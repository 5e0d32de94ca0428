import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  diagonal,
  entry,
  identity,
  largestDifference,
  lowRankPlusDamping,
  multiply,
  withEigenvalues,
} from '../../test/support/dense-solves.js';
import { evaluate } from '../../test/support/evaluate.js';
import { GraphError } from '../errors.js';
import { type DataType, tensorFrom, toNumbers } from '../graph/tensor.js';
import { Builder } from '../ops/builder.js';
import { inverseRoot } from './inverse-root.js';
import { symmetricEigen } from './symmetric-eigen.js';

interface Request {
  readonly p: number;
  readonly ridge?: number;
  readonly dtype?: DataType;
}

async function rootOf(matrix: ArrayLike<number>, { p, ridge = 0, dtype = 'float64' }: Request) {
  const order = Math.sqrt(matrix.length);
  const b = new Builder();
  const { root, residual } = inverseRoot(b, b.input('matrix', dtype, [order, order]), p, ridge);
  const results = await evaluate({ root, residual }, b, {
    matrix: tensorFrom(dtype, [order, order], Array.from(matrix)),
  });
  const numbers = (name: string): number[] => (results[name] ? toNumbers(results[name]) : []);
  return { root: numbers('root'), residual: numbers('residual')[0] ?? Number.NaN };
}

describe('inverseRoot', () => {
  test('has the eigenvalues λ^(−1/p), for conditions up to a million', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 0, max: 6 }),
        fc.integer({ min: -8, max: 8 }),
        fc.nat(1000),
        async (order, p, digits, scale, seed) => {
          const spectrum = Array.from({ length: order }, (_, i) => 10 ** (scale - (digits * i) / order));
          const { root, residual } = await rootOf(withEigenvalues(spectrum, seed), { p });
          const expected = withEigenvalues(
            spectrum.map((x) => x ** (-1 / p)),
            seed,
          );
          const largest = Math.max(...expected.map(Math.abs));
          expect(largestDifference(root, expected) / largest).toBeLessThan(1e-9);
          expect(residual).toBeLessThan(1e-10);
        },
      ),
      { numRuns: 40 },
    );
  });

  test.each([2, 4, 8])('of singular matrices plus a ridge in float32: the power −1/%i by an eigenbasis', async (p) => {
    const [order, ridge] = [48, 1e-6];
    const matrix = lowRankPlusDamping(order, 8, 0, p);
    const { root, residual } = await rootOf(matrix, { p, ridge, dtype: 'float32' });
    expect(residual).toBeLessThan(1e-4);
    const b = new Builder();
    const bound = Math.max(
      ...Array.from({ length: order }, (_, i) =>
        matrix.slice(i * order, (i + 1) * order).reduce((sum, x) => sum + Math.abs(x), 0),
      ),
    );
    const { values, vectors } = symmetricEigen(
      b,
      b.constant(tensorFrom('float64', [order, order], Array.from(matrix))),
    );
    const results = await evaluate({ values, vectors }, b);
    const powers = (results.values ? toNumbers(results.values) : []).map((x) => (x + ridge * bound) ** (-1 / p));
    const basis = results.vectors ? toNumbers(results.vectors) : [];
    const expected = multiply(multiply(basis, diagonal(powers), order), basis, order, true);
    expect(largestDifference(root, expected) / Math.max(...expected.map(Math.abs))).toBeLessThan(0.02);
  });

  test('of a batch is each matrix alone', async () => {
    const matrices = [1, 2, 3].map((seed) => withEigenvalues([seed, 0.1, 10 * seed], seed));
    const b = new Builder();
    const elements = matrices.flatMap((matrix) => Array.from(matrix));
    const { root } = inverseRoot(b, b.constant(tensorFrom('float64', [3, 3, 3], elements)), 4, 0);
    const results = await evaluate({ root }, b);
    const together = results.root ? toNumbers(results.root) : [];
    for (const [i, matrix] of matrices.entries()) {
      const alone = await rootOf(matrix, { p: 4 });
      expect(largestDifference(together.slice(9 * i, 9 * i + 9), alone.root)).toBeLessThan(1e-10);
    }
  });

  test.each(['float32', 'float64'] as const)(
    'of a zero matrix is a multiple of I, of numbers that are not finite NaN in %s',
    async (dtype) => {
      const { root } = await rootOf(new Float64Array(9), { p: 4, ridge: 1e-6, dtype });
      expect(root.every(Number.isFinite)).toBe(true);
      const scale = entry(root, 0);
      expect(
        largestDifference(
          root.map((x) => x / scale),
          identity(3),
        ),
      ).toBeLessThan(1e-6);
      const broken = await rootOf([Number.NaN, 0, 0, 1], { p: 2, dtype });
      expect(broken.root.some(Number.isNaN)).toBe(true);
    },
  );

  test('refuses what is not square', () => {
    const b = new Builder();
    expect(() => inverseRoot(b, b.input('x', 'float32', [2, 3]), 2, 0)).toThrow(GraphError);
  });
});
