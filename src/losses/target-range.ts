// Targets outside the numbers that a loss takes, of which it would make a figure all the same.
import type { TargetRange } from './loss.js';

/** How far beyond its bounds a target may be, as float32 and files round it. */
const rounding = 1e-6;

/**
 * Return the position of the first number outside a range, -1 if there is none. What is not a number is none of its
 * affair.
 */
export function firstOutside(numbers: ArrayLike<number | bigint>, { atLeast, atMost, only }: TargetRange): number {
  const [least, most] = [
    (atLeast ?? Number.NEGATIVE_INFINITY) - rounding,
    (atMost ?? Number.POSITIVE_INFINITY) + rounding,
  ];
  for (let i = 0; i < numbers.length; i++) {
    const x = Number(numbers[i]);
    if (x < least || x > most || (only && !Number.isNaN(x) && !only.includes(x))) return i;
  }
  return -1;
}

/** Return a range in words: "numbers from 0 to 1", "-1 or 1". */
export function rangeInWords({ atLeast, atMost, only }: TargetRange): string {
  if (only) return only.join(' or ');
  if (atLeast === undefined) return atMost === undefined ? 'numbers' : `numbers of at most ${atMost}`;
  return atMost === undefined ? `numbers of at least ${atLeast}` : `numbers from ${atLeast} to ${atMost}`;
}
