import fc from 'fast-check';
import { expect, test } from 'vitest';
import { largestDifference } from '../../test/support/dense-solves.js';
import { FedBuilder, normals } from '../../test/support/fed-builder.js';
import { elementCount } from '../graph/tensor.js';
import { random } from '../random.js';
import { Modes } from './modes.js';

/** The position of an element of row-major dims. */
const positionOf = (dims: readonly number[], at: readonly number[]): number =>
  at.reduce((sum, i, axis) => sum * (dims[axis] ?? 1) + i, 0);

const placesIn = (dims: readonly number[]): number[][] =>
  dims.reduce<number[][]>(
    (places, size) => places.flatMap((at) => Array.from({ length: size }, (_, i) => [...at, i])),
    [[]],
  );

const tensorShapes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 });

test('blocks of every shape join to what was split', async () => {
  await fc.assert(
    fc.asyncProperty(
      tensorShapes,
      fc.integer({ min: 1, max: 6 }),
      fc.boolean(),
      async (dims, blockSize, mergeKernels) => {
        const modes = new Modes(dims, { blockSize, mergeKernels });
        const b = new FedBuilder();
        const elements = normals(random(1), elementCount(dims));
        const blocks = modes.split(b, b.given(dims, elements));
        expect(blocks.dims).toEqual(modes.shape);
        expect(Math.max(...modes.sizes)).toBeLessThanOrEqual(blockSize);
        const joined = modes.join(b, blocks);
        expect(joined.dims).toEqual(dims);
        expect((await b.compute({ joined })).joined).toEqual(elements);
      },
    ),
    { numRuns: 40 },
  );
});

test('each mode has its Gram matrix and its product, as sums over the other modes', async () => {
  await fc.assert(
    fc.asyncProperty(tensorShapes, fc.nat(100), fc.boolean(), async (dims, seed, transposed) => {
      const modes = new Modes(dims, { blockSize: 8, mergeKernels: false });
      const source = random(seed);
      const elements = normals(source, elementCount(dims));
      const at = (place: readonly number[]) => elements[positionOf(dims, place)] ?? Number.NaN;
      for (const [mode, size] of dims.entries()) {
        const matrix = normals(source, size * size);
        const b = new FedBuilder();
        const x = b.given(dims, elements);
        const { gram, product } = await b.compute({
          gram: modes.gram(b, x, mode),
          product: modes.apply(b, x, mode, b.given([size, size], matrix), transposed),
        });
        const indices = Array.from({ length: size }, (_, i) => i);
        const others = placesIn(dims).filter((place) => place[mode] === 0);
        const expectedGram = indices.flatMap((i) =>
          indices.map((j) => others.reduce((sum, place) => sum + at(place.with(mode, i)) * at(place.with(mode, j)), 0)),
        );
        const expectedProduct = placesIn(dims).map((place) => {
          const i = place[mode] ?? 0;
          const entry = (j: number) => matrix[transposed ? j * size + i : i * size + j] ?? Number.NaN;
          return indices.reduce((sum, j) => sum + entry(j) * at(place.with(mode, j)), 0);
        });
        expect(largestDifference(gram, expectedGram)).toBeLessThan(1e-12);
        expect(largestDifference(product, expectedProduct)).toBeLessThan(1e-12);
      }
    }),
    { numRuns: 25 },
  );
});

test('blocks are treated one by one', async () => {
  const [size, count] = [4, 16];
  const modes = new Modes([size, size], { blockSize: 2, mergeKernels: true });
  const elements = normals(random(3), count);
  const b = new FedBuilder();
  const { grams } = await b.compute({ grams: modes.gram(b, modes.split(b, b.given([size, size], elements)), 0) });
  const at = (row: number, column: number) => elements[row * size + column] ?? Number.NaN;
  const expected = [0, 2].flatMap((row) =>
    [0, 2].flatMap((column) =>
      [0, 1].flatMap((i) =>
        [0, 1].map((j) => [0, 1].reduce((sum, k) => sum + at(row + i, column + k) * at(row + j, column + k), 0)),
      ),
    ),
  );
  expect(largestDifference(grams, expected)).toBeLessThan(1e-13);
});

test('a kernel is a matrix, or has four modes; a number has one', () => {
  expect(new Modes([8, 3, 5, 5], { blockSize: 100, mergeKernels: true }).sizes).toEqual([8, 75]);
  expect(new Modes([8, 3, 5, 5], { blockSize: 100, mergeKernels: false }).sizes).toEqual([8, 3, 5, 5]);
  expect(new Modes([], { blockSize: 100, mergeKernels: true }).sizes).toEqual([1]);
  expect(new Modes([784, 10], { blockSize: 256, mergeKernels: true }).shape).toEqual([4, 196, 10]);
});
