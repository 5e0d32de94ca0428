// The estimated share of the identity in a factor of few rows, against its definition and against factors that are known.
import { describe, expect, test } from 'vitest';
import {
  generate,
  gram,
  type Matrix,
  minus,
  multiplied,
  scaled,
  shifted,
  trace,
  transposed,
} from '../../../test/support/dense.js';
import { FedBuilder, randomMatrix } from '../../../test/support/fed-builder.js';
import { random } from '../../random.js';
import { estimatedShrinkage } from './shrinkage.js';

const square = (x: Matrix): number => x.data.reduce((sum, element) => sum + element ** 2, 0);

/** Rows in units of the mean eigenvalue. */
const inUnits = (rows: Matrix): Matrix => scaled(rows, Math.sqrt(rows.columns / trace(gram(rows))));

/** b²/d² of Ledoit & Wolf 2004, with F̂ and the outer products of its rows as whole matrices. */
function byDefinition(given: Matrix): number {
  const rows = inUnits(given);
  const factor = gram(rows);
  const errors = Array.from({ length: rows.rows }, (_, k) => {
    const own = generate(1, rows.columns, (_row, j) => rows.data[k * rows.columns + j] ?? 0);
    return square(minus(scaled(gram(own), rows.rows), factor));
  });
  const error = errors.reduce((sum, x) => sum + x, 0) / rows.rows ** 2;
  return error / square(shifted(factor, -1));
}

const kernelOf = (rows: Matrix): Matrix => multiplied(inUnits(rows), transposed(inUnits(rows)));

async function estimated(...rows: readonly Matrix[]): Promise<number[]> {
  const b = new FedBuilder();
  const kernels = rows.map(kernelOf);
  const [first] = kernels;
  const order = first?.rows ?? 1;
  const data = kernels.flatMap((kernel) => [...kernel.data]);
  const kernel = kernels.length === 1 ? b.given([order, order], data) : b.given([kernels.length, order, order], data);
  const { s } = await b.compute({ s: estimatedShrinkage(b, kernel) });
  return s;
}

describe('the estimated shrinkage', () => {
  test('is the error of the rows over their distance from the identity', async () => {
    for (const [count, size, seed] of [
      [4, 9, 1],
      [12, 5, 2],
      [7, 30, 3],
    ] as const) {
      const source = random(seed, 'shrinkage');
      const rows = multiplied(
        randomMatrix(source, count, size),
        generate(size, size, (i, j) => (i === j ? 3 ** -i : 0)),
      );
      const [s] = await estimated(rows);
      expect(s).toBeCloseTo(byDefinition(rows), 10);
    }
  });

  test('is large for few rows of equal variances, and small for many rows of few large ones', async () => {
    const source = random(4, 'shrinkage');
    const [equal] = await estimated(randomMatrix(source, 20, 200));
    const spiked = multiplied(
      randomMatrix(source, 200, 30),
      generate(30, 30, (i, j) => (i === j ? (i < 3 ? 10 : 0.1) : 0)),
    );
    const [few] = await estimated(spiked);
    expect(equal).toBeGreaterThan(0.9);
    expect(few).toBeLessThan(0.05);
  });

  test('is each group’s own', async () => {
    const source = random(5, 'shrinkage');
    const [one, other] = [randomMatrix(source, 5, 8), randomMatrix(source, 5, 8)];
    const [both, first, second] = [await estimated(one, other), await estimated(one), await estimated(other)];
    expect(both[0]).toBeCloseTo(first[0] ?? Number.NaN, 12);
    expect(both[1]).toBeCloseTo(second[0] ?? Number.NaN, 12);
  });

  test('of rows that are zero, or one alone, stays between 0 and 1', async () => {
    const b = new FedBuilder();
    const { zero, one } = await b.compute({
      zero: estimatedShrinkage(b, b.given([3, 3], new Float64Array(9))),
      one: estimatedShrinkage(b, b.given([1, 1], [6])),
    });
    for (const s of [...zero, ...one]) {
      expect(s).toBeGreaterThan(0);
      expect(s).toBeLessThan(1);
    }
  });
});
