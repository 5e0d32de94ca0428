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
  const area = width * height;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const [centreX, centreY] = [(width - 1) / 2, (height - 1) / 2];
  const result = new Float32Array(picture.length);
  const pixel = (plane: number, x: number, y: number): number =>
    x >= 0 && x < width && y >= 0 && y < height ? (picture[plane + y * width + x] as number) : fill;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      // Where this pixel comes from: the vertical axis points down.
      const fromX = centreX + cos * (x - centreX) - sin * (y - centreY);
      const fromY = centreY + sin * (x - centreX) + cos * (y - centreY);
      const [left, top] = [Math.floor(fromX), Math.floor(fromY)];
      const [right, below] = [fromX - left, fromY - top];
      for (let channel = 0; channel < channels; channel++) {
        const plane = channel * area;
        const upper = (1 - right) * pixel(plane, left, top) + right * pixel(plane, left + 1, top);
        const lower = (1 - right) * pixel(plane, left, top + 1) + right * pixel(plane, left + 1, top + 1);
        result[plane + y * width + x] = (1 - below) * upper + below * lower;
      }
    }
  }
  return result;
}
