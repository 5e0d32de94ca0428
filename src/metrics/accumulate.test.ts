// Metrics of one's own that return what they must not: each mistake is said by the name of the metric and of its member.
import { describe, expect, it } from 'vitest';
import { evaluate } from '../api/evaluate.js';
import { train } from '../api/train.js';
import type { Dataset } from '../data/dataset.js';
import { OptionError } from '../errors.js';
import { mlp } from '../nn/zoo.js';
import type { Builder } from '../ops/builder.js';
import { sgd } from '../optimizers/sgd.js';
import type { EvaluatedBatch, Metric } from './metric.js';
import { ratio, sumOver } from './sums.js';

const rows = 6;
const set: Dataset = {
  name: 'numbers',
  size: rows,
  inputs: { dtype: 'float32', shape: [3], data: Float32Array.from({ length: 3 * rows }, (_, i) => Math.sin(i)) },
  targets: { dtype: 'float32', shape: [2], data: new Float32Array(rows * 2) },
};
const model = mlp({ sizes: [3, 2], seed: 1 });
const sound: Metric = {
  name: 'own',
  lowerIsBetter: true,
  sums: (b, { expected, given }) => sumOver(b, b.abs(b.sub(expected, given))),
  value: ratio,
};
const own = (members: object): Metric => ({ ...sound, ...members });

describe('a metric of a user is refused by its name', () => {
  it.each<[string, object, RegExp]>([
    ['no figure', { value: () => undefined }, /^value of the metric 'own' returned undefined; it must return a number/],
    ['a word', { value: () => 'good' }, /^value of the metric 'own' returned 'good'/],
    ['a promise', { value: async () => 1 }, /^value of the metric 'own' returned a promise/],
    [
      'one Value',
      { sums: (b: Builder, { expected }: EvaluatedBatch) => b.sum(expected) },
      /^sums of the metric 'own' returned a Value; it must return an object of named values/,
    ],
    ['no sums', { sums: () => undefined }, /^sums of the metric 'own' returned undefined/],
    ['sums of words', { sums: () => ({ sum: 'one' }) }, /^sums of the metric 'own' returned 'one' as 'sum'/],
    ['rows of numbers', { rows: () => ({ error: 1 }) }, /^rows of the metric 'own' returned a number as 'error'/],
    ['rows that are none', { rows: () => [1] }, /^rows of the metric 'own' returned an array of 1/],
    ['checks that are none', { checks: () => 3 }, /^checks of the metric 'own' returned 3/],
    [
      'a table that is none',
      { table: () => 'table' },
      /^table of the metric 'own' returned 'table'; .* rows of numbers/,
    ],
    ['a table of words', { table: () => [['a']] }, /^table of the metric 'own' returned an array of 1/],
  ])('%s', async (_, members, message) => {
    await expect(evaluate(model, set, { metrics: [own(members)] })).rejects.toThrow(OptionError);
    await expect(evaluate(model, set, { metrics: [own(members)] })).rejects.toThrow(message);
  });

  it('sums that depend on the size of the batch, whatever that is', async () => {
    const each: Metric = { ...sound, sums: (b, { expected, given }) => ({ sum: b.sub(expected, given), weight: 1 }) };
    const message =
      /^sums of the metric 'own' returned float32\[1, 2\] and float32\[2, 2\] as 'sum', for batches of two sizes/;
    for (const batchSize of [6, 4]) {
      await expect(evaluate(model, set, { metrics: [each], batchSize })).rejects.toThrow(message);
    }
    const steps: number[] = [];
    const options = { data: { train: set, test: set }, optimizer: sgd(), steps: 2, threads: 1, metrics: [each] };
    await expect(train(model, { ...options, callbacks: { onStep: () => void steps.push(1) } })).rejects.toThrow(
      message,
    );
    expect(steps).toEqual([]);
  });

  it('NaN is a figure', async () => {
    const { values } = await evaluate(model, set, { metrics: [own({ value: () => Number.NaN })] });
    expect(values.own).toBeNaN();
    expect((await evaluate(model, set, { metrics: [sound] })).values.own).toBeGreaterThan(0);
  });
});
