// Which examples an evaluation uses: all, or of the overlapping windows over one sequence, of which there
// are as many as the sequence has elements, some that do not overlap.

import { type Dataset, overlapOf } from '../../data/dataset.js';
import { permutation } from '../../data/sampling.js';

/** Most windows of a set of overlapping ones that are evaluated: of 64 characters, 128,000 predictions. */
const mostWindows = 2000;

/** Return the numbers of the examples that represent a whole set: windows that do not overlap, spread evenly, else all. */
export function evaluatedExamples(set: Dataset): Uint32Array {
  const overlap = overlapOf(set);
  const apart = Math.ceil(set.size / overlap);
  const count = overlap === 1 ? apart : Math.min(apart, mostWindows);
  return Uint32Array.from({ length: count }, (_, i) => Math.floor((i * apart) / count) * overlap);
}

/** Return a fixed random sample of them for evaluations during a run, at most `examples` of them. */
export function sampledExamples(set: Dataset, examples: number): Uint32Array {
  const all = evaluatedExamples(set);
  if (all.length <= examples) return all;
  return permutation(all.length, 0, 0)
    .slice(0, examples)
    .map((position) => all[position] ?? 0);
}

/** Return the default size of such a sample: an example with a sequence of targets has many predictions. */
export const usualExamples = ({ targets }: Dataset): number =>
  targets.dtype === 'int64' && targets.shape.length > 0 ? 500 : 5000;
