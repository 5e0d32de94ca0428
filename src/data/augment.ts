// Random crops and flips of the pictures of each training batch, before any normalization, which is part of the model. A step's
// batch stays a pure function of the seed and the step.
import { OptionError } from '../errors.js';
import { inputNamed, isUnnamed, listInputs, mapInputs } from '../graph/inputs.js';
import { elementCount } from '../graph/tensor.js';
import { checkedFlag, checkKeys, described, type OptionKeys } from '../options.js';
import { type Random, random } from '../random.js';
import type { Batch, BatchArray, BatchSequence } from './batches.js';
import { type Dataset, type PictureSize, pictureInputs } from './dataset.js';

/** How pictures are augmented. */
export interface Augmentation {
  /** Mirror left and right with probability ½. */
  readonly flip?: boolean;
  /** Move by up to this many pixels each way: a crop, of the same size, from the picture with a border around it. */
  readonly crop?: number;
  /** What the border is filled with, in the units of the data; 0 by default, the black of pictures. */
  readonly fill?: number;
}

const keys: OptionKeys<Augmentation> = { flip: true, crop: true, fill: true };

/**
 * Return the batches with each picture moved and mirrored by its own draw from (seed, step). The targets of an autoencoder are the
 * augmented pictures.
 * @throws OptionError for unknown options, and if the data are not pictures or their targets would have to move with them
 * @example
 * const batches = augmentedBatches(trainingBatches(train, { batchSize, seed }), train, { flip: true, crop: 4 }, seed);
 */
export function augmentedBatches(
  batches: BatchSequence,
  set: Dataset,
  augmentation: Augmentation,
  seed: number,
): BatchSequence {
  checkKeys('augment', augmentation, keys);
  checkedFlag('flip of augment', augmentation.flip);
  const { name, column, picture } = checkedPicture(set, augmentation);
  const isAutoencoding = set.targets.data === column.data;
  const at = (step: number): Batch => {
    const batch = batches.at(step);
    const { inputs, target } = batch;
    const source = inputNamed(inputs, name);
    if (source?.dtype !== 'float32' || (isAutoencoding && target.dtype !== 'float32'))
      throw new Error('pictures are float32');
    const data = augment(source.data, picture, augmentation, random(seed, 'augment', step));
    const augmented: BatchArray = { ...source, data };
    const reproduced = target === source ? augmented : { ...augmented, dims: target.dims };
    return {
      ...batch,
      inputs: mapInputs(inputs, (input) => (input === source ? augmented : input)),
      target: isAutoencoding ? reproduced : target,
    };
  };
  return { ...batches, at };
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

/** Return the pictures `[batch, channels · height · width]`, each moved and mirrored by its own draw from the stream. */
export function augment(
  source: Float32Array,
  { width, height, channels }: PictureSize,
  { flip = false, crop = 0, fill = 0 }: Augmentation,
  stream: Random,
): Float32Array<ArrayBuffer> {
  const data = new Float32Array(source.length);
  if (fill !== 0) data.fill(fill);
  const area = width * height;
  for (let start = 0; start < source.length; start += channels * area) {
    const moveX = stream.integer(2 * crop + 1) - crop;
    const moveY = stream.integer(2 * crop + 1) - crop;
    const mirrored = flip && stream.sign() > 0;
    // Column x comes from x + moveX, or mirrored from width − 1 − x + moveX, if that is within the picture.
    const first = Math.max(0, mirrored ? moveX : -moveX);
    const last = Math.min(width, width + (mirrored ? moveX : -moveX));
    const [origin, direction] = mirrored ? [width - 1 + moveX, -1] : [moveX, 1];
    const [top, bottom] = [Math.max(0, -moveY), Math.min(height, height - moveY)];
    for (let plane = start; plane < start + channels * area; plane += area) {
      for (let y = top; y < bottom; y++) {
        const to = plane + y * width;
        const from = plane + (y + moveY) * width + origin;
        for (let x = first; x < last; x++) data[to + x] = source[from + direction * x] as number; // within the picture
      }
    }
  }
  return data;
}
