import { describe, expect, it } from 'vitest';
import { gatherBatch } from '../../data/batches.js';
import type { Dataset } from '../../data/dataset.js';
import { loadData } from '../../data/spec.js';
import { tensorFrom } from '../../graph/tensor.js';
import { lossOf } from '../../losses/index.js';
import { autoencoder, mlp } from '../../nn/zoo.js';
import { sgd, train } from '../../node.js';
import type { LearningTask } from '../task/task.js';
import type { Evaluator } from './evaluation.js';
import { examined } from './examination.js';
import { Largest } from './largest.js';

/** Answers with the given rows, in batches of two. @param expected of a row, by default the row itself */
const answering = (rows: readonly (readonly number[])[], expected = (row: readonly number[]) => row): Evaluator =>
  ({
    async *predict(set: Dataset, chosen = Uint32Array.from({ length: set.size }, (_, i) => i)) {
      for (let start = 0; start < chosen.length; start += 2) {
        const indices = chosen.slice(start, start + 2);
        const values = [...indices].map((i) => rows[i] ?? []);
        const dims = [values.length, values[0]?.length ?? 0];
        const prediction = tensorFrom('float32', dims, values.flat());
        yield {
          indices,
          batch: gatherBatch(set, indices),
          prediction,
          expected: tensorFrom('float32', dims, values.flatMap(expected)),
        };
      }
    },
    evaluateConstant: async () => undefined,
  }) as Partial<Evaluator> as Evaluator;

const softmax = (row: readonly number[]): number[] => {
  const sum = row.reduce((all, x) => all + Math.exp(x), 0);
  return row.map((x) => Math.exp(x) / sum);
};

const task = (kind: LearningTask['kind'], test: Dataset): LearningTask => ({
  kind,
  loss: lossOf(kind === 'classification' ? 'softmax-cross-entropy' : 'mean-squared-error'),
  data: { train: test, test },
  output: [],
  warnings: [],
});

describe('a classifier', () => {
  const set: Dataset = {
    name: 'set',
    size: 5,
    inputs: { dtype: 'float32', shape: [2], data: Uint8Array.from({ length: 10 }, (_, i) => i), scale: 0.1 },
    targets: { dtype: 'int64', shape: [], data: Int32Array.of(0, 1, 1, 0, 1) },
    classes: ['no', 'yes'],
    picture: { width: 2, height: 1, channels: 1 },
  };
  const logits = [
    [5, -1],
    [-2, -1],
    [3, 2],
    [0, 4],
    [0, 9],
  ];

  it('counts confusions of the whole set and shows the worst mistakes first', async () => {
    const { confusion, worst } = await examined(answering(logits, softmax), task('classification', set));
    expect(confusion?.counts).toEqual([
      [1, 1],
      [1, 2],
    ]);
    expect(confusion?.mistakes.map(({ actual, predicted }) => `${actual} ${predicted}`)).toEqual(['no yes', 'yes no']);
    expect(confusion?.mistakes[0]?.probability).toBeCloseTo(1 / (1 + Math.exp(4)), 6);
    expect(confusion?.mistakes[1]?.picture.pixels).toEqual(Float32Array.of(0.4, 0.5));
    expect(worst).toBeUndefined();
  });

  it('has the area under the curve and the calibration, counted by hand', async () => {
    const { roc, calibration } = await examined(answering(logits, softmax), task('classification', set));
    // Differences of the logits: no -6, 4; yes 1, -1, 9: 4 of the 6 pairs are in order.
    expect(roc?.classes).toEqual([{ name: 'yes', area: 4 / 6 }]);
    expect(roc?.points).toEqual([
      [0, 0],
      [0, 1 / 3],
      [0.5, 1 / 3],
      [0.5, 2 / 3],
      [0.5, 1],
      [1, 1],
    ]);
    const confidences = logits.map((row) => Math.max(...softmax(row)));
    expect(calibration?.bins.map(({ count, accuracy }) => [count, accuracy])).toEqual([
      [2, 0.5], // 0.73 twice
      [3, 2 / 3],
    ]);
    expect(calibration?.bins[1]?.confidence).toBeCloseTo(
      ((confidences[0] ?? 0) + (confidences[3] ?? 0) + (confidences[4] ?? 0)) / 3,
      6,
    );
  });

  it('of rows lists those with the highest loss', async () => {
    const { picture: _, ...rows } = set;
    const { worst, confusion } = await examined(answering(logits, softmax), task('classification', rows));
    expect(confusion?.mistakes).toEqual([]);
    expect(worst?.map(({ example }) => example)).toEqual([3, 2, 1, 0, 4]);
    const [first] = worst ?? [];
    expect(first).toMatchObject({ actual: 'no', predicted: 'yes' });
    expect(first?.inputs?.map((x) => Math.round(10 * x))).toEqual([6, 7]);
    expect(first?.loss).toBeCloseTo(Math.log(1 + Math.exp(4)), 5);
  });
});

it('a regression has true beside predicted values and the largest residuals, a sample of a large set', async () => {
  const size = 1000;
  const column = { dtype: 'float32', shape: [1], data: Float32Array.from({ length: size }, (_, i) => i) } as const;
  const set: Dataset = { name: 'set', size, inputs: column, targets: column };
  const rows = Array.from({ length: size }, (_, i) => [i === 500 ? 0 : i === 7 ? 107 : i + 1]);
  const { predictions, worst } = await examined(answering(rows), task('regression', set));
  expect(worst?.slice(0, 2)).toEqual([
    { example: 500, loss: 500, actual: [500], predicted: [0], inputs: [500] },
    { example: 7, loss: 100, actual: [7], predicted: [107], inputs: [7] },
  ]);
  expect(worst).toHaveLength(10);
  expect(predictions?.[0]?.slice(0, 2)).toEqual([
    [0, 1],
    [3, 4],
  ]);
  expect(predictions?.[0]?.length).toBeLessThanOrEqual(400);
});

it('pairs inputs with reconstructions, pixels side by side and within [0, 1]; the worst too', async () => {
  const planes = Float32Array.of(0, 0.25, 0.5, 0.75, 1, 0.125, 0, 0.25, 0.5, 0.75, 1, 0.125);
  const column = { dtype: 'float32', shape: [3, 1, 2], data: planes } as const;
  const picture = { width: 2, height: 1, channels: 3 };
  const set: Dataset = { name: 'set', size: 2, inputs: column, targets: column, picture };
  const outputs = [
    [0, 0.25, 0.5, 0.75, 1, 0],
    [-1, 2, 0.5, 0.5, 0, 1],
  ];
  const { reconstructions, worst } = await examined(answering(outputs), task('autoencoding', set));
  expect(reconstructions).toHaveLength(2);
  expect(reconstructions?.[1]?.input.pixels).toEqual(Float32Array.of(0, 0.5, 1, 0.25, 0.75, 0.125));
  expect(reconstructions?.[1]?.output.pixels).toEqual(Float32Array.of(0, 0.5, 0, 1, 0.5, 1));
  expect(worst?.map(({ example }) => example)).toEqual([1, 0]);
  expect(worst?.[0]?.loss).toBeCloseTo(1 + 1.75 ** 2 + 0.25 ** 2 + 1 + 0.875 ** 2, 6);
});

it('shows nothing where there is nothing to show', async () => {
  const column = { dtype: 'float32', shape: [2], data: new Float32Array(2) } as const;
  const set: Dataset = { name: 'set', size: 1, inputs: column, targets: column };
  expect(await examined(answering([[0, 0]]), task('autoencoding', set))).toEqual({});
});

it('keeps the largest, of equal ones the first, NaN before all', () => {
  const largest = new Largest<number>(3);
  for (const [i, size] of [1, 5, Number.NaN, 5, 0, 7].entries()) largest.offer(size, () => i);
  expect(largest.values).toEqual([2, 5, 1]);
});

describe('the record of a run', () => {
  const options = { data: 'digits?train=200&test=100', steps: 3, seed: 1, optimizer: sgd() };

  it('has the area and the calibration of the metrics, and the share of the commonest class', async () => {
    const metrics = ['accuracy', 'roc-auc', 'calibration-error'] as const;
    const { record } = await train(mlp({ seed: 1 }), { ...options, metrics });
    const areas = record.roc?.classes.map(({ area }) => area) ?? [];
    expect(areas).toHaveLength(10);
    expect(areas.reduce((sum, area) => sum + area, 0) / 10).toBeCloseTo(record.test.rocAuc ?? 0, 6);
    expect(record.calibration?.error).toBeCloseTo(record.test.calibrationError ?? 0, 5);
    const { train: known, test } = await loadData(options.data, { seed: 1 });
    const counts = Array.from({ length: 10 }, (_, k) => known.targets.data.filter((label) => label === k).length);
    const commonest = counts.indexOf(Math.max(...counts));
    expect(record.baseline?.answer).toBe('commonest class');
    expect(record.baseline?.test.accuracy).toBeCloseTo(
      test.targets.data.filter((label) => label === commonest).length / 100,
      6,
    );
  });

  it('has the error of the mean picture', async () => {
    const { record } = await train(autoencoder({ seed: 1, sizes: [784, 8, 784] }), options);
    const sets = await loadData(options.data, { seed: 1, task: 'autoencoding' });
    const pixels = (set: Dataset, example: number) => gatherBatch(set, Uint32Array.of(example)).target.data;
    const mean = new Float64Array(784);
    for (let i = 0; i < 200; i++)
      for (const [k, x] of Array.from(pixels(sets.train, i), Number).entries()) mean[k] = (mean[k] ?? 0) + x / 200;
    let error = 0;
    for (let i = 0; i < 100; i++)
      for (const [k, x] of Array.from(pixels(sets.test, i), Number).entries()) error += (x - (mean[k] ?? 0)) ** 2 / 100;
    expect(record.baseline?.answer).toBe('mean');
    expect(record.baseline?.test.squaredError).toBeCloseTo(error, 2);
  });
});
