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
import { type DataType, type TensorData, tensorFrom, toNumbers } from '../graph/tensor.js';
import { Builder } from '../ops/builder.js';
import { inverseCholeskyFactor } from './cholesky.js';
import { gramOfTriangle, spdInverse } from './spd-inverse.js';

type Solver = (b: Builder, matrix: ReturnType<Builder['input']>) => ReturnType<Builder['input']>;
const epsilon = { float32: 2 ** -24, float64: 2 ** -53 };

/** One result for each matrix, all computed by one program. */
async function run(solver: Solver, matrices: readonly TensorData[]): Promise<number[][]> {
  const b = new Builder();
  const outputs = matrices.map((matrix, i) => solver(b, b.input(`matrix${i}`, matrix.dtype, matrix.dims)));
  const results = await evaluate(
    Object.fromEntries(outputs.map((output, i) => [`inverse${i}`, output])),
    b,
    Object.fromEntries(matrices.map((matrix, i) => [`matrix${i}`, matrix])),
  );
  return outputs.map((_, i) => toNumbers(results[`inverse${i}`] ?? tensorFrom('float32', [0], [])));
}

const square = (dtype: DataType, elements: ArrayLike<number>): TensorData => {
  const order = Math.sqrt(elements.length);
  return tensorFrom(dtype, [order, order], Array.from(elements));
};

/** max |A·X − I|, with A as the program got it. */
const residual = (matrix: TensorData, inverse: ArrayLike<number>): number => {
  const order = matrix.dims.at(-1) ?? 0;
  return largestDifference(multiply(toNumbers(matrix), inverse, order), identity(order));
};

/** Eigenvalues from 1 down to 1/κ, evenly spaced in their logarithms. */
const spectrum = (order: number, condition: number): number[] =>
  Array.from({ length: order }, (_, i) => condition ** (-i / Math.max(1, order - 1)));

const inverseByFactor: Solver = (b, matrix) => gramOfTriangle(b, inverseCholeskyFactor(b, matrix));

describe('inverseCholeskyFactor', () => {
  test('is lower triangular and turns A into I, for every order to 70', async () => {
    const orders = Array.from({ length: 70 }, (_, i) => i + 1);
    const matrices = orders.map((order) => square('float32', withEigenvalues(spectrum(order, 50), order)));
    const factors = await run(inverseCholeskyFactor, matrices);
    for (const [i, order] of orders.entries()) {
      const factor = factors[i] ?? [];
      expect(factor).toHaveLength(order * order);
      const above = factor.filter((_, at) => at % order > Math.floor(at / order));
      expect(above.every((x) => x === 0)).toBe(true);
      expect(factor.filter((_, at) => at % (order + 1) === 0).every((x) => x > 0)).toBe(true);
      const whitened = multiply(
        multiply(factor, toNumbers(matrices[i] ?? square('float32', [])), order),
        factor,
        order,
        true,
      );
      expect(largestDifference(whitened, identity(order))).toBeLessThan(20 * 50 * epsilon.float32);
    }
  });

  test('of a diagonal matrix is λ^(−½), far apart as the eigenvalues may be', async () => {
    const eigenvalues = Array.from({ length: 40 }, (_, i) => 10 ** ((i * 7) % 40) / 1e20);
    const [factor = []] = await run(inverseCholeskyFactor, [square('float64', diagonal(eigenvalues))]);
    for (const [i, eigenvalue] of eigenvalues.entries()) {
      expect(entry(factor, i * 41) * Math.sqrt(eigenvalue)).toBeCloseTo(1, 12);
    }
  });

  test('a batch is the matrices one by one', async () => {
    const [order, batch] = [37, 6];
    const matrices = Array.from({ length: batch }, (_, i) => withEigenvalues(spectrum(order, 10 ** i), i));
    const stacked = tensorFrom(
      'float64',
      [batch, order, order],
      matrices.flatMap((matrix) => [...matrix]),
    );
    const [together = []] = await run(inverseCholeskyFactor, [stacked]);
    const apart = await run(
      inverseCholeskyFactor,
      matrices.map((matrix) => square('float64', matrix)),
    );
    expect(largestDifference(together, apart.flat())).toBeLessThan(1e-8);
  });

  test('a matrix that is not positive definite shows as NaN', async () => {
    const [factor = []] = await run(inverseCholeskyFactor, [square('float32', diagonal([1, 2, -1, 3]))]);
    expect(factor.some(Number.isNaN)).toBe(true);
  });
});

describe('gramOfTriangle', () => {
  test('is YᵀY for orders that halve unevenly, single and batched', async () => {
    const triangle = (order: number) =>
      lowRankPlusDamping(order, order, 0.1, order).map((x, i) => (i % order > Math.floor(i / order) ? 0 : x));
    const orders = [1, 5, 129, 187];
    const matrices = orders.map((order) => square('float64', triangle(order)));
    const batched = matrices.map((matrix) => ({ ...matrix, dims: [1, ...matrix.dims] }));
    const grams = await run(gramOfTriangle, [...matrices, ...batched]);
    for (const [i, order] of orders.entries()) {
      const y = triangle(order);
      const transposed = y.map((_, at) => entry(y, (at % order) * order + Math.floor(at / order)));
      const expected = multiply(transposed, y, order);
      expect(largestDifference(grams[i] ?? [], expected)).toBeLessThan(1e-11);
      expect(largestDifference(grams[i + orders.length] ?? [], expected)).toBeLessThan(1e-11);
    }
  });
});

/** Both ways: the one that spdInverse takes at the order, and the blocked factor even where it would not be taken. */
describe.each([
  ['spdInverse', spdInverse],
  ['by the inverse factor', inverseByFactor],
] as const)('%s', (_, solver) => {
  test('A·A⁻¹ = I up to rounding, over orders, conditions and element types', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 70 }),
        fc.integer({ min: 0, max: 5 }),
        fc.integer({ min: -8, max: 8 }),
        fc.constantFrom('float32', 'float64'),
        fc.nat(1000),
        async (order, digits, scale, dtype, seed) => {
          const eigenvalues = spectrum(order, 10 ** digits).map((x) => x * 10 ** scale);
          const matrix = square(dtype, withEigenvalues(eigenvalues, seed));
          const [inverse = []] = await run(solver, [matrix]);
          expect(inverse).toHaveLength(order * order);
          expect(residual(matrix, inverse)).toBeLessThan(30 * 10 ** digits * epsilon[dtype]);
        },
      ),
      { numRuns: 25 },
    );
  });

  test('low rank plus damping, and Hilbert matrices', async () => {
    // LAPACK's spotrf + spotri leave 1e-4 to 3e-4 on the first kind.
    const lowRank = [64, 128, 160].map((n, i) => square('float32', lowRankPlusDamping(n, n / 2, 1e-3, i)));
    const hilberts = [6, 24, 60].map((n) => square('float32', hilbert(n, 1e-4)));
    const exact = square('float64', hilbert(8, 0)); // κ = 1.5e10
    const inverses = await run(solver, [...lowRank, ...hilberts, exact]);
    for (const [i, matrix] of lowRank.entries()) expect(residual(matrix, inverses[i] ?? [])).toBeLessThan(1e-3);
    for (const [i, matrix] of hilberts.entries()) expect(residual(matrix, inverses[i + 3] ?? [])).toBeLessThan(1e-2);
    expect(residual(exact, inverses[6] ?? [])).toBeLessThan(1e-4);
  });

  test('a batch', async () => {
    const [order, batch] = [128, 14];
    const matrices = Array.from({ length: batch }, (_, i) => square('float32', lowRankPlusDamping(order, 60, 1e-2, i)));
    const stacked = tensorFrom('float32', [batch, order, order], matrices.flatMap(toNumbers));
    const [inverses = []] = await run(solver, [stacked]);
    for (const [i, matrix] of matrices.entries()) {
      const inverse = inverses.slice(i * order ** 2, (i + 1) * order ** 2);
      expect(residual(matrix, inverse)).toBeLessThan(2e-4);
    }
  });
});

describe('spdInverse', () => {
  test('of orders that it takes by blocks: 300, and a batch of 150', async () => {
    const large = square('float32', lowRankPlusDamping(300, 150, 1e-3, 1));
    const pair = [2, 3].map((seed) => square('float32', lowRankPlusDamping(150, 75, 1e-3, seed)));
    const stacked = tensorFrom('float32', [2, 150, 150], pair.flatMap(toNumbers));
    const [inverse = [], inverses = []] = await run(spdInverse, [large, stacked]);
    expect(residual(large, inverse)).toBeLessThan(1e-3);
    for (const [i, matrix] of pair.entries()) {
      expect(residual(matrix, inverses.slice(i * 150 ** 2, (i + 1) * 150 ** 2))).toBeLessThan(1e-3);
    }
  });

  test('refuses what is not a square matrix or a batch of them', () => {
    const b = new Builder();
    const shapes: (string | number)[][] = [[3, 4], [9], [2, 3, 3, 3], [0, 0]];
    for (const [i, shape] of shapes.entries()) {
      expect(() => spdInverse(b, b.input(`x${i}`, 'float32', shape))).toThrow(GraphError);
      expect(() => spdInverse(b, b.input(`x${i}`, 'float32', shape))).toThrow(`'x${i}' has the shape`);
    }
    expect(() => spdInverse(b, b.input('open', 'float32', ['n', 'n']))).toThrow("symbolic size 'n'");
  });
});
