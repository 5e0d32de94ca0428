import { expect, it } from 'vitest';
import { gatherBatch } from '../../data/batches.js';
import type { Dataset } from '../../data/dataset.js';
import { tensorFrom } from '../../graph/tensor.js';
import { lossOf } from '../../losses/index.js';
import type { LearningTask } from '../task/task.js';
import type { Evaluator } from './evaluation.js';
import { picturesOf } from './pictures.js';

/** Answers with the given rows, in batches of two. */
const answering = (rows: readonly (readonly number[])[]): Evaluator =>
  ({
    async *predict(set: Dataset, chosen = Uint32Array.from({ length: set.size }, (_, i) => i)) {
      for (let start = 0; start < chosen.length; start += 2) {
        const indices = chosen.slice(start, start + 2);
        const values = [...indices].map((i) => rows[i] ?? []);
        const prediction = tensorFrom('float32', [values.length, values[0]?.length ?? 0], values.flat());
        yield { indices, batch: gatherBatch(set, indices), prediction };
      }
    },
  }) as Partial<Evaluator> as Evaluator;

const task = (kind: LearningTask['kind'], test: Dataset): LearningTask => ({
  kind,
  loss: lossOf(kind === 'classification' ? 'softmax-cross-entropy' : 'mean-squared-error'),
  data: { train: test, test },
  output: [],
  warnings: [],
});

it('counts confusions of the whole set and shows mistakes', async () => {
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
    [0, 1],
    [0, 9],
  ];
  const { confusion } = await picturesOf(answering(logits), task('classification', set));
  expect(confusion?.counts).toEqual([
    [1, 1],
    [1, 2],
  ]);
  expect(confusion?.mistakes.map(({ actual, predicted }) => `${actual} ${predicted}`)).toEqual(['yes no', 'no yes']);
  expect(confusion?.mistakes[0]?.picture.pixels).toEqual(Float32Array.of(0.4, 0.5));
});

it('pairs inputs with reconstructions, pixels side by side and within [0, 1]', async () => {
  const planes = Float32Array.of(0, 0.25, 0.5, 0.75, 1, 0.125);
  const column = { dtype: 'float32', shape: [3, 1, 2], data: planes } as const;
  const picture = { width: 2, height: 1, channels: 3 };
  const set: Dataset = { name: 'set', size: 1, inputs: column, targets: column, picture };
  const { reconstructions } = await picturesOf(answering([[-1, 2, 0.5, 0.5, 0, 1]]), task('autoencoding', set));
  expect(reconstructions?.[0]?.input.pixels).toEqual(Float32Array.of(0, 0.5, 1, 0.25, 0.75, 0.125));
  expect(reconstructions?.[0]?.output.pixels).toEqual(Float32Array.of(0, 0.5, 0, 1, 0.5, 1));
});

it('shows nothing where there is nothing to show', async () => {
  const column = { dtype: 'float32', shape: [2], data: new Float32Array(2) } as const;
  const set: Dataset = { name: 'set', size: 1, inputs: column, targets: column };
  expect(await picturesOf(answering([[0, 0]]), task('autoencoding', set))).toEqual({});
});
