// Splits a data set into a training and a test part, at random by a seed, for files that have no test part.
import { FileError } from '../errors.js';
import { elementCount } from '../graph/tensor.js';
import { random } from '../random.js';
import { type DataSplits, type Dataset, type ExampleArray, exampleStride } from './dataset.js';
import { mapColumns } from './views.js';

/** How much is held out for testing, and by which seed it is chosen. */
export interface SplitOptions {
  /** Share of the examples held out, strictly between 0 and 1. */
  readonly testShare: number;
  readonly seed: number;
}

/**
 * Hold out `testShare` of the examples (rounded, at least one, never all), chosen at random by the seed; both parts keep the
 * file's order.
 * @throws FileError if there are fewer than two examples
 */
export function splitAtRandom(set: Dataset, { testShare, seed }: SplitOptions): DataSplits {
  if (set.size < 2) {
    throw new FileError(
      `${set.name}: found ${set.size} examples, expected at least 2, one to train on and one to test: add data`,
    );
  }
  const testSize = Math.max(1, Math.min(set.size - 1, Math.round(set.size * testShare)));
  const stream = random(seed, 'split');
  const held = new Uint8Array(set.size);
  // Selection sampling (Knuth, algorithm S): each subset of testSize examples is equally likely.
  for (let row = 0, needed = testSize; needed > 0; row++) {
    if (stream.integer(set.size - row) < needed) {
      held[row] = 1;
      needed--;
    }
  }
  const rows = (part: number): number[] => Array.from(held.keys()).filter((row) => held[row] === part);
  const heldOut = { share: testShare, seed };
  return {
    train: { ...takeRows(set, rows(0)), name: `${set.name} train`, heldOut },
    test: { ...takeRows(set, rows(1)), name: `${set.name} test`, heldOut },
  };
}

const takeRows = (set: Dataset, rows: readonly number[]): Dataset => ({
  ...set,
  size: rows.length,
  ...mapColumns(set, (column) => take(column, rows)),
});

function take(column: ExampleArray, rows: readonly number[]): ExampleArray {
  const length = elementCount(column.shape);
  const stride = exampleStride(column);
  const { stride: _, ...dense } = column;
  const copy = <Values extends Float32Array | Uint8Array | Int32Array>(source: Values, target: Values): Values => {
    for (const [index, row] of rows.entries()) {
      target.set(source.subarray(row * stride, row * stride + length), index * length);
    }
    return target;
  };
  const total = rows.length * length;
  if (dense.dtype === 'int64') return { ...dense, data: copy(dense.data, new Int32Array(total)) };
  if ('scale' in dense) return { ...dense, data: copy(dense.data, new Uint8Array(total)) };
  return { ...dense, data: copy(dense.data, new Float32Array(total)) };
}
