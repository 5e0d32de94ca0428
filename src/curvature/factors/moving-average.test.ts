// Moving averages of factors: exact ones by their recurrence, sketches by their expectation over all signs.
import { expect, test } from 'vitest';
import {
  generate,
  gram,
  type Matrix,
  multiplied,
  norm,
  plus,
  relativeError,
  scaled,
} from '../../../test/support/dense.js';
import { FedBuilder, randomMatrix } from '../../../test/support/fed-builder.js';
import type { Value } from '../../graph/graph.js';
import { random } from '../../random.js';
import { averageFactor, averageRows, type Decay, decayAt, foldRows } from './moving-average.js';

const decayOf = (b: FedBuilder, keep: number): Decay => {
  const scalar = (x: number) => b.reshape(b.given([1], [x]), []);
  return { keep: scalar(keep), take: scalar(1 - keep) };
};

test('the decay averages the first steps equally, then stays at its maximum', () => {
  const expected = [0, 1 / 2, 2 / 3, 3 / 4, 3 / 4, 3 / 4];
  for (const [i, step] of [0, 1, 2, 3, 4, 100].entries()) expect(decayAt(step, 0.75)).toBeCloseTo(expected[i] ?? 0, 15);
  expect(decayAt(5, 0)).toBe(0);
});

test('an averaged factor is the mean of the first steps’ factors', async () => {
  const source = random(7);
  const batches = [0, 1, 2].map(() => randomMatrix(source, 4, 3));
  const b = new FedBuilder();
  let factor: Value = b.matrix(generate(3, 3, () => 0));
  for (const [step, rows] of batches.entries()) {
    factor = averageFactor(b, factor, b.matrix(rows), decayOf(b, decayAt(step, 0.95)));
  }
  const mean = scaled(batches.map(gram).reduce(plus), 1 / 3);
  expect(relativeError((await b.matrices({ factor })).factor, mean)).toBeLessThan(1e-14);
});

/** Both signs of `count` numbers, in all combinations. */
const allSigns = (count: number): number[][] =>
  Array.from({ length: 2 ** count }, (_, bits) =>
    Array.from({ length: count }, (_unused, i) => ((bits >> i) & 1) * 2 - 1),
  );

const sketches = [
  { rows: 2, buckets: 2 }, // as many rows as the sketch has
  { rows: 3, buckets: 2 }, // folded, the last bucket half full
  { rows: 2, buckets: 5 }, // fewer than the sketch has
  { rows: 3, buckets: 1 },
];

test.each(sketches)('over all signs, a sketch of $rows rows in $buckets is exact in the mean', async (one) => {
  const source = random(8, one.rows, one.buckets);
  const size = 3;
  const batches = [randomMatrix(source, one.rows, size), randomMatrix(source, one.rows, size)];
  const keeps = [0.25, 0.6];
  const start = randomMatrix(source, one.buckets, size);
  const draws = allSigns(2 * one.rows);
  const b = new FedBuilder();
  const rows = batches.map((batch) => b.matrix(batch));
  const decays = keeps.map((keep) => decayOf(b, keep));
  const old = b.matrix(start);
  const outputs: Record<string, Value> = {};
  for (const [i, signs] of draws.entries()) {
    let sketch = old;
    for (const [step, batch] of rows.entries()) {
      const drawn = b.given([one.rows, 1], signs.slice(step * one.rows, (step + 1) * one.rows));
      const decay = decays[step];
      if (decay) sketch = averageRows(b, sketch, batch, drawn, decay);
    }
    outputs[`draw${i}`] = sketch;
  }
  const results = Object.values(await b.matrices(outputs));
  expect(results).toHaveLength(draws.length);
  const mean = scaled(results.map(gram).reduce(plus), 1 / results.length);
  // ρ₂(ρ₁F₀ + (1 − ρ₁)F₁) + (1 − ρ₂)F₂
  const exact = batches.reduce(
    (average: Matrix, batch, step) =>
      plus(scaled(average, keeps[step] ?? 0), scaled(gram(batch), 1 - (keeps[step] ?? 0))),
    gram(start),
  );
  expect(relativeError(mean, exact)).toBeLessThan(1e-13);
  // Each draw alone is an estimate, no more.
  const errors = results.map((sketch) => relativeError(gram(sketch), exact));
  expect(Math.max(...errors)).toBeGreaterThan(0.05);
});

test.each([
  { rows: 5, buckets: 2 },
  { rows: 6, buckets: 3 },
  { rows: 2, buckets: 4 },
  { rows: 3, buckets: 3 },
])('$rows rows fold into $buckets: i, i + R, i + 2R, … are summed', async ({ rows, buckets }) => {
  const x = randomMatrix(random(9), rows, 2);
  const b = new FedBuilder();
  const { folded } = await b.matrices({ folded: b.mul(foldRows(b, b.matrix(x), buckets), b.given([1], [1])) });
  const selection = generate(buckets, rows, (bucket, row) => Number(row % buckets === bucket));
  expect([folded.rows, folded.columns]).toEqual([buckets, 2]);
  expect(norm(plus(folded, scaled(multiplied(selection, x), -1)))).toBeLessThan(1e-14);
});

test('groups are averaged each by itself', async () => {
  const source = random(9);
  const [groups, count, buckets, size] = [2, 5, 2, 3];
  const drawn = (rows: number) => Array.from({ length: groups }, () => randomMatrix(source, rows, size));
  const [factors, sketches, rows] = [drawn(size), drawn(buckets), drawn(count)];
  const signs = randomMatrix(source, count, 1);
  const b = new FedBuilder();
  const decay = decayOf(b, 0.75);
  const batch = (matrices: readonly Matrix[]) =>
    b.given(
      [groups, matrices[0]?.rows ?? 0, size],
      matrices.flatMap(({ data }) => [...data]),
    );
  const [together, given] = [batch(rows), b.matrix(signs)];
  const flat = (x: Value) => b.reshape(x, [groups * (x.dims[1] ?? 0), size]);
  const wanted: Record<string, Value> = {
    factors: flat(averageFactor(b, batch(factors), together, decay)),
    sketches: flat(averageRows(b, batch(sketches), together, given, decay)),
  };
  for (let i = 0; i < groups; i++) {
    const [factor, sketch, own] = [factors[i], sketches[i], rows[i]].map((x) => x && b.matrix(x));
    if (!factor || !sketch || !own) throw new Error('one of each a group');
    wanted[`factors.${i}`] = averageFactor(b, factor, own, decay);
    wanted[`sketches.${i}`] = averageRows(b, sketch, own, given, decay);
  }
  const results = await b.matrices(wanted);
  for (const name of ['factors', 'sketches']) {
    const apart = [0, 1].flatMap((i) => [...(results[`${name}.${i}`]?.data ?? [])]);
    for (const [k, x] of (results[name]?.data ?? []).entries()) expect(x).toBeCloseTo(apart[k] ?? Number.NaN, 12);
  }
});
