// Compares a gradient with differences of the loss along a direction, as precisely as the rounding of the loss allows.
import type { Random } from '../random.js';

/** `flat`: the loss changes by no more than its rounding, and the gradient agrees. */
type Verdict = 'agrees' | 'differs' | 'flat';

export interface SlopeCheck {
  /** The directional derivative: the gradient times the direction. */
  readonly slope: number;
  /** (L(h) − L(−h))/2h at the step h whose error is estimated smallest. */
  readonly quotient: number;
  /** |slope − quotient| over the larger of the two. */
  readonly relativeError: number;
  readonly verdict: Verdict;
}

/** Steps as parts of the parameter's norm: the loss curves over the largest and rounds over the smallest. */
const steps = [1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4];
/** Roundings of the loss that one difference of it may be off by. */
const roundings = 2;
/** Relative error that is accepted beside the estimated one; that of a wrong term of a gradient is far larger. */
const tolerance = 1e-2;

/**
 * Compare the directional derivative with difference quotients of the loss. The step is chosen by the error estimated from
 * the quotients alone (their distance to those of smaller steps, and rounding), never by the derivative: choosing the
 * best match would be lenient to wrong gradients.
 * @param lossAt the loss at θ + h·v for a direction v of norm 1
 * @param slope the gradient times v
 * @param norm of θ, to scale the steps
 * @param precision spacing of the loss's numbers at 1: 2⁻²³ for float32
 */
export async function checkSlope(
  lossAt: (h: number) => Promise<number>,
  slope: number,
  norm: number,
  precision: number,
): Promise<SlopeCheck> {
  const rounding = roundings * precision * Math.max(Math.abs(await lossAt(0)), 0.1);
  const quotients: { quotient: number; noise: number }[] = [];
  for (const part of steps) {
    const h = part * norm;
    quotients.push({ quotient: ((await lossAt(h)) - (await lossAt(-h))) / (2 * h), noise: rounding / (2 * h) });
  }
  let best = { quotient: Number.NaN, error: Number.POSITIVE_INFINITY };
  for (const [i, { quotient, noise }] of quotients.slice(0, -1).entries()) {
    // A difference to a smaller step's quotient beyond the latter's rounding is curvature, or a kink between the two.
    const missed = quotients.slice(i + 1).map((smaller) => Math.abs(quotient - smaller.quotient) - smaller.noise);
    const error = noise + Math.max(0, ...missed);
    if (error < best.error) best = { quotient, error };
  }
  const { quotient, error } = best;
  const size = Math.max(Math.abs(slope), Math.abs(quotient));
  const difference = Math.abs(slope - quotient);
  const relativeError = size === 0 ? 0 : difference / size;
  const verdict = !(difference <= 2 * error + tolerance * size) ? 'differs' : 4 * error > size ? 'flat' : 'agrees';
  return { slope, quotient, relativeError, verdict };
}

/**
 * Return a random direction of norm 1 whose elements have the signs of the gradient's: the directional derivative is a sum
 * without cancellation, far above the loss's rounding, and a gradient with wrong signs or in the wrong places predicts a
 * derivative that the loss does not have.
 */
export function directionAlong(gradient: ArrayLike<number>, source: Random): Float64Array {
  const drawn = new Float32Array(gradient.length);
  source.fillNormal(drawn);
  const direction = Float64Array.from(drawn, (x, i) => (gradient[i] ? Math.abs(x) * Math.sign(gradient[i] ?? 0) : x));
  const norm = Math.sqrt(direction.reduce((sum, x) => sum + x * x, 0)) || 1;
  return direction.map((x) => x / norm);
}
