import { expect, test } from 'vitest';
import {
  diagonal,
  entry,
  identity,
  largestDifference,
  multiply,
  withEigenvalues,
} from '../../test/support/dense-solves.js';
import { evaluate } from '../../test/support/evaluate.js';
import { type DataType, tensorFrom, toNumbers } from '../graph/tensor.js';
import { Builder } from '../ops/builder.js';
import { firstEigenbasis, orderedIteration, orthogonalIteration, rayleighQuotients } from './eigenbasis.js';

/** Steps of orthogonal iteration, each after an ordering by Rayleigh quotients. */
async function iterated(
  matrix: ArrayLike<number>,
  steps: number,
  dtype: DataType = 'float64',
  start: ArrayLike<number> = identity(Math.sqrt(matrix.length)),
) {
  const order = Math.sqrt(matrix.length);
  const b = new Builder();
  const a = b.input('matrix', dtype, [order, order]);
  const started = b.input('start', dtype, [order, order]);
  const { basis } = b.loop(steps, { basis: started }, (inner, _, { basis: old }) => {
    return { basis: orderedIteration(inner, a, old).basis };
  });
  const results = await evaluate({ basis, values: rayleighQuotients(b, a, basis) }, b, {
    matrix: tensorFrom(dtype, [order, order], Array.from(matrix)),
    start: tensorFrom(dtype, [order, order], Array.from(start)),
  });
  const numbers = (name: string): number[] => (results[name] ? toNumbers(results[name]) : []);
  return { basis: numbers('basis'), values: numbers('values') };
}

test('orthogonal iteration converges to the eigenbasis, from the largest eigenvalue down', async () => {
  const spectrum = [1, 0.5, 0.2, 0.05, 0.01, 0];
  const matrix = withEigenvalues(spectrum.toReversed(), 2);
  const { basis, values } = await iterated(matrix, 60);
  expect(largestDifference(values, spectrum)).toBeLessThan(1e-13);
  expect(largestDifference(multiply(multiply(basis, diagonal(values), 6), basis, 6, true), matrix)).toBeLessThan(1e-13);
});

test('one step of it keeps an eigenbasis with its signs', async () => {
  const b = new Builder();
  const signs = diagonal([1, -1, -1, 1]);
  const [a, start] = [diagonal([5, 3, 2, 0]), signs].map((matrix) =>
    b.constant(tensorFrom('float64', [4, 4], Array.from(matrix))),
  );
  if (!a || !start) throw new Error('there are two matrices');
  const { basis } = await evaluate({ basis: orthogonalIteration(b, a, start) }, b);
  expect(largestDifference(basis ? toNumbers(basis) : [], signs)).toBeLessThan(1e-15);
});

test.each(['float64', 'float32'] as const)('it keeps the basis of a zero matrix in %s', async (dtype) => {
  const start = [0.6, 0.8, 0, -0.8, 0.6, 0, 0, 0, 1];
  const { basis, values } = await iterated(diagonal([0, 0, 0]), 3, dtype, start);
  expect(largestDifference(basis, start)).toBeLessThan(3e-7);
  expect(values).toEqual([0, 0, 0]);
});

test('a basis stays orthogonal over 200 steps in float32, on a matrix of low rank', async () => {
  const spectrum = Array.from({ length: 40 }, (_, i) => (i < 10 ? 10 ** -i : 0));
  const { basis, values } = await iterated(withEigenvalues(spectrum, 1), 200, 'float32');
  expect(largestDifference(multiply(basis, basis, 40, true), identity(40))).toBeLessThan(2e-6);
  for (const [i, value] of values.entries()) expect(value).toBeCloseTo(entry(spectrum, i), 6);
});

test('a first basis is the eigenbasis, and near the leading vectors of a large matrix', async () => {
  const spectrum = (order: number) => Array.from({ length: order }, (_, i) => 0.3 ** i);
  for (const order of [20, 100]) {
    const matrix = withEigenvalues(spectrum(order), 1);
    const b = new Builder();
    const a = b.constant(tensorFrom('float64', [order, order], Array.from(matrix)));
    const basis = firstEigenbasis(b, a);
    const results = await evaluate({ basis, values: rayleighQuotients(b, a, basis) }, b);
    const numbers = (name: string): number[] => (results[name] ? toNumbers(results[name]) : []);
    const leading = numbers('values').slice(0, 4);
    expect(largestDifference(leading, spectrum(4))).toBeLessThan(order === 20 ? 1e-13 : 1e-2);
    const vectors = numbers('basis');
    expect(largestDifference(multiply(vectors, vectors, order, true), identity(order))).toBeLessThan(1e-12);
  }
});
