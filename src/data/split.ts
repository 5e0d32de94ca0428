// Splits a data set into a training and a test part, at random by a seed, for files that have no test part.
import { FileError, OptionError } from '../errors.js';
import { elementCount } from '../graph/tensor.js';
import { checkedNumber } from '../options.js';
import { type Random, random } from '../random.js';
import { checkSplits, type DataSplits, type Dataset, type ExampleArray, exampleStride, overlapOf } from './dataset.js';
import { mapColumns, slice } from './views.js';

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
  const every = Array.from({ length: set.size }, (_, row) => row);
  const held = heldOut(every, testSize, stream);
  const isHeld = new Set(held);
  const by = { share: testShare, seed };
  return {
    train: {
      ...takeRows(
        set,
        every.filter((row) => !isHeld.has(row)),
      ),
      name: `${set.name} train`,
      heldOut: by,
    },
    test: { ...takeRows(set, held), name: `${set.name} test`, heldOut: by },
  };
}

/** How much of the training set is held out for validation, and by which seed it is chosen. */
export interface ValidationOptions {
  /** Share of the training examples, strictly between 0 and 1. */
  readonly share: number;
  readonly seed: number;
}

/**
 * Hold out a share of the training set as the validation set, chosen at random by the seed; of each class the same share, if
 * each example has one label. Overlapping windows over one sequence are held out from its end, without overlap.
 * @throws OptionError if there is a validation set already, or too few examples for both
 * @example
 * const { train, validation } = withValidation(await loadData('digits'), { share: 0.1, seed: 1 });
 */
export function withValidation(data: DataSplits, { share, seed }: ValidationOptions): DataSplits {
  checkSplits(data);
  checkedNumber('validation', share, { above: 0, below: 1 });
  const { train } = data;
  if (train.parts) {
    throw new OptionError(
      `'${train.name}' is streamed: a share of it cannot be held out; give a validation set of its own (data.validation)`,
    );
  }
  if (data.validation) throw new OptionError('there is a validation set already: leave out the share to hold out');
  const overlap = overlapOf(train);
  if (overlap > 1) return withLastWindows(data, share, overlap);
  const stream = random(seed, 'validation');
  const held = strata(train).flatMap((rows) => heldOut(rows, Math.round(rows.length * share), stream));
  if (held.length === 0)
    held.push(
      ...heldOut(
        Array.from({ length: train.size }, (_, row) => row),
        1,
        stream,
      ),
    );
  if (held.length >= train.size) throw tooFew(train, share);
  const isHeld = new Set(held);
  const rest = Array.from({ length: train.size }, (_, row) => row).filter((row) => !isHeld.has(row));
  return {
    ...data,
    train: { ...takeRows(train, rest), name: train.name },
    validation: {
      ...takeRows(
        train,
        held.sort((x, y) => x - y),
      ),
      name: `${train.name} validation`,
    },
  };
}

const tooFew = ({ name, size }: Dataset, share: number): OptionError =>
  new OptionError(`a share of ${share} of the ${size} examples of '${name}' leaves none for training: hold out less`);

/** The last windows of a sequence, and before them those that share nothing with them. */
function withLastWindows(data: DataSplits, share: number, overlap: number): DataSplits {
  const { train } = data;
  const held = Math.max(1, Math.round(train.size * share));
  const kept = train.size - held - (overlap - 1);
  if (kept < 1) throw tooFew(train, share);
  return {
    ...data,
    train: slice(train, 0, kept),
    validation: { ...slice(train, train.size - held, train.size), name: `${train.name} validation` },
  };
}

/** Rows by label, if each example has one; else all rows. */
function strata({ size, targets }: Dataset): number[][] {
  const rows = Array.from({ length: size }, (_, row) => row);
  if (targets.dtype !== 'int64' || targets.shape.length > 0) return [rows];
  const byLabel = new Map<number, number[]>();
  for (const row of rows) {
    const label = targets.data[row * exampleStride(targets)] ?? 0;
    const own = byLabel.get(label) ?? [];
    own.push(row);
    byLabel.set(label, own);
  }
  return [...byLabel.keys()].sort((x, y) => x - y).map((label) => byLabel.get(label) ?? []);
}

/** Some of the rows, in their order: each subset of `count` is equally likely (selection sampling; Knuth, algorithm S). */
function heldOut(rows: readonly number[], count: number, stream: Random): number[] {
  const held: number[] = [];
  for (const [i, row] of rows.entries()) {
    const needed = count - held.length;
    if (needed > 0 && stream.integer(rows.length - i) < needed) held.push(row);
  }
  return held;
}

/**
 * Return some examples of a set, chosen at random by the seed, in the order of the set.
 * @throws OptionError if it has fewer
 */
export function sampled(set: Dataset, count: number, seed: number): Dataset {
  if (count > set.size) throw new OptionError(`'${set.name}' has ${set.size} examples, fewer than ${count}`);
  const every = Array.from({ length: set.size }, (_, row) => row);
  return takeRows(set, heldOut(every, count, random(seed, 'sample')));
}

const takeRows = ({ parts: _, ...set }: Dataset, rows: readonly number[]): Dataset => ({
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
