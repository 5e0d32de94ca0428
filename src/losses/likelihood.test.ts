// The likelihood N(z, σ²) by its formula: weight, derivatives by differences, samples; and that units do not change it.
import { describe, expect, test } from 'vitest';
import { FedBuilder, normals } from '../../test/support/fed-builder.js';
import { random } from '../random.js';
import { lossNames, lossOf } from './index.js';
import { likelihoodOfVariance, unitLikelihood } from './likelihood.js';

const loss = lossOf('mean-squared-error');
const [rows, width] = [3, 2];
const dims = [rows, width];
const source = random(5, 'likelihood');
const [z, y, v, noise] = [1, 2, 3, 4].map(() => normals(source, rows * width)) as [
  number[],
  number[],
  number[],
  number[],
];
const get = (numbers: readonly number[], i: number): number => numbers[i] ?? Number.NaN;
const h = 1e-3;

/** −log N(y; z, σ²) of all elements, without its constant. */
const negativeLogLikelihood = (output: readonly number[], variance: number): number =>
  output.reduce((sum, x, i) => sum + (x - get(y, i)) ** 2 / (2 * variance), 0);

/** By element i of the output: exact of quadratic functions. */
const slope = (i: number, variance: number, from = z): number => {
  const moved = (offset: number) => from.map((x, k) => (k === i ? x + offset : x));
  return (negativeLogLikelihood(moved(h), variance) - negativeLogLikelihood(moved(-h), variance)) / (2 * h);
};

async function computed(variance: number | undefined, units = 1) {
  const b = new FedBuilder();
  const [output, targets] = [z, y].map((x) =>
    b.given(
      dims,
      x.map((element) => units * element),
    ),
  ) as [ReturnType<typeof b.given>, ReturnType<typeof b.given>];
  const likelihood =
    variance === undefined ? unitLikelihood(b, loss) : likelihoodOfVariance(b, loss, b.given([], [variance]));
  const cases = { output, targets };
  const [first, second] = likelihood.hessianRoot?.(b, cases) ?? [];
  const sampled = likelihood.sampledCotangent?.(b, cases, b.given(dims, noise));
  if (!first || !second || !sampled) throw new Error('a column for each output');
  return b.compute({
    mean: b.mul(likelihood.weight(output), loss.value(b, output, targets)),
    cotangent: likelihood.cotangent(b, cases),
    product: likelihood.hessianProduct(b, cases, b.given(dims, v)),
    sampled,
    first: b.add(first, b.zerosLike(output)),
    second: b.add(second, b.zerosLike(output)),
  });
}

describe.each([1e-6, 0.3, 4e4])('variance %d', (variance) => {
  const deviation = Math.sqrt(variance);

  test('value and derivatives are those of the formula', async () => {
    const { mean, cotangent, product, sampled, first, second } = await computed(variance);
    expect((get(mean, 0) * rows) / negativeLogLikelihood(z, variance)).toBeCloseTo(1, 12);
    for (const i of z.keys()) {
      expect(get(cotangent, i) / slope(i, variance)).toBeCloseTo(1, 8);
      // Each case's Hessian is diagonal: I/σ².
      const moved = (sign: number) => z.map((x, k) => x + sign * h * get(v, k));
      const change = (slope(i, variance, moved(1)) - slope(i, variance, moved(-1))) / (2 * h);
      expect(get(product, i) / change).toBeCloseTo(1, 6);
      // Targets drawn as z − σ·noise have the derivative noise/σ, whose mean square is 1/σ².
      expect(get(sampled, i) * deviation).toBeCloseTo(get(noise, i), 12);
      expect(get(i % width === 0 ? first : second, i) * deviation).toBeCloseTo(1, 12);
      expect(get(i % width === 0 ? second : first, i)).toBe(0);
    }
  });

  test('in other units of outputs and targets it is the same, and its derivatives are in theirs', async () => {
    const units = 1000;
    const [here, there] = [await computed(variance), await computed(variance * units ** 2, units)];
    expect(get(there.mean, 0) / get(here.mean, 0)).toBeCloseTo(1, 12);
    for (const i of z.keys()) {
      expect((get(there.cotangent, i) * units) / get(here.cotangent, i)).toBeCloseTo(1, 12);
      expect((get(there.product, i) * units ** 2) / get(here.product, i)).toBeCloseTo(1, 12);
      expect((get(there.sampled, i) * units) / get(here.sampled, i)).toBeCloseTo(1, 12);
    }
  });
});

test('the unit likelihood is that of variance 1', async () => {
  const [unit, one] = [await computed(undefined), await computed(1)];
  expect(unit).toEqual(one);
});

const withLikelihood = lossNames.filter((name) => lossOf(name).likelihood);

test.each(withLikelihood)('the unit likelihood of %s is the loss', async (name) => {
  const b = new FedBuilder();
  const given = lossOf(name);
  const output = b.given(dims, z);
  const targets = given.targets === 'labels' ? b.given([rows], [1, 0, 1], 'int64') : b.given(dims, y);
  const { likelihood } = given;
  const unit = unitLikelihood(b, given);
  const { weight, ...found } = await b.compute({
    weight: unit.weight(output),
    cotangent: unit.cotangent(b, { output, targets }),
    product: unit.hessianProduct(b, { output, targets }, b.given(dims, v)),
  });
  if (!likelihood) throw new Error('a loss with a likelihood');
  expect(weight).toEqual([likelihood.scale(output)]);
  const own = {
    cotangent: likelihood.cotangent(b, output, targets),
    product: likelihood.hessianProduct(b, output, b.given(dims, v)),
  };
  expect(found).toEqual(await b.compute(own));
});
