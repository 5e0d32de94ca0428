import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { diagonal, entry, identity, largestDifference, multiply } from '../../test/support/dense-solves.js';
import { evaluate } from '../../test/support/evaluate.js';
import { GraphError } from '../errors.js';
import { type DataType, tensorFrom, toNumbers } from '../graph/tensor.js';
import { Builder } from '../ops/builder.js';
import { random } from '../random.js';
import { orthogonalFactor } from './qr.js';

async function factors(dtype: DataType, matrices: readonly ArrayLike<number>[]): Promise<number[][]> {
  const order = Math.sqrt(matrices[0]?.length ?? 0);
  const dims = [matrices.length, order, order];
  const b = new Builder();
  const q = orthogonalFactor(b, b.input('matrix', dtype, dims));
  expect(q.dims).toEqual(dims);
  const elements = matrices.flatMap((matrix) => Array.from(matrix));
  const results = await evaluate({ q }, b, { matrix: tensorFrom(dtype, dims, elements) });
  const numbers = results.q ? toNumbers(results.q) : [];
  return matrices.map((_, i) => numbers.slice(i * order ** 2, (i + 1) * order ** 2));
}

const transposed = (matrix: ArrayLike<number>): Float64Array => {
  const order = Math.sqrt(matrix.length);
  return Float64Array.from({ length: matrix.length }, (_, i) =>
    entry(matrix, (i % order) * order + Math.floor(i / order)),
  );
};

const normals = (order: number, seed: number): Float64Array => {
  const source = random(seed, 'matrix');
  return Float64Array.from({ length: order ** 2 }, () => source.normal());
};

/** Gram–Schmidt, twice: an oracle for regular matrices. */
function gramSchmidt(matrix: ArrayLike<number>): Float64Array {
  const order = Math.sqrt(matrix.length);
  const columns: number[][] = [];
  for (let k = 0; k < order; k++) {
    let column = Array.from({ length: order }, (_, i) => entry(matrix, i * order + k));
    for (const other of [...columns, ...columns]) {
      const dot = column.reduce((sum, x, i) => sum + x * entry(other, i), 0);
      column = column.map((x, i) => x - dot * entry(other, i));
    }
    const norm = Math.hypot(...column);
    columns.push(column.map((x) => x / norm));
  }
  return transposed(Float64Array.from(columns.flat()));
}

/** QᵀQ = I, and QᵀM is upper triangular with a diagonal that is not negative. */
function expectFactor(q: readonly number[], matrix: ArrayLike<number>, tolerance: number): void {
  const order = Math.sqrt(q.length);
  expect(largestDifference(multiply(transposed(q), q, order), identity(order))).toBeLessThan(tolerance);
  const r = multiply(transposed(q), matrix, order);
  const scale = Math.max(...Array.from(matrix, Math.abs), 1e-300);
  const below = r.filter((_, i) => Math.floor(i / order) > i % order);
  expect(Math.max(0, ...below.map(Math.abs)) / scale).toBeLessThan(tolerance);
  expect(Math.min(...r.filter((_, i) => i % (order + 1) === 0)) / scale).toBeGreaterThan(-tolerance);
}

describe('orthogonalFactor', () => {
  test.each([
    ['float64', 1e-12],
    ['float32', 2e-5],
  ] as const)('of regular, singular and widely scaled matrices in %s', async (dtype, tolerance) => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 70 }),
        fc.integer({ min: 0, max: 70 }),
        fc.integer({ min: -15, max: 15 }),
        fc.nat(1000),
        async (order, rank, scale, seed) => {
          const regular = normals(order, seed).map((x) => x * 10 ** scale);
          const projector = diagonal(Array.from({ length: order }, (_, i) => Number(i < rank)));
          const singular = multiply(multiply(regular, projector, order), normals(order, seed + 1), order);
          const matrices = [regular, singular].map((matrix) => toNumbers(tensorFrom(dtype, [matrix.length], matrix)));
          const found = await factors(dtype, matrices);
          for (const [i, matrix] of matrices.entries()) expectFactor(found[i] ?? [], matrix, tolerance * 10);
        },
      ),
      { numRuns: 25 },
    );
  });

  test('is that of Gram and Schmidt, over orders around the width of a panel', async () => {
    for (const order of [1, 2, 31, 32, 33, 64, 65, 100]) {
      const matrix = normals(order, order);
      const [q = []] = await factors('float64', [matrix]);
      expect(largestDifference(q, gramSchmidt(matrix))).toBeLessThan(1e-10);
    }
  });

  test('of a zero matrix is orthogonal, and of an orthogonal one itself', async () => {
    const [orthogonal = []] = await factors('float64', [normals(40, 3)]);
    const [zero = [], again = []] = await factors('float64', [diagonal(new Float64Array(40)), orthogonal]);
    expectFactor(zero, diagonal(new Float64Array(40)), 1e-12);
    expect(largestDifference(again, orthogonal)).toBeLessThan(1e-12);
  });

  test('refuses what is not square', () => {
    const b = new Builder();
    expect(() => orthogonalFactor(b, b.input('x', 'float32', [2, 3]))).toThrow(GraphError);
  });
});
