import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  diagonal,
  entry,
  hilbert,
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
import { symmetricEigen } from './symmetric-eigen.js';

interface Eigen {
  readonly values: number[];
  readonly vectors: number[];
}

/** The decompositions of matrices of one order, as one batch, or as a matrix if there is one. */
async function decomposed(dtype: DataType, matrices: readonly ArrayLike<number>[]): Promise<Eigen[]> {
  const order = Math.sqrt(matrices[0]?.length ?? 0);
  const dims = matrices.length === 1 ? [order, order] : [matrices.length, order, order];
  const b = new Builder();
  const { values, vectors } = symmetricEigen(b, b.input('matrix', dtype, dims));
  expect([values.dims, vectors.dims]).toEqual([dims.slice(0, -1), dims]);
  const elements = matrices.flatMap((matrix) => Array.from(matrix));
  const results = await evaluate({ values, vectors }, b, { matrix: tensorFrom(dtype, dims, elements) });
  const part = (name: string, i: number, size: number): number[] => {
    const tensor = results[name];
    return tensor ? toNumbers(tensor).slice(i * size, (i + 1) * size) : [];
  };
  return matrices.map((_, i) => ({ values: part('values', i, order), vectors: part('vectors', i, order ** 2) }));
}

const orthogonality = (vectors: readonly number[]): number => {
  const order = Math.sqrt(vectors.length);
  return largestDifference(multiply(vectors, vectors, order, true), identity(order));
};

/** max |V·diag(λ)·Vᵀ − A| over max |A| */
const residual = (matrix: ArrayLike<number>, { values, vectors }: Eigen): number => {
  const order = values.length;
  const back = multiply(multiply(vectors, diagonal(values), order), vectors, order, true);
  return largestDifference(back, matrix) / Math.max(...Array.from(matrix, Math.abs));
};

const descending = (values: readonly number[]): boolean => values.every((x, i) => i === 0 || x <= entry(values, i - 1));

describe('symmetricEigen', () => {
  test.each([
    ['float64', 1e-12],
    ['float32', 3e-6],
  ] as const)('gives back the spectrum, orthogonal vectors and the matrix in %s', async (dtype, tolerance) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: -4, max: 4 }), { minLength: 1, maxLength: 40 }), // with multiple eigenvalues
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer({ min: -9, max: 9 }),
        fc.nat(1000),
        async (steps, spread, scale, seed) => {
          const spectrum = steps.map((step, i) => (step + spread * Math.sin(i)) * 10 ** scale);
          const matrix = withEigenvalues(spectrum, seed);
          const [eigen] = await decomposed(dtype, [matrix]);
          if (!eigen) throw new Error('there is one matrix');
          const largest = Math.max(...spectrum.map(Math.abs), 1e-30);
          expect(orthogonality(eigen.vectors)).toBeLessThan(tolerance);
          expect(descending(eigen.values)).toBe(true);
          const expected = spectrum.toSorted((x, y) => y - x);
          expect(largestDifference(eigen.values, expected) / largest).toBeLessThan(tolerance);
          if (largest > 1e-20) expect(residual(matrix, eigen)).toBeLessThan(10 * tolerance);
        },
      ),
      { numRuns: 30 },
    );
  });

  test.each(['float64', 'float32'] as const)(
    'multiple eigenvalues, low rank, and Hilbert matrices in %s',
    async (dtype) => {
      const precision = dtype === 'float64' ? 1e-13 : 1e-6;
      const order = 64;
      const matrices = [
        withEigenvalues(
          Array.from({ length: order }, (_, i) => i % 3),
          5,
        ),
        lowRankPlusDamping(order, 9, 0, 1),
        hilbert(order, 0),
      ];
      const eigen = await decomposed(dtype, matrices);
      for (const [i, matrix] of matrices.entries()) {
        const own = eigen[i] ?? { values: [], vectors: [] };
        expect(orthogonality(own.vectors)).toBeLessThan(precision);
        expect(residual(matrix, own)).toBeLessThan(10 * precision);
        expect(descending(own.values)).toBe(true);
      }
    },
  );

  test('of zero and diagonal matrices are permutations', async () => {
    const [zero, sorted] = await decomposed('float32', [diagonal([0, 0, 0]), diagonal([1, 3, 2])]);
    expect(zero).toEqual({ values: [0, 0, 0], vectors: [...identity(3)] });
    expect(sorted).toEqual({ values: [3, 2, 1], vectors: [0, 0, 1, 1, 0, 0, 0, 1, 0] });
  });

  test('of a 2×2 matrix is the one that is known', async () => {
    const [eigen] = await decomposed('float64', [[2, 1, 1, 2]]);
    expect(largestDifference(eigen?.values ?? [], [3, 1])).toBeLessThan(1e-15);
    expect(largestDifference((eigen?.vectors ?? []).map(Math.abs), Array(4).fill(Math.SQRT1_2))).toBeLessThan(1e-15);
  });

  test('takes batches of one, and shows numbers that are not finite', async () => {
    const b = new Builder();
    const { values, vectors } = symmetricEigen(b, b.constant(tensorFrom('float64', [1, 2, 2], [1, 0, 0, 4])));
    expect([values.dims, vectors.dims]).toEqual([
      [1, 2],
      [1, 2, 2],
    ]);
    const results = await evaluate({ values }, b);
    expect(results.values && toNumbers(results.values)).toEqual([4, 1]);
    const [broken] = await decomposed('float32', [[Number.NaN, 1, 1, 2]]);
    expect(broken?.values.some(Number.isNaN)).toBe(true);
  });

  test('refuses what is not square', () => {
    const b = new Builder();
    expect(() => symmetricEigen(b, b.input('x', 'float32', [2, 3]))).toThrow(GraphError);
  });
});
