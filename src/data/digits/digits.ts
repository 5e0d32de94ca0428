// The built-in data set: pictures of handwritten-like digits drawn by a seeded program, so that models can be trained and tested
// without a download. Picture i of a split is a pure function of (seed, split, i).
import { checkedCount, checkedNumber, checkKeys, type OptionKeys } from '../../options.js';
import { random } from '../../random.js';
import { type DataSplits, type Dataset, dataset } from '../dataset.js';
import { drawDigit, pictureSize } from './drawing.js';

/** How many digits to draw, and from which seed. */
export interface DigitsOptions {
  /** Training pictures, 16,000 by default. */
  readonly trainSize?: number;
  /** Test pictures, 4,000 by default. */
  readonly testSize?: number;
  /** 0 by default. */
  readonly seed?: number;
}

const keys: OptionKeys<DigitsOptions> = { trainSize: true, testSize: true, seed: true };

/** 784 bytes each: more would not fit in an array. */
const mostDigits = 2_000_000;

/**
 * Draw the set: inputs are bytes of shape [784] (28 × 28, rows from the top, scale 1/255), targets the digit (int64). Digits take
 * turns 0, 1, …, 9, so every class is equally frequent. Equal options give the same bits; a smaller set is the beginning of a
 * larger one.
 * @throws OptionError for unknown options, and if a size is not a whole number of at least 1
 * @example
 * const { train, test } = drawnDigits({ trainSize: 2000, testSize: 500, seed: 1 });
 */
export function drawnDigits(options: DigitsOptions = {}): DataSplits {
  checkKeys('drawnDigits', options, keys);
  const trainSize = checkedCount('digits: train size', options.trainSize ?? 16_000, mostDigits);
  const testSize = checkedCount('digits: test size', options.testSize ?? 4_000, mostDigits);
  const seed = checkedNumber('digits: seed', options.seed ?? 0, { integer: true });
  return { train: draw('train', trainSize, seed), test: draw('test', testSize, seed) };
}

function draw(split: 'train' | 'test', size: number, seed: number): Dataset {
  const length = pictureSize * pictureSize;
  const pixels = new Uint8Array(size * length);
  const labels = new Int32Array(size);
  for (let index = 0; index < size; index++) {
    const digit = index % 10;
    labels[index] = digit;
    drawDigit(digit, random(seed, 'digits', split, index), pixels.subarray(index * length, (index + 1) * length));
  }
  return dataset({
    name: `digits ${split}`,
    size,
    inputs: { dtype: 'float32', shape: [length], data: pixels, scale: 1 / 255 },
    targets: { dtype: 'int64', shape: [], data: labels },
    classes: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
    picture: { width: pictureSize, height: pictureSize, channels: 1 },
  });
}
