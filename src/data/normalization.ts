// Means and deviations of a data set's inputs, to be taken out of what a model sees.
import { OptionError } from '../errors.js';
import { inputNames, isUnnamed } from '../graph/inputs.js';
import { checkKeys, described, type OptionKeys } from '../options.js';
import { type Dataset, dataset, type ExampleArray, elementCount, exampleStride } from './dataset.js';

/** One number per channel; inputs become (value − mean) / deviation. */
export interface Normalization {
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
}

const keys: OptionKeys<Normalization> = { mean: true, deviation: true };

/**
 * Mean and deviation of a data set's inputs: per channel of pictures (also flattened ones) and of other inputs with more
 * than one axis, whose first axis are channels; per column of rows of numbers. What is constant gets deviation 1, so
 * that it becomes 0. Of several inputs it is the only one of real numbers.
 * @throws OptionError for tokens and other whole numbers, where several inputs are real numbers, and where there is no
 *   example
 * @example
 * const model = normalized(lenet({ seed: 1 }), measureNormalization(train)); // mean [0.1307], deviation [0.3081] on MNIST
 */
export function measureNormalization(set: Dataset): Normalization {
  dataset(set);
  const { size } = set;
  const inputs = measured(set);
  if (inputs.dtype !== 'float32') {
    throw new OptionError(
      `the inputs of '${set.name}' are ${inputs.dtype}, as of text: only pictures and other real numbers can be normalized`,
    );
  }
  if (size === 0) throw new OptionError(`'${set.name}' has no examples to measure a mean and deviation of`);
  const { data } = inputs;
  const [first = 1] = inputs.shape;
  const channels = set.picture?.channels ?? first;
  const area = elementCount(inputs.shape) / channels;
  const stride = exampleStride(inputs);
  const scale = 'scale' in inputs ? inputs.scale : 1;
  const count = size * area;
  const mean: number[] = [];
  const deviation: number[] = [];
  for (let channel = 0; channel < channels; channel++) {
    // Sums about the first value keep their digits where the mean is large against the deviation.
    const origin = data[channel * area] ?? 0;
    let [sum, squares] = [0, 0];
    for (let row = 0; row < size; row++) {
      const start = row * stride + channel * area;
      for (let at = start; at < start + area; at++) {
        const difference = (data[at] as number) - origin; // within: rows have all channels
        sum += difference;
        squares += difference * difference;
      }
    }
    const offset = sum / count;
    const variance = squares / count - offset * offset;
    mean.push(scale * (origin + offset));
    deviation.push(variance > 0 ? scale * Math.sqrt(variance) : 1);
  }
  return { mean, deviation };
}

/**
 * Refuses what is no normalization: unknown keys, and what are no numbers.
 * @throws OptionError naming it
 */
export function checkMoments(normalization: Normalization): void {
  checkKeys('normalize', normalization, keys);
  for (const name of ['mean', 'deviation'] as const) {
    const given: unknown = normalization[name];
    if (Array.isArray(given) && given.length > 0 && given.every((number) => typeof number === 'number')) continue;
    throw new OptionError(
      `${name} of normalize is ${described(given)}; give an array of numbers, one for each channel or column`,
    );
  }
}

/**
 * Checks a normalization that is given for a set: one number of each kind for a channel, for a column of a table, or for all.
 * @throws OptionError saying how many there are and how many there should be
 */
export function checkNormalization(normalization: Normalization, set: Dataset): void {
  checkMoments(normalization);
  const { mean, deviation } = normalization;
  const inputs = candidates(set)[0];
  if (!inputs || candidates(set).length > 1) return; // the model says so, with what it takes
  const [first = 1] = inputs.shape;
  const channels = set.picture?.channels ?? first;
  for (const [name, { length }] of Object.entries({ mean, deviation })) {
    // Channels of pictures may also be the last axis, and then they are the model's to know.
    if (length === 1 || length === channels || (inputs.shape.length === 3 && length === inputs.shape[2])) continue;
    const what = inputs.shape.length === 1 && !set.picture ? 'columns' : 'channels';
    throw new OptionError(
      `${name} of normalize has ${length} numbers, and '${set.name}' has ${channels} ${what}: give one for each, or one for all`,
    );
  }
}

/** The input to measure. */
function measured(set: Dataset): ExampleArray {
  const { name, inputs } = set;
  const numbers = candidates(set);
  const [column] = numbers;
  if (column && numbers.length === 1) return column;
  throw new OptionError(
    `data set '${name}' has the inputs ${inputNames(inputs)}, of which ${numbers.length} are real numbers, and cgfac normalizes the only one that is: train without a normalization`,
  );
}

/** Inputs that may be normalized: the one, or of several those of real numbers. */
const candidates = ({ inputs }: Dataset): readonly ExampleArray[] =>
  isUnnamed(inputs) ? [inputs] : Object.values(inputs).filter(({ dtype }) => dtype === 'float32');
