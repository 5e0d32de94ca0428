// Brightness, contrast and saturation of pictures, each changed by a factor.
import type { Random } from '../../random.js';
import type { PictureSize } from '../dataset.js';

/** Factors in 1 ± `amount`. */
export interface Jitter {
  readonly amount: number;
  /** The range of the pixels, if it is known: results stay within. */
  readonly range?: { readonly low: number; readonly high: number };
}

/** Change the colours of each of the pictures `[batch, channels · height · width]` in place, by factors from its own stream. */
export function jitter(
  pictures: Float32Array,
  size: PictureSize,
  { amount, range }: Jitter,
  streamOf: (row: number) => Random,
): void {
  const length = size.channels * size.width * size.height;
  for (let row = 0; (row + 1) * length <= pictures.length; row++) {
    const stream = streamOf(row);
    const factor = () => 1 + amount * (2 * stream.uniform() - 1);
    const factors = { brightness: factor(), contrast: factor(), saturation: factor() };
    const picture = pictures.subarray(row * length, (row + 1) * length);
    recolour(picture, size, factors);
    if (!range) continue;
    for (let i = 0; i < length; i++) {
      picture[i] = Math.min(range.high, Math.max(range.low, picture[i] as number)); // within
    }
  }
}

/** Factors of one picture; 1 changes nothing. */
interface Factors {
  /** Of all pixels. */
  readonly brightness: number;
  /** Of their differences from the mean of the picture. */
  readonly contrast: number;
  /** Of the differences of red, green and blue from the grey of their pixel; pictures of other channels have none. */
  readonly saturation: number;
}

/** Change one picture in place. */
export function recolour(picture: Float32Array, size: PictureSize, factors: Factors): void {
  const { brightness, contrast, saturation } = factors;
  const sum = picture.reduce((total, pixel) => total + pixel, 0);
  const mean = (brightness * sum) / picture.length;
  for (let i = 0; i < picture.length; i++) {
    picture[i] = contrast * brightness * (picture[i] as number) + (1 - contrast) * mean; // within
  }
  if (size.channels !== 3) return;
  const area = size.width * size.height;
  for (let i = 0; i < area; i++) {
    // The weights of grey are those of ITU-R BT.601.
    const [red, green, blue] = [picture[i], picture[i + area], picture[i + 2 * area]] as [number, number, number];
    const grey = 0.299 * red + 0.587 * green + 0.114 * blue;
    for (const [channel, value] of [red, green, blue].entries()) {
      picture[i + channel * area] = saturation * value + (1 - saturation) * grey;
    }
  }
}
