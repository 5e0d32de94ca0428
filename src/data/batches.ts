// Turns a data set into batches of dense arrays. Training batches are a pure function of (seed, size, batch size, step):
// a run that stops at any step continues with exactly the batches it would have seen.
import { OptionError } from '../errors.js';
import { type Inputs, mapInputs } from '../graph/inputs.js';
import { elementCount } from '../graph/tensor.js';
import { described } from '../options.js';
import { random } from '../random.js';
import { type Dataset, type ExampleArray, exampleStride } from './dataset.js';
import { mapColumns } from './views.js';

/** A batch's dense array, ready to become a tensor: dims are [batch, ...example shape]. */
export type BatchArray =
  | { readonly dtype: 'float32'; readonly dims: readonly number[]; readonly data: Float32Array }
  | { readonly dtype: 'int64'; readonly dims: readonly number[]; readonly data: BigInt64Array };

/** Inputs and targets of the same examples. */
export interface Batch {
  /** As the data set has them: one, or several by name. */
  readonly inputs: Inputs<BatchArray>;
  readonly target: BatchArray;
  /** `[batch]`: how much each example counts, if the set has weights. */
  readonly weights?: BatchArray;
}

/** The endless sequence of a data set's shuffled training batches. */
export interface BatchSequence {
  /** Examples of each batch. */
  readonly batchSize: number;
  /** Batches in one pass over the data; the examples left over (fewer than a batch) are dropped from that pass. */
  readonly stepsPerEpoch: number;
  /** Which examples step k (0, 1, …) trains on, [batchSize]. */
  indices(step: number): Uint32Array;
  /** The batch of step k. */
  at(step: number): Batch;
}

/**
 * Return shuffled batches: each epoch is a fresh permutation of the data set, cut into whole batches. A batch larger than the
 * data set is the whole data set.
 * @throws OptionError for a batch size that is not a whole number of at least 1, and for an empty data set
 * @example
 * const batches = trainingBatches(train, { batchSize: 500, seed: 1 });
 * const { inputs, target } = batches.at(0);
 */
export function trainingBatches(set: Dataset, options: { batchSize: number; seed: number }): BatchSequence {
  const { seed } = options;
  if (!Number.isSafeInteger(options.batchSize) || options.batchSize < 1) {
    throw new OptionError(
      `batch size ${described(options.batchSize)} cannot be used: expected a whole number of at least 1`,
    );
  }
  if (set.size === 0) throw new OptionError(`data set '${set.name}' has no examples to make a batch of`);
  const batchSize = Math.min(options.batchSize, set.size);
  const stepsPerEpoch = Math.floor(set.size / batchSize);
  // Consecutive steps share an epoch, and the order is a function of the epoch alone.
  let last: { epoch: number; order: Uint32Array } = { epoch: -1, order: new Uint32Array() };
  const indices = (step: number): Uint32Array => {
    if (!Number.isSafeInteger(step) || step < 0) {
      throw new OptionError(`step ${step} has no batch: expected a whole number of at least 0`);
    }
    const epoch = Math.floor(step / stepsPerEpoch);
    if (last.epoch !== epoch) last = { epoch, order: permutation(set.size, seed, epoch) };
    const start = (step % stepsPerEpoch) * batchSize;
    return last.order.slice(start, start + batchSize);
  };
  return { batchSize, stepsPerEpoch, indices, at: (step) => gatherBatch(set, indices(step)) };
}

/** Examples of a data set as tensors, whose first axis is the batch. */
export interface ExampleTensors {
  /** As the data set has them: one, or several by name. */
  readonly inputs: Inputs<BatchArray>;
  readonly targets: BatchArray;
  /** `[batch]`, if the data set has weights. */
  readonly weights?: BatchArray;
}

/**
 * Return examples of a data set as tensors, which `predict`, `valueAndGradients`, `vjp` and `jvp` take. They have the set's own
 * shapes: for a model that takes its inputs in another one, use `withInputShape` first.
 * @param indices which examples, from 0 on; by default all in order
 * @throws OptionError for an index outside the data set
 * @example
 * const { test } = drawnDigits({ trainSize: 20, testSize: 20 });
 * const { inputs, targets } = batchOf(test, [0, 1, 2]);
 * const { output } = await predict(model, inputs);
 * const { loss } = await valueAndGradients(model, { loss: crossEntropy(), inputs, targets });
 * console.log(output?.dims, loss);
 */
export function batchOf(set: Dataset, indices?: ArrayLike<number>): ExampleTensors {
  const { target, ...rest } = gatherBatch(set, indices ?? Array.from({ length: set.size }, (_, index) => index));
  return { ...rest, targets: target };
}

/** Return the order in which an epoch visits `size` examples: a Fisher–Yates shuffle drawn from (seed, epoch). */
export function permutation(size: number, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length: size }, (_, index) => index);
  const stream = random(seed, 'shuffle', epoch);
  for (let last = size - 1; last > 0; last--) {
    const other = stream.integer(last + 1);
    const moved = order[last] as number;
    order[last] = order[other] as number;
    order[other] = moved;
  }
  return order;
}

/**
 * Copy the examples at `indices` into dense arrays.
 * @throws OptionError for an index outside the data set
 */
export function gatherBatch(set: Dataset, indices: ArrayLike<number>): Batch {
  checkIndices(set, indices);
  const { inputs, targets, weights } = mapColumns(set, (column) => gather(column, indices));
  return { inputs, target: targets, ...(weights && { weights }) };
}

/** Copy the inputs of the examples at `indices`. @throws OptionError for an index outside the data set */
export function gatherInputs(
  set: Pick<Dataset, 'name' | 'size' | 'inputs'>,
  indices: ArrayLike<number>,
): Pick<Batch, 'inputs'> {
  checkIndices(set, indices);
  return { inputs: mapInputs(set.inputs, (column) => gather(column, indices)) };
}

function checkIndices({ name, size }: Pick<Dataset, 'name' | 'size'>, indices: ArrayLike<number>): void {
  for (let row = 0; row < indices.length; row++) {
    const index = indices[row] as number;
    if (Number.isInteger(index) && index >= 0 && index < size) continue;
    throw new OptionError(`data set '${name}' has no example ${index}: it has ${size}, numbered from 0`);
  }
}

function gather(column: ExampleArray, indices: ArrayLike<number>): BatchArray {
  const length = elementCount(column.shape);
  const stride = exampleStride(column);
  const dims = [indices.length, ...column.shape];
  const total = indices.length * length;
  if (column.dtype === 'int64') {
    const data = new BigInt64Array(total);
    // Written as pairs of 32-bit words: far faster than a BigInt per element.
    const words = new Int32Array(data.buffer);
    for (let row = 0; row < indices.length; row++) {
      const from = (indices[row] as number) * stride;
      for (let element = 0; element < length; element++) {
        const value = column.data[from + element] as number;
        const pair = 2 * (row * length + element);
        words[pair + lowWord] = value;
        words[pair + 1 - lowWord] = value >> 31;
      }
    }
    return { dtype: 'int64', dims, data };
  }
  const data = new Float32Array(total);
  for (let row = 0; row < indices.length; row++) {
    const from = (indices[row] as number) * stride;
    if ('scale' in column) {
      const { data: bytes, scale } = column;
      const to = row * length;
      for (let element = 0; element < length; element++) data[to + element] = (bytes[from + element] as number) * scale;
    } else {
      data.set(column.data.subarray(from, from + length), row * length);
    }
  }
  return { dtype: 'float32', dims, data };
}

/** Which of a 64-bit integer's two words is the low one on this machine. */
const lowWord = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 1;
