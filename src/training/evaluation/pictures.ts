// Pictures for a run's record: those of examples, and reconstructions of an autoencoder, the first and the worst.
import type { Batch, BatchArray } from '../../data/batches.js';
import { type Dataset, pictureInputs } from '../../data/dataset.js';
import { inputNamed } from '../../graph/inputs.js';
import { elementCount } from '../../graph/tensor.js';
import { takesChannelsLast } from '../../model/apply.js';
import type { Picture, RunRecord, WorstExample } from '../run-record.js';
import type { LearningTask } from '../task/task.js';
import type { Evaluator } from './evaluation.js';
import { Largest } from './largest.js';

/** Most reconstructions, and most mistakes, in a record. */
export const mostPictures = 12;
/** Most reconstructions with the largest errors. */
const mostWorst = 6;

/**
 * Return the first examples of a set with their reconstructions, and those with the largest squared errors.
 * @param among the numbers of the examples to look at; all by default
 */
export async function reconstructionsOf(
  evaluator: Evaluator,
  set: Dataset,
  among?: Uint32Array,
): Promise<Pick<RunRecord, 'reconstructions' | 'worst'>> {
  const pairs: { input: Picture; output: Picture }[] = [];
  const worst = new Largest<WorstExample>(mostWorst);
  for await (const { indices, batch, expected } of evaluator.predict(set, among)) {
    for (const [row, example] of indices.entries()) {
      const pair = () => {
        const input = inputPicture(set, batch, row);
        const output = pictureOf(set, expected, row);
        return input && output && { input, output };
      };
      const first = pairs.length < mostPictures ? pair() : undefined;
      if (first) pairs.push(first);
      const loss = squaredError(batch.target.data, expected.data, row, elementCount(expected.dims.slice(1)));
      worst.offer(loss, () => {
        const { input: picture, output } = pair() ?? {};
        return picture && output && { example, loss, picture, output };
      });
    }
  }
  return { reconstructions: pairs, worst: worst.values };
}

/** Return the first pictures of the test set with their reconstructions; undefined for a task that reconstructs no pictures. */
export async function firstReconstructions(
  evaluator: Evaluator,
  { kind, data: { test } }: LearningTask,
): Promise<RunRecord['reconstructions']> {
  if (kind !== 'autoencoding' || !test.picture) return undefined;
  const first = Uint32Array.from({ length: Math.min(mostPictures, test.size) }, (_, i) => i);
  return (await reconstructionsOf(evaluator, test, first)).reconstructions;
}

/** The sum of the squared differences of two rows. */
function squaredError(a: ArrayLike<number | bigint>, b: ArrayLike<number | bigint>, row: number, size: number): number {
  let sum = 0;
  for (let i = row * size; i < (row + 1) * size; i++) sum += (Number(a[i]) - Number(b[i])) ** 2;
  return sum;
}

/** Return the picture of an example, if exactly one of its inputs is a picture. */
export function inputPicture(set: Dataset, { inputs }: Batch, row: number): Picture | undefined {
  const [only, ...others] = pictureInputs(set);
  const input = only && others.length === 0 ? inputNamed(inputs, only.name) : undefined;
  return input && pictureOf(set, input, row);
}

/** One row of a batch as a picture, with the channels last and values clipped to [0, 1]. */
function pictureOf(
  { picture }: Dataset,
  { data, dims }: Pick<BatchArray, 'dims'> & { readonly data: ArrayLike<number | bigint> },
  row: number,
): Picture | undefined {
  if (!picture || (picture.channels !== 1 && picture.channels !== 3)) return undefined;
  const { width, height, channels } = picture;
  const size = elementCount(dims.slice(1));
  const area = width * height;
  if (size !== area * channels) return undefined;
  const channelsLast = takesChannelsLast(dims, [dims[0] ?? 1, channels, height, width]);
  const pixels = new Float32Array(size);
  for (let channel = 0; channel < channels; channel++) {
    for (let i = 0; i < area; i++) {
      const value = Number(data[row * size + (channelsLast ? i * channels + channel : channel * area + i)]);
      pixels[i * channels + channel] = Math.min(1, Math.max(0, value));
    }
  }
  return { width, height, channels, pixels };
}
