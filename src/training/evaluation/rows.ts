// Single rows of a set for a record: a few input values that say which example it is.
import type { Batch } from '../../data/batches.js';
import { listInputs } from '../../graph/inputs.js';
import { elementCount } from '../../graph/tensor.js';

/** Most rows in a record's list of the worst, and most of their input values. */
export const mostRows = 10;
const mostValues = 8;

/** Return the first values of an example's first input, in the units of the data. */
export function firstInputs({ inputs }: Batch, row: number): number[] {
  const [first] = listInputs(inputs);
  if (!first) return [];
  const [, { data, dims }] = first;
  const size = elementCount(dims.slice(1));
  return Array.from({ length: Math.min(size, mostValues) }, (_, i) => Number(data[row * size + i]));
}
