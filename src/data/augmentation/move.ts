// Crops and flips: each picture moved by whole pixels and mirrored.
import type { Random } from '../../random.js';
import type { PictureSize } from '../dataset.js';

/** How far pictures move, whether they are mirrored, and what they leave behind. */
interface Moves {
  readonly flip?: boolean;
  readonly crop?: number;
  readonly fill?: number;
}

/** Return the pictures `[batch, channels · height · width]`, each moved and mirrored by its own draw from the stream. */
export function moved(
  source: Float32Array,
  { width, height, channels }: PictureSize,
  { flip = false, crop = 0, fill = 0 }: Moves,
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
