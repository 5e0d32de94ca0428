// Turns a data set into batches of dense arrays. Training batches are a pure function of (seed, size, batch size, step):
// a run that stops at any step continues with exactly the batches it would have seen. In each epoch every example counts once.
import { OptionError } from '../errors.js';
import { type Inputs, mapInputs } from '../graph/inputs.js';
import { elementCount } from '../graph/tensor.js';
import { described } from '../options.js';
import { type Dataset, type ExampleArray, exampleStride } from './dataset.js';
import { checkedOrder, type Sampling, shuffled } from './sampling.js';
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

/** The endless sequence of a data set's training batches, made in memory or read. */
export interface Batches {
  /** Rows of each batch: at most the wanted batch size. */
  readonly batchSize: number;
  /** Batches in one epoch. */
  readonly stepsPerEpoch: number;
  /** The batch of step k (0, 1, …). */
  at(step: number): Batch | Promise<Batch>;
}

/** The batches of a data set in memory. */
export interface BatchSequence extends Batches {
  /** Which examples count in step k (0, 1, …): batchSize of them, or one fewer. */
  indices(step: number): Uint32Array;
  at(step: number): Batch;
}

/** How the examples of an epoch are divided into batches of at most a wanted size. */
export interface BatchLayout {
  /** Rows of each batch. */
  readonly batchSize: number;
  readonly stepsPerEpoch: number;
  /** Whether some batches lack examples, so that rows of theirs have weight 0. */
  readonly isFilled: boolean;
}

/**
 * Return how `size` examples are divided: into as few batches as there must be, all of one size but for one example. So none is
 * left out, none counts twice, and no last batch of a few examples has a gradient of its own noise.
 * @param multiple of which the rows of a batch are one, for micro-batches
 * @throws OptionError for a batch size that is not a whole number of at least 1, and for fewer examples than micro-batches
 */
export function batchLayout(size: number, wanted: number, multiple = 1): BatchLayout {
  if (!Number.isSafeInteger(wanted) || wanted < 1) {
    throw new OptionError(`batch size ${described(wanted)} cannot be used: expected a whole number of at least 1`);
  }
  const stepsPerEpoch = Math.ceil(size / wanted);
  const batchSize = multiple * Math.ceil(size / (stepsPerEpoch * multiple));
  if (multiple > size) {
    throw new OptionError(
      `accumulate is ${multiple}, and the training set has ${size} examples: a step takes at least one for each micro-batch`,
    );
  }
  return { batchSize, stepsPerEpoch, isFilled: batchSize * stepsPerEpoch !== size };
}

/**
 * Return the batches of the set: each epoch takes the examples in an order of its own, divided as `batchLayout` says. If the
 * batches differ by one example, all have weights, and the row that a smaller one lacks is an example of the next one with weight
 * 0: batch normalization sees a whole batch, and the loss only the examples that count.
 * @param options.sampling which examples make an epoch, in which order; each once, shuffled, by default
 * @throws OptionError for a batch size that is not a whole number of at least 1, and for an empty data set
 * @example
 * const batches = trainingBatches(train, { batchSize: 500, seed: 1 });
 * const { inputs, target } = batches.at(0);
 */
export function trainingBatches(
  set: Dataset,
  options: {
    readonly batchSize: number;
    readonly seed: number;
    readonly multiple?: number;
    readonly sampling?: Sampling;
  },
): BatchSequence {
  const { seed, sampling = shuffled() } = options;
  if (set.size === 0) throw new OptionError(`data set '${set.name}' has no examples to make a batch of`);
  const { size, order } = checkedOrder(sampling, set);
  const { batchSize, stepsPerEpoch, isFilled } = batchLayout(size, options.batchSize, options.multiple);
  // Consecutive steps share an epoch, and the order is a function of the epoch alone.
  let last: { epoch: number; examples: Uint32Array } = { epoch: -1, examples: new Uint32Array() };
  const bounds = (step: number): { readonly examples: Uint32Array; readonly start: number; readonly end: number } => {
    if (!Number.isSafeInteger(step) || step < 0) {
      throw new OptionError(`step ${step} has no batch: expected a whole number of at least 0`);
    }
    const epoch = Math.floor(step / stepsPerEpoch);
    if (last.epoch !== epoch) last = { epoch, examples: order(seed, epoch) };
    const at = step % stepsPerEpoch;
    const edge = (k: number) => Math.floor((k * size) / stepsPerEpoch);
    return { examples: last.examples, start: edge(at), end: edge(at + 1) };
  };
  const at = (step: number): Batch => {
    const { examples, start, end } = bounds(step);
    if (!isFilled) return gatherBatch(set, examples.subarray(start, end));
    const rows = Uint32Array.from({ length: batchSize }, (_, row) => examples[(start + row) % size] as number);
    const batch = gatherBatch(set, rows);
    const weights = batch.weights ? Float32Array.from(batch.weights.data, Number) : new Float32Array(batchSize).fill(1);
    weights.fill(0, end - start);
    return { ...batch, weights: { dtype: 'float32', dims: [batchSize], data: weights } };
  };
  const indices = (step: number): Uint32Array => {
    const { examples, start, end } = bounds(step);
    return examples.slice(start, end);
  };
  return { batchSize, stepsPerEpoch, indices, at };
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
