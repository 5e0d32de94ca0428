import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OptionError } from '../errors.js';
import { trainingBatches } from './batches.js';
import { withClassWeights } from './class-weights.js';
import { type Dataset, dataset } from './dataset.js';
import { oversampled, permutation, type Sampling } from './sampling.js';

/** Examples numbered by their input, with these labels. */
function labelled(labels: readonly number[], more: Partial<Dataset> = {}): Dataset {
  const size = labels.length;
  return dataset({
    name: 'labelled',
    size,
    inputs: { dtype: 'float32', shape: [1], data: Float32Array.from({ length: size }, (_, i) => i) },
    targets: { dtype: 'int64', shape: [], data: Int32Array.from(labels) },
    ...more,
  });
}
const numbers = { targets: { dtype: 'float32', shape: [1], data: new Float32Array(3) } } as const;
const sequences = { targets: { dtype: 'int64', shape: [2], data: new Int32Array(6) } } as const;

describe('permutation', () => {
  it('is uniform over all orders of three', () => {
    const counts = new Map<string, number>();
    for (let epoch = 0; epoch < 6000; epoch++) {
      const order = permutation(3, 9, epoch).join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(130);
  });
});

describe('oversampled', () => {
  it('shows each class equally often in each epoch, and the examples of a class as evenly as can be', () => {
    const labels = fc.array(fc.integer({ min: -1, max: 3 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(labels, fc.nat(), fc.nat({ max: 5 }), (given, seed, epoch) => {
        const { size, order } = oversampled().over(labelled(given));
        const examples = order(seed, epoch);
        expect(examples).toHaveLength(size);
        expect(order(seed, epoch)).toEqual(examples);
        const classes = new Set(given);
        const largest = Math.max(...[...classes].map((label) => given.filter((other) => other === label).length));
        expect(size).toBe(largest * classes.size);
        for (const label of classes) {
          const of = [...examples].filter((example) => given[example] === label);
          expect(of).toHaveLength(largest);
          const counts = given.flatMap((other, i) =>
            other === label ? [of.filter((example) => example === i).length] : [],
          );
          expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it('has another order in each epoch and of each seed, and batches that cover its epoch', () => {
    const set = labelled([0, 0, 0, 0, 0, 1, 1]);
    const { order } = oversampled().over(set);
    expect(order(1, 0)).not.toEqual(order(1, 1));
    expect(order(1, 0)).not.toEqual(order(2, 0));
    const batches = trainingBatches(set, { batchSize: 4, seed: 1, sampling: oversampled() });
    expect([0, 1, 2].flatMap((step) => [...batches.indices(step)])).toEqual([...order(1, 0)]);
    expect([3, 4, 5].flatMap((step) => [...batches.indices(step)])).toEqual([...order(1, 1)]);
  });

  it.each([
    [numbers, /'labelled' cannot be oversampled: its targets are numbers, not classes/],
    [sequences, /its targets are sequences of whole numbers of shape \[2\]; give one label for each example/],
  ])('refuses targets that are no labels (%#)', (targets, message) => {
    expect(() => oversampled().over(labelled([0, 1, 2], targets))).toThrow(OptionError);
    expect(() => oversampled().over(labelled([0, 1, 2], targets))).toThrow(message);
  });
});

describe("a sampling of one's own", () => {
  const sample = (sampling: unknown) =>
    trainingBatches(labelled([0, 1, 2]), { batchSize: 2, seed: 0, sampling: sampling as Sampling }).at(0);

  it('chooses the examples', () => {
    const lastTwo = { over: () => ({ size: 2, order: () => Uint32Array.of(2, 1) }) };
    expect([...sample(lastTwo).target.data]).toEqual([2n, 1n]);
  });

  it.each([
    ['oversampled', /sampling is 'oversampled'; give one, such as oversampled\(\)/],
    [{ over: () => ({ size: 0, order: () => new Uint32Array() }) }, /has 0 examples in an epoch/],
    [{ over: () => ({ size: 2, order: () => Uint32Array.of(1) }) }, /gives 1 examples for epoch 0, and its size is 2/],
    [{ over: () => ({ size: 1, order: () => Uint32Array.of(7) }) }, /has no example 7/],
  ])('is refused if it is none (%#)', (sampling, message) => {
    expect(() => sample(sampling)).toThrow(OptionError);
    expect(() => sample(sampling)).toThrow(message);
  });
});

describe('withClassWeights', () => {
  const weightsOf = (set: Dataset) => [...(set.weights?.data ?? [])];

  it('gives all classes one total weight, and examples the mean weight 1', () => {
    const labels = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(labels, (given) => {
        const weights = weightsOf(withClassWeights(labelled(given), 'balanced'));
        const sums = new Map<number, number>();
        for (const [i, label] of given.entries()) sums.set(label, (sums.get(label) ?? 0) + Number(weights[i]));
        for (const sum of sums.values()) expect(sum).toBeCloseTo(given.length / sums.size, 4);
      }),
    );
  });

  it('takes weights by name or by number, and multiplies the weights that are there', () => {
    const classes = ['no', 'yes', 'never'];
    expect(weightsOf(withClassWeights(labelled([0, 1, 1], { classes }), { yes: 3 }))).toEqual([1, 3, 3]);
    expect(weightsOf(withClassWeights(labelled([0, 1, 1], { classes }), { 1: 3, no: 0 }))).toEqual([0, 3, 3]);
    expect(weightsOf(withClassWeights(labelled([5, 7, 7]), { 7: 2 }))).toEqual([1, 2, 2]);
    const own = { weights: { dtype: 'float32', shape: [], stride: 2, data: Float32Array.of(2, 0, 3, 0, 4) } } as const;
    expect(weightsOf(withClassWeights(labelled([0, 1, 1], own), { 1: 10 }))).toEqual([2, 30, 40]);
  });

  it.each([
    [{ yess: 2 }, /'labelled' has no class 'yess', did you mean 'yes'|has no class 'yess'/],
    [{ 9: 2 }, /has no class '9'/],
    [{ never: 2 }, /class 'never' of 'labelled' has no example/],
    [{ yes: 2, 1: 2 }, /is given twice/],
    [{ yes: -1 }, /weight of class 'yes'/],
    [{ yes: 0, no: 0 }, /all weights are 0/],
    ['even' as never, /class weights are 'even'/],
  ])('refuses %j', (weights, message) => {
    const set = labelled([0, 1, 1], { classes: ['no', 'yes', 'never'] });
    expect(() => withClassWeights(set, weights)).toThrow(OptionError);
    expect(() => withClassWeights(set, weights)).toThrow(message);
  });

  it.each([[numbers], [sequences]])('refuses targets that are no labels (%#)', (targets) => {
    expect(() => withClassWeights(labelled([0, 1, 2], targets), 'balanced')).toThrow(/cannot be weighted by class/);
  });
});
