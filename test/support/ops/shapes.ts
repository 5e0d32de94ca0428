// Random shapes for gradient checks: axes of size 1, empty batches, named sizes, and shapes that broadcast together.
import fc from 'fast-check';
import type { CheckedSize } from '../gradient-check.js';

/** Sizes 1 to 3. */
export const size = fc.integer({ min: 1, max: 3 });

/** Each element costs runs of the whole family of checks. */
const mostElements = 12;

/** A shape of the given ranks with sizes 1 to 3; some have a named or an empty first axis. */
export function shape(minRank = 0, maxRank = 3): fc.Arbitrary<CheckedSize[]> {
  const sizes = fc
    .array(size, { minLength: minRank, maxLength: maxRank })
    .filter((dims) => dims.reduce((count, dim) => count * dim, 1) <= mostElements);
  return fc.tuple(sizes, fc.constantFrom('known', 'known', 'named', 'empty')).map(([dims, first]) => {
    if (dims.length === 0 || first === 'known') return dims;
    if (first === 'empty') return [0, ...dims.slice(1)];
    return [`batch=${dims[0] ?? 1}` as const, ...dims.slice(1)];
  });
}

/** Several shapes that broadcast together: axes replaced by 1, leading axes left out. */
export function broadcastable(count: number, maxRank = 3): fc.Arbitrary<CheckedSize[][]> {
  const change = fc.record({
    drop: fc.nat({ max: maxRank }),
    ones: fc.array(fc.boolean(), { minLength: maxRank, maxLength: maxRank }),
  });
  return fc.tuple(shape(0, maxRank), fc.array(change, { minLength: count, maxLength: count })).map(([whole, changes]) =>
    changes.map(({ drop, ones }, i) => {
      if (i === 0 && drop < 2) return whole;
      const kept = whole.map((dim, axis) => (ones[axis] ? 1 : dim));
      return kept.slice(Math.min(drop, kept.length));
    }),
  );
}
