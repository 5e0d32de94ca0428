// Draws one digit as a hand would: the skeleton is deformed, turned, slanted, stretched and moved at random, inked by a
// pen of varying width, and rendered anti-aliased into a square picture of bytes.

import type { Random } from '../../random.js';
import { type DigitStyle, digitStyles, type StrokePoint } from './strokes.js';

/** Width and height of a drawn digit in pixels. */
export const pictureSize = 28;

/** Straight pieces per span between two points of a stroke: enough for the curve to look smooth at this size. */
const piecesPerSpan = 6;

/** Draw `digit` (0–9) into `pixels` [28 × 28], rows from the top, 0 paper to 255 ink. All randomness is from `stream`. */
export function drawDigit(digit: number, stream: Random, pixels: Uint8Array): void {
  const styles = digitStyles[digit] ?? [];
  const style = styles[stream.integer(styles.length)] ?? [];
  const strokes = placed(deformed(style, stream), stream);
  const ink = new Float32Array(pictureSize * pictureSize);
  const radius = clamp(1.15 + 0.34 * stream.normal(), 0.6, 2.1);
  const pressure = 0.14 * stream.normal();
  for (const stroke of strokes) inkStroke(ink, curve(stroke), radius, pressure);
  develop(ink, stream, pixels);
}

/** Elastic deformation: a smooth random displacement of the whole box, and a little unsteadiness at each point. */
function deformed(style: DigitStyle, stream: Random): StrokePoint[][] {
  // Two plane waves per axis with a wavelength of about the box: they bend and swell strokes without tearing joints.
  const waves = Array.from({ length: 4 }, () => ({
    amplitude: 3.6 * stream.normal(),
    u: 0.045 * stream.normal(),
    v: 0.045 * stream.normal(),
    phase: 2 * Math.PI * stream.uniform(),
  }));
  const shift = (x: number, y: number, from: number): number =>
    waves
      .slice(from, from + 2)
      .reduce((sum, { amplitude, u, v, phase }) => sum + amplitude * Math.sin(u * x + v * y + phase), 0);
  return style.map((stroke) =>
    stroke.map(({ x, y, corner }) => ({
      x: x + shift(x, y, 0) + 1.6 * stream.normal(),
      y: y + shift(x, y, 2) + 1.6 * stream.normal(),
      corner,
    })),
  );
}

/** From the box to pixels: a random affine map, with the digit's middle near the picture's. */
function placed(strokes: StrokePoint[][], stream: Random): StrokePoint[][] {
  const angle = clamp(0.13 * stream.normal(), -0.32, 0.32);
  const shear = clamp(0.18 * stream.normal(), -0.45, 0.45);
  const height = clamp(19.5 + 1.7 * stream.normal(), 14, 23);
  const width = height * clamp(0.84 + 0.12 * stream.normal(), 0.55, 1.15);
  const [a, b] = [Math.cos(angle), Math.sin(angle)];
  const points = strokes.flat();
  const middle = (pick: (point: StrokePoint) => number): number => {
    const values = points.map(pick);
    return (Math.min(...values) + Math.max(...values)) / 2;
  };
  const [middleX, middleY] = [middle((point) => point.x), middle((point) => point.y)];
  const centre = (pictureSize - 1) / 2;
  const moveX = centre + clamp(0.9 * stream.normal(), -2.5, 2.5);
  const moveY = centre + clamp(0.8 * stream.normal(), -2, 2);
  return strokes.map((stroke) =>
    stroke.map(({ x, y, corner }) => {
      const v = ((y - middleY) / 100) * height;
      const u = ((x - middleX) / 100) * width - shear * v;
      return { x: moveX + a * u - b * v, y: moveY + b * u + a * v, corner };
    }),
  );
}

/** The stroke as a fine polyline [x, y, …]: a Catmull–Rom spline, straight tangents at ends and corners. */
function curve(points: readonly StrokePoint[]): Float64Array {
  const spans = points.length - 1;
  const line = new Float64Array(2 * (spans * piecesPerSpan + 1));
  for (let span = 0; span < spans; span++) {
    const from = points[span] as StrokePoint;
    const to = points[span + 1] as StrokePoint;
    const before = from.corner ? from : (points[span - 1] ?? from);
    const after = to.corner ? to : (points[span + 2] ?? to);
    for (let piece = 0; piece <= piecesPerSpan; piece++) {
      const t = piece / piecesPerSpan;
      const at = 2 * (span * piecesPerSpan + piece);
      line[at] = catmullRom(before.x, from.x, to.x, after.x, t);
      line[at + 1] = catmullRom(before.y, from.y, to.y, after.y, t);
    }
  }
  return line;
}

function catmullRom(before: number, from: number, to: number, after: number, t: number): number {
  const [start, end] = [(to - before) / 2, (after - from) / 2];
  return from + t * (start + t * (3 * (to - from) - 2 * start - end + t * (2 * (from - to) + start + end)));
}

/** Darken every pixel as far as the pen covers it; overlapping ink does not add. */
function inkStroke(ink: Float32Array, line: Float64Array, radius: number, pressure: number): void {
  const pieces = line.length / 2 - 1;
  for (let piece = 0; piece < pieces; piece++) {
    const [x0, y0] = [line[2 * piece] as number, line[2 * piece + 1] as number];
    const [dx, dy] = [(line[2 * piece + 2] as number) - x0, (line[2 * piece + 3] as number) - y0];
    const squared = dx * dx + dy * dy || 1e-9;
    // The pen presses harder towards one end of its stroke.
    const pen = radius * (1 + pressure * ((2 * piece) / pieces - 1));
    const reach = pen + 1;
    const left = Math.max(0, Math.floor(Math.min(x0, x0 + dx) - reach));
    const right = Math.min(pictureSize - 1, Math.ceil(Math.max(x0, x0 + dx) + reach));
    const top = Math.max(0, Math.floor(Math.min(y0, y0 + dy) - reach));
    const bottom = Math.min(pictureSize - 1, Math.ceil(Math.max(y0, y0 + dy) + reach));
    for (let y = top; y <= bottom; y++) {
      for (let x = left; x <= right; x++) {
        const along = clamp(((x - x0) * dx + (y - y0) * dy) / squared, 0, 1);
        const distance = Math.hypot(x - x0 - along * dx, y - y0 - along * dy);
        const cover = clamp(pen - distance + 0.5, 0, 1);
        const pixel = y * pictureSize + x;
        if (cover > (ink[pixel] as number)) ink[pixel] = cover;
      }
    }
  }
}

/** Ink to bytes: a slight blur, a random strength, uneven ink; blank paper stays exactly 0. */
function develop(ink: Float32Array, stream: Random, pixels: Uint8Array): void {
  const blur = 0.12 * stream.uniform();
  const strength = 255 * (0.82 + 0.22 * stream.uniform());
  const size = pictureSize;
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const pixel = y * size + x;
      const own = ink[pixel] as number;
      const around =
        (x > 0 ? (ink[pixel - 1] as number) : 0) +
        (x < size - 1 ? (ink[pixel + 1] as number) : 0) +
        (y > 0 ? (ink[pixel - size] as number) : 0) +
        (y < size - 1 ? (ink[pixel + size] as number) : 0);
      const value = (1 - 4 * blur) * own + blur * around;
      pixels[pixel] = value <= 0.02 ? 0 : Math.round(clamp(value * strength + 10 * (stream.uniform() - 0.5), 0, 255));
    }
  }
}

function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(value, high));
}
