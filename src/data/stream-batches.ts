// The training batches of a streamed set: a pure function of (seed, step) and the sizes of its parts, as those of a set in memory,
// so that a run goes on at any step. Each epoch takes the parts in an order of its own, a window of them at a time, whose examples
// are shuffled with one another; the window that follows is read meanwhile.
import { OptionError } from '../errors.js';
import { inputNamed, mapInputs } from '../graph/inputs.js';
import { random } from '../random.js';
import { type Batch, type BatchArray, type Batches, batchLayout, gatherBatch } from './batches.js';
import type { Dataset, Parts } from './dataset.js';
import { permutation, shuffle } from './sampling.js';

/** The batches of a streamed set. */
export interface BatchStream extends Batches {
  /** Number of examples that are in memory, or being read, for batches. */
  readonly resident: () => number;
  /** Return the batch of step k (0, 1, …). Steps in order read each part once an epoch. */
  at(step: number): Promise<Batch>;
}

/** Some parts of an epoch, with their examples in the order of training. */
interface Window {
  readonly epoch: number;
  readonly number: number;
  /** Where its examples begin in the epoch. */
  readonly start: number;
  readonly parts: readonly number[];
  readonly size: number;
}

/** A window in memory. */
interface Loaded {
  readonly sets: readonly Dataset[];
  /** Which set and which row of it each example is: two numbers each. */
  readonly order: Uint32Array;
}

/**
 * Return the batches of a streamed set; every example counts once an epoch, as `trainingBatches` has it.
 * @throws OptionError for a batch size that is not a whole number of at least 1
 */
export function streamedBatches(
  name: string,
  { sizes, window, read }: Parts,
  options: { readonly batchSize: number; readonly seed: number; readonly multiple?: number },
): BatchStream {
  const size = sizes.reduce((sum, each) => sum + each, 0);
  const { seed } = options;
  const { batchSize, stepsPerEpoch, isFilled } = batchLayout(size, options.batchSize, options.multiple);
  const windowsOf = (epoch: number): Window[] => {
    const order = [...permutation(sizes.length, seed, epoch)];
    let start = 0;
    return Array.from({ length: Math.ceil(order.length / window) }, (_, number) => {
      const parts = order.slice(number * window, (number + 1) * window);
      const made = { epoch, number, start, parts, size: parts.reduce((sum, part) => sum + (sizes[part] ?? 0), 0) };
      start += made.size;
      return made;
    });
  };
  const load = async ({ epoch, number, parts }: Window): Promise<Loaded> => {
    const sets = await Promise.all(parts.map((part) => read(part)));
    for (const [i, part] of parts.entries()) {
      if (sets[i]?.size === sizes[part]) continue;
      throw new OptionError(
        `part ${part} of '${name}' has ${sets[i]?.size} examples, and it had ${sizes[part]}: a part must always be the same`,
      );
    }
    const rows = sets.flatMap(({ size: count }, set) => Array.from({ length: count }, (_, row) => [set, row] as const));
    const places = shuffle(Uint32Array.from(rows.keys()), random(seed, 'window', epoch, number));
    const order = new Uint32Array(2 * rows.length);
    for (const [i, place] of places.entries()) order.set(rows[place] ?? [], 2 * i);
    return { sets, order };
  };
  const held = new Map<string, { readonly size: number; readonly loaded: Promise<Loaded> }>();
  const keyOf = ({ epoch, number }: Window): string => `${epoch} ${number}`;
  const loaded = (wantedWindow: Window): Promise<Loaded> => {
    const key = keyOf(wantedWindow);
    const known = held.get(key);
    if (known) return known.loaded;
    const made = load(wantedWindow);
    held.set(key, { size: wantedWindow.size, loaded: made });
    made.catch(() => held.delete(key)); // whoever waits for it gets the error
    return made;
  };
  const at = async (step: number): Promise<Batch> => {
    if (!Number.isSafeInteger(step) || step < 0) {
      throw new OptionError(`step ${step} has no batch: expected a whole number of at least 0`);
    }
    const epoch = Math.floor(step / stepsPerEpoch);
    const position = step % stepsPerEpoch;
    const [start, end] = [position, position + 1].map((k) => Math.floor((k * size) / stepsPerEpoch)) as [
      number,
      number,
    ];
    const windows = windowsOf(epoch);
    const needed = windows.filter((each) => each.start < end && each.start + each.size > start);
    const last = needed.at(-1);
    const following = last && (windows[last.number + 1] ?? windowsOf(epoch + 1)[0]);
    // Nothing but these windows stays in memory.
    const kept = new Set([...needed, ...(following ? [following] : [])].map(keyOf));
    for (const key of [...held.keys()]) if (!kept.has(key)) held.delete(key);
    const found = await Promise.all(needed.map(async (each) => ({ ...each, ...(await loaded(each)) })));
    if (following) void loaded(following);
    const examples: { readonly set: Dataset; readonly row: number }[] = [];
    for (let at = start; at < end; at++) {
      const of = found.find((each) => at < each.start + each.size);
      const i = 2 * (at - (of?.start ?? 0));
      const set = of?.sets[of.order[i] ?? -1];
      if (!of || !set) throw new Error('an example of a streamed set is in no window');
      examples.push({ set, row: of.order[i + 1] ?? 0 });
    }
    const count = examples.length;
    for (let row = count; row < batchSize; row++) examples.push(...examples.slice(row - count, row - count + 1));
    const batch = gathered(examples);
    if (!isFilled) return batch;
    const weights = batch.weights ? Float32Array.from(batch.weights.data, Number) : new Float32Array(batchSize).fill(1);
    weights.fill(0, end - start);
    return { ...batch, weights: { dtype: 'float32', dims: [batchSize], data: weights } };
  };
  const resident = () => [...held.values()].reduce((sum, { size: count }) => sum + count, 0);
  return { batchSize, stepsPerEpoch, at, resident };
}

/** Copy examples of several sets into one batch, in their order. */
function gathered(examples: readonly { readonly set: Dataset; readonly row: number }[]): Batch {
  const positions = new Map<Dataset, number[]>();
  for (const [at, { set }] of examples.entries()) {
    const known = positions.get(set);
    if (known) known.push(at);
    else positions.set(set, [at]);
  }
  const pieces = [...positions].map(([set, places]) => {
    const rows = places.map((place) => examples[place]?.row ?? 0);
    return { places, batch: gatherBatch(set, rows) };
  });
  const joined = new Map<BatchArray, BatchArray>();
  const join = (columnOf: (batch: Batch) => BatchArray): BatchArray => {
    const arrays = pieces.map(({ batch, places }) => ({ array: columnOf(batch), places }));
    const [first] = arrays;
    if (!first) throw new Error('a batch has examples');
    const made = joined.get(first.array) ?? scattered(arrays, examples.length);
    joined.set(first.array, made);
    return made;
  };
  const [{ batch }] = pieces as [(typeof pieces)[number]]; // a batch has examples
  const inputs = mapInputs(batch.inputs, (input, name) => join((each) => inputNamed(each.inputs, name) ?? input));
  const weights = batch.weights && join((each) => each.weights ?? each.target);
  return { inputs, target: join((each) => each.target), ...(weights && { weights }) };
}

/** Rows of several arrays at their places in one. */
function scattered(
  arrays: readonly { readonly array: BatchArray; readonly places: readonly number[] }[],
  rows: number,
): BatchArray {
  const [{ array: first }] = arrays as [(typeof arrays)[number]]; // a batch has examples
  const dims = [rows, ...first.dims.slice(1)];
  const length = first.data.length / (first.dims[0] ?? 1);
  if (first.dtype === 'int64') {
    const data = new BigInt64Array(rows * length);
    for (const { array, places } of arrays) {
      if (array.dtype !== 'int64') continue; // parts are of one kind
      for (const [i, place] of places.entries())
        data.set(array.data.subarray(i * length, (i + 1) * length), place * length);
    }
    return { dtype: 'int64', dims, data };
  }
  const data = new Float32Array(rows * length);
  for (const { array, places } of arrays) {
    if (array.dtype !== 'float32') continue; // parts are of one kind
    for (const [i, place] of places.entries())
      data.set(array.data.subarray(i * length, (i + 1) * length), place * length);
  }
  return { dtype: 'float32', dims, data };
}
