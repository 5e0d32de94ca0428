// Pictures for a run's record: reconstructions of an autoencoder, mistakes of a classifier with its confusion matrix.
import type { Batch, BatchArray } from '../../data/batches.js';
import { type Dataset, pictureInputs } from '../../data/dataset.js';
import { inputNamed } from '../../graph/inputs.js';
import { elementCount } from '../../graph/tensor.js';
import { takesChannelsLast } from '../../model/apply.js';
import type { Picture, RunRecord } from '../run-record.js';
import type { LearningTask } from '../task/task.js';
import type { Evaluator } from './evaluation.js';

/** Most reconstructions, and most mistakes, in a record. */
const mostPictures = 12;

/** Return the first pictures of the test set as an autoencoder gives them back; undefined for other tasks. */
export async function reconstructionsOf(
  evaluator: Evaluator,
  { kind, data: { test } }: LearningTask,
): Promise<RunRecord['reconstructions']> {
  return kind === 'autoencoding' && test.picture ? await reconstructions(evaluator, test) : undefined;
}

/** Return what a classifier takes for what on the test set; undefined for other tasks. */
export async function confusionOf(
  evaluator: Evaluator,
  { kind, data: { test } }: LearningTask,
): Promise<RunRecord['confusion']> {
  const isOfClasses = kind === 'classification' && test.classes && test.targets.shape.length === 0;
  return isOfClasses ? await confusion(evaluator, test, test.classes ?? []) : undefined;
}

/** Return the part of a run's record with pictures of the test set; empty if there are none. */
export async function picturesOf(
  evaluator: Evaluator,
  task: LearningTask,
): Promise<Pick<RunRecord, 'reconstructions' | 'confusion'>> {
  const [reconstructions, confusion] = [await reconstructionsOf(evaluator, task), await confusionOf(evaluator, task)];
  return { ...(reconstructions && { reconstructions }), ...(confusion && { confusion }) };
}

/** The first examples of the test set with their reconstructions. */
async function reconstructions(evaluator: Evaluator, set: Dataset) {
  const pairs: { input: Picture; output: Picture }[] = [];
  const first = Uint32Array.from({ length: Math.min(mostPictures, set.size) }, (_, i) => i);
  for await (const { indices, batch, prediction } of evaluator.predict(set, first)) {
    for (let row = 0; row < indices.length; row++) {
      const input = inputPicture(set, batch, row);
      const output = pictureOf(set, prediction, row);
      if (input && output) pairs.push({ input, output });
    }
  }
  return pairs;
}

/** Counts by true and predicted class over the whole test set, and the first pictures with a wrong prediction. */
async function confusion(evaluator: Evaluator, set: Dataset, classes: readonly string[]) {
  const counts = classes.map(() => new Array<number>(classes.length).fill(0));
  const mistakes: { picture: Picture; actual: string; predicted: string }[] = [];
  for await (const { batch, prediction } of evaluator.predict(set)) {
    const logits = prediction.dims[1] ?? 0;
    for (const [row, label] of Array.from<number | bigint, number>(batch.target.data, Number).entries()) {
      const predicted = largest(prediction.data, row * logits, logits);
      const line = counts[label];
      if (line && predicted < line.length) line[predicted] = (line[predicted] ?? 0) + 1;
      if (predicted === label || mistakes.length >= mostPictures) continue;
      const picture = inputPicture(set, batch, row);
      if (picture) {
        mistakes.push({ picture, actual: classes[label] ?? '?', predicted: classes[predicted] ?? String(predicted) });
      }
    }
  }
  return { classes, counts, mistakes };
}

/** The position of the largest of `length` elements from `start`. */
function largest(elements: ArrayLike<number | bigint>, start: number, length: number): number {
  let best = 0;
  for (let i = 1; i < length; i++) if (Number(elements[start + i]) > Number(elements[start + best])) best = i;
  return best;
}

/** The picture of an example, if exactly one of its inputs is a picture. */
function inputPicture(set: Dataset, { inputs }: Batch, row: number): Picture | undefined {
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
