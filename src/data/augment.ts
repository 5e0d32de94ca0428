// Variations of the examples of each training batch, before any normalization, which is part of the model. A step's batch stays a
// pure function of the seed and the step, and each row of it of its position.
import { OptionError } from '../errors.js';
import { inputNamed, isUnnamed, listInputs, mapInputs } from '../graph/inputs.js';
import { elementCount } from '../graph/tensor.js';
import { checkedFlag, checkedNumber, checkKeys, described, type OptionKeys } from '../options.js';
import { type Random, random } from '../random.js';
import { jitter } from './augmentation/colour.js';
import { erase } from './augmentation/erase.js';
import { type MixedTargets, mixed } from './augmentation/mix.js';
import { moved } from './augmentation/move.js';
import { addNoise } from './augmentation/noise.js';
import { rotate } from './augmentation/rotate.js';
import type { Batch, BatchArray } from './batches.js';
import { type Dataset, type ExampleArray, onlyInput, pictureInputs } from './dataset.js';
import { measureDeviations } from './normalization.js';

/**
 * How training examples are varied. The first six are for pictures, and so is `cutmix`; `noise` and `mixup` are for all real
 * numbers. They are done in this order.
 */
export interface Augmentation {
  /** Mirror left and right with probability ½. */
  readonly flip?: boolean;
  /** Move by up to this many pixels each way: a crop, of the same size, from the picture with a border around it. */
  readonly crop?: number;
  /** Turn by up to this many degrees each way. */
  readonly rotate?: number;
  /** Change brightness, contrast and saturation, each by a factor in 1 ± this number, at most 1. */
  readonly colour?: number;
  /** Hide a rectangle (of 2 to 33 % of the area) with this probability. What an autoencoder is asked for stays whole. */
  readonly erase?: number;
  /** What comes from outside a picture, and what hides a part of it, in the units of the data; 0 by default, the black of pictures. */
  readonly fill?: number;
  /**
   * Add Gaussian noise of this many deviations of the column, or of the channel, in the training set. What an autoencoder is
   * asked for stays without.
   */
  readonly noise?: number;
  /** A variation of one's own: returns the batch to train on, by random numbers that depend on the seed and the step. */
  readonly own?: (batch: Batch, stream: Random) => Batch;
  /** Mix each example and its target with those of another one, by a share from the distribution Beta(α, α) of this α. */
  readonly mixup?: number;
  /** Give each picture a rectangle of another one, and its target a share of the other; a batch takes this or `mixup`. */
  readonly cutmix?: number;
}

const keys: OptionKeys<Augmentation> = {
  flip: true,
  crop: true,
  rotate: true,
  colour: true,
  erase: true,
  fill: true,
  noise: true,
  own: true,
  mixup: true,
  cutmix: true,
};

/** Returns the batch of a step with its examples varied. */
export type Variation = (batch: Batch, step: number) => Batch;

/**
 * Return how batches are varied, by draws from (seed, step, row). The targets of an autoencoder are the inputs as they were moved,
 * turned and recoloured.
 * @param targets what mixed targets are, for mixup and cutmix
 * @throws OptionError for unknown options and those out of range, and if the data cannot be varied so, or their targets would have to
 *   move with them
 * @example
 * const vary = variation(train, { flip: true, crop: 4 }, seed, () => ({ classes: 10 }));
 * const batch = vary(trainingBatches(train, { batchSize, seed }).at(0), 0);
 */
export function variation(
  set: Dataset,
  augmentation: Augmentation,
  seed: number,
  targets: () => MixedTargets,
): Variation {
  checkAugmentation(augmentation);
  const { own } = augmentation;
  const stages = [
    ...pictureStages(set, augmentation, seed),
    ...noiseStages(set, augmentation, seed),
    ...(own ? [ownStage(own, seed)] : []),
    ...mixingStages(set, augmentation, seed, targets),
  ];
  return (batch, step) => stages.reduce((varied, stage) => stage(varied, step), batch);
}

function checkAugmentation(augmentation: Augmentation): void {
  checkKeys('augment', augmentation, keys);
  checkedFlag('flip of augment', augmentation.flip);
  const { rotate: degrees, colour, erase: probability, noise, mixup, cutmix, own } = augmentation;
  const numbers = { noise, mixup, cutmix };
  for (const [key, value] of Object.entries(numbers)) {
    if (value !== undefined) checkedNumber(`${key} of augment`, value, { atLeast: 0 });
  }
  if (degrees !== undefined) checkedNumber('rotate of augment', degrees, { atLeast: 0, atMost: 180 });
  for (const [key, value] of Object.entries({ colour, erase: probability })) {
    if (value !== undefined) checkedNumber(`${key} of augment`, value, { atLeast: 0, atMost: 1 });
  }
  if (own !== undefined && typeof own !== 'function') {
    throw new OptionError(`own of augment is ${described(own)}; give a function (batch, stream) => batch`);
  }
}

/** The stages that move, turn, recolour and hide; none if nothing of it is wanted. */
function pictureStages(set: Dataset, augmentation: Augmentation, seed: number): Variation[] {
  const { flip = false, crop = 0, rotate: degrees = 0, colour = 0, erase: probability = 0, fill = 0 } = augmentation;
  const wanted = { flip, crop, rotate: degrees, colour, erase: probability, fill };
  if (Object.values(wanted).every((value) => value === 0 || value === false)) return [];
  const { name, column, picture } = checkedPicture(set, augmentation);
  const isAutoencoding = set.targets.data === column.data;
  const streams = (what: string, step: number) => (row: number) => random(seed, what, step, row);
  const seen: Variation = (batch, step) => {
    const source = floatsOf(inputNamed(batch.inputs, name));
    const data = moved(source.data, picture, augmentation, random(seed, 'augment', step));
    if (degrees > 0) rotate(data, picture, { degrees, fill }, streams('rotate', step));
    const range = rangeOf(column);
    if (colour > 0) jitter(data, picture, { amount: colour, ...(range && { range }) }, streams('colour', step));
    const array = { ...source, data };
    const made = withInput(batch, source, array);
    if (!isAutoencoding) return made;
    return { ...made, target: batch.target === source ? array : { ...array, dims: batch.target.dims } };
  };
  const hidden: Variation = (batch, step) => {
    const source = floatsOf(inputNamed(batch.inputs, name));
    const data = source.data.slice();
    erase(data, picture, { probability, fill }, streams('erase', step));
    return withInput(batch, source, { ...source, data });
  };
  return probability > 0 ? [seen, hidden] : [seen];
}

/** The range of stored bytes; none is known of other numbers. */
function rangeOf(column: ExampleArray): { readonly low: number; readonly high: number } | undefined {
  if (!('scale' in column)) return undefined;
  const end = 255 * column.scale;
  return { low: Math.min(0, end), high: Math.max(0, end) };
}

function noiseStages(set: Dataset, { noise = 0 }: Augmentation, seed: number): Variation[] {
  if (noise === 0) return [];
  const [numbers, ...others] = listInputs(set.inputs).filter(([, { dtype }]) => dtype === 'float32');
  if (!numbers || others.length > 0) {
    throw new OptionError(
      `'${set.name}' has ${numbers ? 'several inputs' : 'no input'} of real numbers: noise is for one; leave it out`,
    );
  }
  const [name, column] = numbers;
  const deviations = measureDeviations({ ...set, inputs: column }).map((deviation) => noise * deviation);
  return [
    (batch, step) => {
      const source = floatsOf(inputNamed(batch.inputs, name));
      const data = source.data.slice();
      const length = elementCount(source.dims.slice(1));
      addNoise(data, length, deviations, (row) => random(seed, 'noise', step, row));
      return withInput(batch, source, { ...source, data });
    },
  ];
}

const ownStage =
  (own: NonNullable<Augmentation['own']>, seed: number): Variation =>
  (batch, step) => {
    const made = own(batch, random(seed, 'own', step));
    const shapes = (given: Batch) =>
      [...listInputs(given.inputs), ['target', given.target] as const]
        .map(([name = 'input', { dtype, dims }]) => `${name}: ${dtype}[${dims.join()}]`)
        .join('; ');
    const [before, after] = [batch, made].map(shapes);
    if (before === after) return made;
    throw new OptionError(`own of augment returned a batch of ${after}; it must be of ${before}, as it was given`);
  };

function mixingStages(
  set: Dataset,
  { mixup = 0, cutmix = 0 }: Augmentation,
  seed: number,
  mixedTargets: () => MixedTargets,
): Variation[] {
  if (mixup === 0 && cutmix === 0) return [];
  const names = [...(mixup > 0 ? ['mixup'] : []), ...(cutmix > 0 ? ['cutmix'] : [])].join(' and ');
  const whole = listInputs(set.inputs).find(([, { dtype }]) => dtype !== 'float32');
  if (whole) {
    const what = whole[0] === undefined ? 'inputs' : `input '${whole[0]}'`;
    throw new OptionError(`the ${what} of '${set.name}' are whole numbers, which ${names} cannot mix; leave it out`);
  }
  const targets = mixedTargets();
  if (cutmix > 0 && targets === 'values') {
    throw new OptionError(`cutmix is for classes, and the targets of '${set.name}' are numbers; use mixup`);
  }
  const picture = cutmix > 0 ? checkedPicture({ ...set, inputs: onlyInput(set) }, {}).picture : undefined;
  return [(batch, step) => mixed(batch, { mixup, cutmix, targets, picture }, random(seed, 'mix', step))];
}

/** The batch with another array in place of an input. */
const withInput = (batch: Batch, source: BatchArray, made: BatchArray): Batch => ({
  ...batch,
  inputs: mapInputs(batch.inputs, (input) => (input === source ? made : input)),
});

function floatsOf(input: BatchArray | undefined): Extract<BatchArray, { dtype: 'float32' }> {
  if (input?.dtype === 'float32') return input;
  throw new Error('what is augmented is float32');
}

/** The input that holds pictures. @throws OptionError if the set cannot be augmented so */
function checkedPicture(set: Dataset, { crop = 0, fill = 0 }: Augmentation) {
  const { inputs, targets } = set;
  const [found, ...others] = pictureInputs(set);
  if (!found || others.length > 0) {
    throw new OptionError(
      `${found ? ambiguous([found, ...others].map(({ name }) => `'${name}'`)) : noPictures(set)}; leave the augmentation out`,
    );
  }
  const { width, height } = found.picture;
  const isMap = ({ shape }: { readonly shape: readonly number[] }) =>
    shape.length > 1 || (shape.length === 1 && elementCount(shape) >= width * height);
  const moving = listInputs(inputs).find(([, column]) => column !== found.column && isMap(column));
  const [what, { shape }] = moving ? [`input '${moving[0]}'`, moving[1]] : ['targets', targets];
  if (moving || (isMap(targets) && targets.data !== found.column.data)) {
    throw new OptionError(
      `the ${what} of '${set.name}' ${moving ? 'has' : 'have'} the shape [${shape}] and would have to move with the pictures, which cgfac does not do: leave the augmentation out`,
    );
  }
  if (!Number.isInteger(crop) || crop < 0 || crop >= Math.min(width, height)) {
    throw new OptionError(
      `pictures of ${width} × ${height} cannot be cropped with a border of ${described(crop)}: expected a whole number of pixels of at least 0, less than their size`,
    );
  }
  if (!Number.isFinite(fill))
    throw new OptionError(`a border cannot be filled with ${described(fill)}: expected a finite number`);
  return found;
}

const ambiguous = (names: readonly string[]): string =>
  `the inputs ${names.join(', ')} could all be the pictures: cgfac flips and crops one`;

function noPictures({ name, inputs }: Dataset): string {
  if (!isUnnamed(inputs))
    return `none of the inputs of '${name}' are pictures: only pictures can be flipped and cropped`;
  const what = inputs.dtype === 'int64' ? 'tokens of text or other whole numbers' : 'rows of numbers';
  return `the inputs of '${name}' are ${what} of shape [${inputs.shape}]: only pictures can be flipped and cropped`;
}
