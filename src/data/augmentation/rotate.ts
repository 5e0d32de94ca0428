// Rotations of pictures about their centre, by bilinear interpolation.
import type { Random } from '../../random.js';
import type { PictureSize } from '../dataset.js';

/** Rotations by up to `degrees` either way; what comes from outside the picture is `fill`. */
export interface Rotation {
  readonly degrees: number;
  readonly fill: number;
}

/** Turn each of the pictures `[batch, channels · height · width]` in place, by an angle from its own stream. */
export function rotate(
  pictures: Float32Array,
  size: PictureSize,
  { degrees, fill }: Rotation,
  streamOf: (row: number) => Random,
): void {
  const length = size.channels * size.width * size.height;
  for (let row = 0; (row + 1) * length <= pictures.length; row++) {
    const angle = ((2 * streamOf(row).uniform() - 1) * degrees * Math.PI) / 180;
    const picture = pictures.subarray(row * length, (row + 1) * length);
    picture.set(rotated(picture, size, angle, fill));
  }
}

/** Return one picture turned counter-clockwise by an angle in radians. */
export function rotated(picture: Float32Array, size: PictureSize, angle: number, fill: number): Float32Array {
  const { width, height, channels } = size;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const [centreX, centreY] = [(width - 1) / 2, (height - 1) / 2];
  // With a border of two pixels around each plane, what is outside needs no question.
  const [wide, tall] = [width + 4, height + 4];
  const bordered = new Float32Array(wide * tall);
  const result = new Float32Array(picture.length);
  for (let channel = 0; channel < channels; channel++) {
    const plane = channel * width * height;
    if (fill !== 0) bordered.fill(fill);
    for (let y = 0; y < height; y++) {
      bordered.set(picture.subarray(plane + y * width, plane + (y + 1) * width), (y + 2) * wide + 2);
    }
    for (let y = 0; y < height; y++) {
      // Where this row comes from, in the bordered plane: the vertical axis points down.
      const [startX, startY] = [centreX + 2 - sin * (y - centreY), centreY + 2 + cos * (y - centreY)];
      for (let x = 0; x < width; x++) {
        const fromX = Math.min(wide - 2, Math.max(0, startX + cos * (x - centreX)));
        const fromY = Math.min(tall - 2, Math.max(0, startY + sin * (x - centreX)));
        const [left, top] = [Math.floor(fromX), Math.floor(fromY)];
        const [right, below] = [fromX - left, fromY - top];
        const at = top * wide + left;
        const upper = (1 - right) * (bordered[at] as number) + right * (bordered[at + 1] as number); // within
        const lower = (1 - right) * (bordered[at + wide] as number) + right * (bordered[at + wide + 1] as number);
        result[plane + y * width + x] = (1 - below) * upper + below * lower;
      }
    }
  }
  return result;
}
