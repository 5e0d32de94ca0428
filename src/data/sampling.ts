// Which examples make an epoch, and in which order: a pure function of (seed, epoch), so that no state has to be saved.
import { OptionError } from '../errors.js';
import { described, isRecord } from '../options.js';
import { type Random, random } from '../random.js';
import { labelsOf } from './class-weights.js';
import type { Dataset } from './dataset.js';

/** The examples of each epoch of a data set. */
export interface ExampleOrder {
  /** Number of examples in an epoch. */
  readonly size: number;
  /** Return the examples of an epoch (0, 1, …), `[size]`, always the same for a seed and an epoch. */
  order(seed: number, epoch: number): Uint32Array;
}

/**
 * A way to choose the examples of each epoch.
 * @example
 * // The second half of the data set only, in order.
 * const secondHalf: Sampling = {
 *   over: ({ size }) => {
 *     const half = Math.ceil(size / 2);
 *     return { size: half, order: () => Uint32Array.from({ length: half }, (_, i) => size - half + i) };
 *   },
 * };
 */
export interface Sampling {
  /** @throws OptionError if the set cannot be sampled so */
  over(set: Dataset): ExampleOrder;
}

/**
 * Each example once an epoch, shuffled. This is the default.
 */
export function shuffled(): Sampling {
  return { over: ({ size }) => ({ size, order: (seed, epoch) => permutation(size, seed, epoch) }) };
}

/**
 * All classes equally often: examples of a class are repeated in an epoch until there are as many as of the largest class, each as
 * often as any other or once more, and the whole is shuffled.
 * @throws OptionError (from `over`) if the targets are no labels, one for each example
 * @example
 * const { record } = await train(model, { data, optimizer: cgfac(), sampling: oversampled(), steps: 5 });
 */
export function oversampled(): Sampling {
  return {
    over: (set) => {
      const classes = examplesByLabel(labelsOf(set, 'oversampled'));
      const largest = classes.reduce((most, { length }) => Math.max(most, length), 0);
      const size = largest * classes.length;
      const order = (seed: number, epoch: number): Uint32Array => {
        const stream = random(seed, 'oversample', epoch);
        const chosen = new Uint32Array(size);
        for (const [at, examples] of classes.entries()) {
          for (let row = 0; row < largest; row += examples.length) {
            const some = shuffle(examples.slice(), stream).subarray(0, largest - row);
            chosen.set(some, at * largest + row);
          }
        }
        return shuffle(chosen, stream);
      };
      return { size, order };
    },
  };
}

/** Return the numbers of the examples of each label that occurs. */
function examplesByLabel(labels: Int32Array): Uint32Array[] {
  const found = new Map<number, number[]>();
  for (const [example, label] of labels.entries()) {
    const known = found.get(label);
    if (known) known.push(example);
    else found.set(label, [example]);
  }
  return [...found.values()].map((examples) => Uint32Array.from(examples));
}

/** Return the order in which an epoch visits `size` examples: a shuffle drawn from (seed, epoch). */
export function permutation(size: number, seed: number, epoch: number): Uint32Array {
  return shuffle(
    Uint32Array.from({ length: size }, (_, index) => index),
    random(seed, 'shuffle', epoch),
  );
}

/** Shuffle in place, by Fisher and Yates. */
export function shuffle(order: Uint32Array, stream: Random): Uint32Array {
  for (let last = order.length - 1; last > 0; last--) {
    const other = stream.integer(last + 1);
    const moved = order[last] as number; // both are within
    order[last] = order[other] as number;
    order[other] = moved;
  }
  return order;
}

/** Return the order of a set by a sampling that a user may have made. @throws OptionError if it is none */
export function checkedOrder(sampling: Sampling, set: Dataset): ExampleOrder {
  const given: unknown = sampling;
  if (!isRecord(given) || typeof given.over !== 'function') {
    throw new OptionError(`sampling is ${described(given)}; give one, such as oversampled()`);
  }
  const made = sampling.over(set);
  const { size } = made;
  if (!Number.isSafeInteger(size) || size < 1) {
    throw new OptionError(`the sampling has ${described(size)} examples in an epoch; it must have at least 1`);
  }
  return {
    size,
    order: (seed, epoch) => {
      const examples = made.order(seed, epoch);
      if (examples.length === size) return examples;
      throw new OptionError(
        `the sampling gives ${examples.length} examples for epoch ${epoch}, and its size is ${size}`,
      );
    },
  };
}
