// Which examples an evaluation uses: all, or of the overlapping windows over one sequence, of which there
// are as many as the sequence has elements, some that do not overlap.
import { permutation } from '../../data/batches.js';
import { type Dataset, overlapOf } from '../../data/dataset.js';

/** Most windows of a set of overlapping ones that are evaluated: of 64 characters, 128,000 predictions. */
const mostWindows = 2000;

/** Numbers of the examples that stand for a whole set: of overlapping windows those that do not overlap, spread evenly. */
export function evaluatedExamples(set: Dataset): Uint32Array {
  const overlap = overlapOf(set);
  const apart = Math.ceil(set.size / overlap);
  const count = overlap === 1 ? apart : Math.min(apart, mostWindows);
  return Uint32Array.from({ length: count }, (_, i) => Math.floor((i * apart) / count) * overlap);
}

/** A fixed random part of those, for evaluations along the way: at most so many examples. */
export function sampledExamples(set: Dataset, examples: number): Uint32Array {
  const all = evaluatedExamples(set);
  if (all.length <= examples) return all;
  return permutation(all.length, 0, 0)
    .slice(0, examples)
    .map((position) => all[position] ?? 0);
}

/** As many as make an evaluation along the way short: an example with a sequence of targets is many predictions. */
export const usualExamples = ({ targets }: Dataset): number =>
  targets.dtype === 'int64' && targets.shape.length > 0 ? 500 : 5000;
