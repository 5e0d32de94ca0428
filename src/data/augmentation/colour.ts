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
  let sum = 0;
  for (const pixel of picture) sum += pixel;
  const shift = ((1 - contrast) * brightness * sum) / picture.length;
  const factor = contrast * brightness;
  for (let i = 0; i < picture.length; i++) picture[i] = factor * (picture[i] as number) + shift; // within
  if (size.channels !== 3) return;
  const area = size.width * size.height;
  for (let i = 0; i < area; i++) {
    // The weights of grey are those of ITU-R BT.601.
    const red = picture[i] as number; // three planes: within
    const green = picture[i + area] as number;
    const blue = picture[i + 2 * area] as number;
    const grey = (1 - saturation) * (0.299 * red + 0.587 * green + 0.114 * blue);
    picture[i] = saturation * red + grey;
    picture[i + area] = saturation * green + grey;
    picture[i + 2 * area] = saturation * blue + grey;
  }
}
