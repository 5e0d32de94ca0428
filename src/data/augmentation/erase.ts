// Random erasing (Zhong et al., arXiv 1708.04896): a rectangle of the picture is hidden.
import type { Random } from '../../random.js';
import type { PictureSize } from '../dataset.js';

/** Rectangles hidden with this probability in a picture. */
export interface Erasure {
  readonly probability: number;
  readonly fill: number;
}

/** Share of the picture's area and ratio of height to width: the ranges of the paper. */
const [smallest, largest] = [0.02, 0.33];
const flattest = 0.3;

/** Hide a rectangle of each of the pictures `[batch, channels · height · width]` in place, or none, by its own stream. */
export function erase(
  pictures: Float32Array,
  { width, height, channels }: PictureSize,
  { probability, fill }: Erasure,
  streamOf: (row: number) => Random,
): void {
  const area = width * height;
  const length = channels * area;
  for (let row = 0; (row + 1) * length <= pictures.length; row++) {
    const stream = streamOf(row);
    if (stream.uniform() >= probability) continue;
    const hidden = area * (smallest + (largest - smallest) * stream.uniform());
    const ratio = flattest ** (1 - 2 * stream.uniform());
    const tall = Math.min(height, Math.max(1, Math.round(Math.sqrt(hidden * ratio))));
    const wide = Math.min(width, Math.max(1, Math.round(Math.sqrt(hidden / ratio))));
    const [top, left] = [stream.integer(height - tall + 1), stream.integer(width - wide + 1)];
    for (let plane = row * length; plane < (row + 1) * length; plane += area) {
      for (let y = top; y < top + tall; y++) {
        const start = plane + y * width + left;
        pictures.fill(fill, start, start + wide);
      }
    }
  }
}
