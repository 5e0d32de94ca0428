// Matrix helpers on single matrices and on batches of them.
import { expect, test } from 'vitest';
import { trace } from '../../../test/support/dense.js';
import { FedBuilder, randomMatrix } from '../../../test/support/fed-builder.js';
import { identityLike } from '../../ops/identity.js';
import { random } from '../../random.js';
import { elementDot, stack, total, traceOf, unstack } from './matrices.js';

const source = random(4, 'matrices');
const matrices = Array.from({ length: 4 }, () => randomMatrix(source, 3, 3));
const elements = matrices.flatMap(({ data }) => [...data]);

test('what stack puts together, unstack takes apart: matrices and batches in any order', async () => {
  const b = new FedBuilder();
  const [first, second, third, fourth] = matrices.map((matrix) => b.matrix(matrix));
  if (!first || !second || !third || !fourth) throw new Error('four matrices');
  const given = [first, stack(b, [second, third]), fourth];
  const stacked = stack(b, given);
  expect(stacked.dims).toEqual([4, 3, 3]);
  const parts = given.map((_, i) => unstack(b, stacked, given, i));
  expect(parts.map(({ dims }) => dims)).toEqual(given.map(({ dims }) => dims));
  const results = await b.compute(Object.fromEntries(parts.map((part, i) => [String(i), part])));
  expect(['0', '1', '2'].flatMap((i) => results[i] ?? [])).toEqual(elements);
});

test('traces and inner products of a batch are those of its matrices', async () => {
  const b = new FedBuilder();
  const batch = b.given([4, 3, 3], elements);
  const one = b.matrix(matrices[0] ?? randomMatrix(source, 3, 3));
  const [traces, products] = [traceOf(b, batch), elementDot(b, batch, batch)];
  expect([traces.dims, products.dims]).toEqual([
    [4, 1, 1],
    [4, 1, 1],
  ]);
  const results = await b.compute({ traces, products, sum: total(b, traces), same: total(b, traceOf(b, one)) });
  const expected = matrices.map(trace);
  for (const [i, x] of results.traces.entries()) expect(x).toBeCloseTo(expected[i] ?? Number.NaN, 12);
  const squares = matrices.map(({ data }) => data.reduce((sum, x) => sum + x * x, 0));
  for (const [i, x] of results.products.entries()) expect(x).toBeCloseTo(squares[i] ?? Number.NaN, 12);
  expect(results.sum[0]).toBeCloseTo(
    expected.reduce((sum, x) => sum + x, 0),
    12,
  );
  expect(results.same[0]).toBeCloseTo(expected[0] ?? Number.NaN, 12);
});

test.each([3, 600])('the identity of a matrix and of a batch of order %d', async (order) => {
  const b = new FedBuilder();
  const zeros = new Array<number>(2 * order ** 2).fill(0);
  const [matrix, batch] = [b.given([order, order], zeros.slice(order ** 2)), b.given([2, order, order], zeros)];
  const sum = (x: typeof matrix) => b.sum(b.add(x, identityLike(b, x)));
  expect(await b.compute({ matrix: sum(matrix), batch: sum(batch) })).toEqual({ matrix: [order], batch: [2 * order] });
});
