// What is done to pictures after they are gathered: normalization by a mean and deviation per channel, and seeded random
// crops and flips. Pure: batches go in, new batches come out, targets stay as they are.
import { OptionError } from '../errors.js';
import { type Batch, type BatchArray, gatherBatch } from './batches.js';
import { type Dataset, elementCount, type Picture } from './dataset.js';
import type { Random } from './random.js';

/** One number per channel; inputs become (value − mean) / deviation. */
export interface Normalization {
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
}

/** How pictures are varied in training. */
export interface Augmentation {
  /** Mirror left and right with probability ½. */
  readonly flip?: boolean;
  /** Move by up to this many pixels each way: crop from a picture padded with `fill`. */
  readonly padding?: number;
  /** What the border is filled with; 0 by default. */
  readonly fill?: number;
}

/**
 * Mean and deviation of a data set's inputs per channel (axis 0 of an example with more than one axis, else each feature its own
 * channel where `perFeature`, else all one). A constant channel gets deviation 1, so that it becomes 0.
 */
export function measureNormalization(set: Dataset, perFeature = false): Normalization {
  const { shape } = set.inputs;
  const channels = shape.length > 1 ? (shape[0] ?? 1) : perFeature ? elementCount(shape) : 1;
  const per = elementCount(shape) / channels;
  const sums = new Float64Array(channels);
  const squares = new Float64Array(channels);
  // Sums about the first example keep their digits where the mean is large against the deviation.
  let origin: Float32Array | undefined;
  for (let row = 0; row < set.size; row++) {
    const values = floats(gatherBatch(set, [row]).input);
    origin ??= values;
    for (let index = 0; index < values.length; index++) {
      const channel = Math.floor(index / per);
      const difference = (values[index] ?? 0) - (origin[channel * per] ?? 0);
      sums[channel] = (sums[channel] ?? 0) + difference;
      squares[channel] = (squares[channel] ?? 0) + difference * difference;
    }
  }
  const count = set.size * per;
  const offsets = Array.from(sums, (sum) => sum / count);
  return {
    mean: offsets.map((offset, channel) => offset + (origin?.[channel * per] ?? 0)),
    deviation: offsets.map((offset, channel) => {
      const variance = (squares[channel] ?? 0) / count - offset * offset;
      return variance > 1e-12 ? Math.sqrt(variance) : 1;
    }),
  };
}

/** The batch with normalized inputs. Throws OptionError where the channels do not divide the inputs. */
export function normalize(batch: Batch, { mean, deviation }: Normalization): Batch {
  const values = floats(batch.input);
  const length = elementCount(batch.input.dims.slice(1));
  if (mean.length === 0 || mean.length !== deviation.length || length % mean.length !== 0) {
    throw new OptionError(
      `normalization with ${mean.length} means and ${deviation.length} deviations cannot be applied to inputs of shape [${batch.input.dims.slice(1)}]: expected one of each per channel`,
    );
  }
  const wrong = deviation.find((value) => !(value > 0));
  if (wrong !== undefined)
    throw new OptionError(`normalization by the deviation ${wrong} cannot be done: expected numbers above 0`);
  const per = length / mean.length;
  const data = Float32Array.from(values, (value, index) => {
    const channel = Math.floor((index % length) / per);
    return (value - (mean[channel] ?? 0)) / (deviation[channel] ?? 1);
  });
  return { ...batch, input: { dtype: 'float32', dims: batch.input.dims, data } };
}

/**
 * The batch with each picture moved and mirrored by its own draw from `stream`; for exact resume give each step its own,
 * `random(seed, 'augment', step)`. Throws OptionError where the inputs are not pictures of that size.
 *
 * @example
 * const varied = augment(batch, { width: 32, height: 32, channels: 3 }, { flip: true, padding: 4 }, random(seed, 'augment', step));
 */
export function augment(batch: Batch, picture: Picture, augmentation: Augmentation, stream: Random): Batch {
  const { width, height, channels } = picture;
  const { flip = false, padding = 0, fill = 0 } = augmentation;
  const source = floats(batch.input);
  const length = channels * height * width;
  if (elementCount(batch.input.dims.slice(1)) !== length) {
    throw new OptionError(
      `inputs of shape [${batch.input.dims.slice(1)}] are no pictures of ${channels} × ${height} × ${width}: augment picture data only`,
    );
  }
  if (!Number.isInteger(padding) || padding < 0) {
    throw new OptionError(`padding ${padding} cannot be used: expected a whole number of pixels of at least 0`);
  }
  const data = new Float32Array(source.length).fill(fill);
  for (let start = 0; start < source.length; start += length) {
    const moveX = stream.integer(2 * padding + 1) - padding;
    const moveY = stream.integer(2 * padding + 1) - padding;
    const mirrored = flip && stream.sign() > 0;
    for (let row = 0; row < channels * height; row++) {
      const y = (row % height) + moveY;
      if (y < 0 || y >= height) continue;
      const from = start + (row + moveY) * width;
      for (let x = 0; x < width; x++) {
        const at = (mirrored ? width - 1 - x : x) + moveX;
        if (at >= 0 && at < width) data[start + row * width + x] = source[from + at] ?? 0;
      }
    }
  }
  return { ...batch, input: { dtype: 'float32', dims: batch.input.dims, data } };
}

function floats(input: BatchArray): Float32Array {
  if (input.dtype === 'float32') return input.data;
  throw new OptionError(
    'inputs are int64, expected float32: only pictures and other real numbers can be normalized or augmented',
  );
}
