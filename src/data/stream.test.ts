// Streamed sets: every example once an epoch, batches by (seed, step) alone, few parts in memory, and runs that come to the same.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { OptionError } from '../errors.js';
import { mlp } from '../nn/zoo.js';
import { adam } from '../optimizers/adam.js';
import { evaluateModel } from '../training/evaluation/evaluation.js';
import type { RunState } from '../training/run-state.js';
import { type TrainOptions, train } from '../training/trainer.js';
import { batchOf } from './batches.js';
import { type Dataset, dataset, onlyInput } from './dataset.js';
import { oversampled } from './sampling.js';
import { withValidation } from './split.js';
import { type ExampleSource, type StreamOptions, streamed } from './stream.js';
import { streamedBatches } from './stream-batches.js';
import { autoencoding } from './views.js';

/** Parts of numbered examples: the number is the first input and the target; counts the reads of each part. */
function numbered(sizes: readonly number[], more: (start: number, size: number) => Partial<Dataset> = () => ({})) {
  const reads = sizes.map(() => 0);
  const starts = sizes.map((_, part) => sizes.slice(0, part).reduce((sum, size) => sum + size, 0));
  const read = async (part: number): Promise<Dataset> => {
    reads[part] = (reads[part] ?? 0) + 1;
    const [start, size] = [starts[part] ?? 0, sizes[part] ?? 0];
    return dataset({
      name: `part ${part}`,
      size,
      inputs: { dtype: 'float32', shape: [2], data: Float32Array.from({ length: 2 * size }, (_, i) => start + i / 2) },
      targets: { dtype: 'int64', shape: [], data: Int32Array.from({ length: size }, (_, i) => start + i) },
      ...more(start, size),
    });
  };
  return { source: { name: 'numbered', parts: sizes.length, read } satisfies ExampleSource, reads };
}

const shapes = fc.record({
  sizes: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 7 }),
  window: fc.integer({ min: 1, max: 3 }),
  batchSize: fc.integer({ min: 1, max: 12 }),
  seed: fc.nat(),
});
const batchesOf = (source: ExampleSource, sizes: readonly number[], window: number, batchSize: number, seed: number) =>
  streamedBatches(source.name, { sizes, window, read: source.read }, { batchSize, seed });

describe('streamedBatches', () => {
  it('count each example once an epoch, read each part once, and hold two windows and those of one batch', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, fc.boolean(), async ({ sizes, window, batchSize, seed }, isWeighted) => {
        const weights = (start: number, size: number): Partial<Dataset> => ({
          weights: { dtype: 'float32', shape: [], data: Float32Array.from({ length: size }, (_, i) => 1 + start + i) },
        });
        const { source, reads } = numbered(sizes, isWeighted ? weights : undefined);
        const batches = batchesOf(source, sizes, window, batchSize, seed);
        const total = sizes.reduce((sum, size) => sum + size, 0);
        const largest = Math.max(...sizes) * window;
        for (const epoch of [0, 1]) {
          const counted = new Float32Array(total);
          for (let k = 0; k < batches.stepsPerEpoch; k++) {
            const { inputs, target, weights: counts } = await batches.at(epoch * batches.stepsPerEpoch + k);
            expect(target.dims).toEqual([batches.batchSize]);
            for (const [row, label] of Array.from<number | bigint, number>(target.data, Number).entries()) {
              expect(onlyInput({ inputs }).data[2 * row]).toBe(label);
              counted[label] = Number(counted[label]) + Number(counts?.data[row] ?? 1);
            }
            expect(batches.resident()).toBeLessThanOrEqual(batches.batchSize + 3 * largest);
          }
          expect(counted).toEqual(Float32Array.from({ length: total }, (_, i) => (isWeighted ? 1 + i : 1)));
          // The first window of the next epoch may be there already.
          for (const count of reads) expect(count - epoch).toBeLessThanOrEqual(2);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('hold few of many parts', async () => {
    const sizes = Array.from({ length: 40 }, () => 25);
    const { source, reads } = numbered(sizes);
    const batches = batchesOf(source, sizes, 2, 10, 3);
    for (let step = 0; step < 100; step++) {
      await batches.at(step);
      expect(batches.resident()).toBeLessThanOrEqual(150); // two windows that a batch needs, and the next
    }
    expect(reads.reduce((sum, count) => sum + count, 0)).toBe(42);
  });

  it('are a function of the seed and the step, whatever was asked before', async () => {
    const sizes = [5, 8, 3, 7, 6];
    const { source } = numbered(sizes);
    const straight = batchesOf(source, sizes, 2, 4, 7);
    const all = [];
    for (let step = 0; step < 20; step++) all.push(await straight.at(step));
    const jumping = batchesOf(source, sizes, 2, 4, 7);
    for (const step of [19, 0, 7, 8, 3]) expect(await jumping.at(step)).toEqual(all[step]);
    expect(await batchesOf(source, sizes, 2, 4, 8).at(0)).not.toEqual(all[0]);
    expect(all[8]).not.toEqual(all[0]);
    await expect(jumping.at(-1)).rejects.toThrow('step -1 has no batch');
  });

  it('refuse a part that has changed, and pass on what reading throws, each time', async () => {
    const { source } = numbered([4, 4]);
    const changed = batchesOf(source, [4, 5], 2, 4, 1);
    for (const _ of [1, 2])
      await expect(changed.at(0)).rejects.toThrow(/part 1 of 'numbered' has 4 examples, and it had 5/);
    const broken = { ...source, read: () => Promise.reject(new Error('the disk is gone')) };
    await expect(batchesOf(broken, [4, 4], 1, 4, 1).at(0)).rejects.toThrow('the disk is gone');
  });
});

describe('streamed', () => {
  const labelsOf = (set: Dataset) => [...set.targets.data.slice(0, set.size)];

  it('keeps all examples if they are few, each in its place', async () => {
    const { source, reads } = numbered([3, 1, 4]);
    const set = await streamed(source);
    expect(set.size).toBe(8);
    expect(labelsOf(set)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect([...onlyInput(batchOf(set)).data].filter((_, i) => i % 2 === 0)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(set.parts?.sizes).toEqual([3, 1, 4]);
    expect(reads).toEqual([1, 1, 1]);
  });

  it('keeps a uniform sample', async () => {
    const { source } = numbered([10, 20, 10]);
    const counts = new Array<number>(40).fill(0);
    for (let seed = 0; seed < 400; seed++) {
      const labels = labelsOf(await streamed(source, { sample: 10, seed }));
      expect(new Set(labels).size).toBe(10);
      for (const label of labels) counts[label] = Number(counts[label]) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 100)).toBeLessThan(45); // 5 deviations
  });

  it('keeps inputs that are the targets one column, and reads parts as the view has them', async () => {
    const pictures = (_: number, size: number): Partial<Dataset> => ({
      inputs: { dtype: 'float32', shape: [2, 2], data: Uint8Array.from({ length: 4 * size }, (_, i) => i), scale: 0.5 },
    });
    const set = autoencoding(await streamed(numbered([3, 4], pictures).source));
    expect(set.targets).toBe(set.inputs);
    const part = await set.parts?.read(1);
    expect(part?.targets).toBe(part?.inputs);
    expect(onlyInput(part ?? set).shape).toEqual([4]);
    if (!set.parts) throw new Error('the view is streamed');
    const { inputs, target } = await streamedBatches('pictures', set.parts, { batchSize: 7, seed: 1 }).at(0);
    expect(target).toBe(inputs);
  });

  const other = (start: number, size: number): Partial<Dataset> =>
    start === 0 ? {} : { inputs: { dtype: 'float32', shape: [3], data: new Float32Array(3 * size) } };
  const broken = (_: number, size: number): Partial<Dataset> => ({
    inputs: { dtype: 'float32', shape: [2], data: new Float32Array(2 * size).fill(Number.NaN) },
  });
  it.each([
    [
      numbered([2, 2], other).source,
      {},
      /part 1 of 'numbered' has inputs float32\[3\].*, and part 0 has inputs float32\[2\]/,
    ],
    [numbered([2, 2], broken).source, {}, /hold NaN in row 1/],
    [numbered([2]).source, { window: 0 }, /window/],
    [numbered([2]).source, { sample: 0.5 }, /sample/],
    [{ name: 'none', parts: 0, read: async () => numbered([1]).source.read(0) }, {}, /parts of 'none'/],
    ['shards' as never, {}, /streamed is given 'shards'/],
  ] as [ExampleSource, StreamOptions, RegExp][])('refuses what is no source (%#)', async (source, options, message) => {
    await expect(streamed(source, options)).rejects.toThrow(OptionError);
    await expect(streamed(source, options)).rejects.toThrow(message);
  });
});

describe('training on a streamed set', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await nodeEngine({ threads: 1, worker: false });
  });
  afterAll(() => engine.close());

  const sizes = [20, 31, 17, 25];
  const labelled = (start: number, size: number): Partial<Dataset> => ({
    inputs: {
      dtype: 'float32',
      shape: [2],
      data: Float32Array.from({ length: 2 * size }, (_, i) => Math.sin(start * 2 + i)),
    },
    targets: { dtype: 'int64', shape: [], data: Int32Array.from({ length: size }, (_, i) => (start + i) % 2) },
    classes: ['even', 'odd'],
  });
  const whole = () => numbered([93], labelled).source.read(0);
  const model = mlp({ sizes: [2, 4, 2], seed: 1 });
  const options = async (): Promise<TrainOptions> => {
    const set = await streamed(numbered(sizes, labelled).source, { window: 2, sample: 30 });
    return {
      engine,
      data: { train: set, test: set },
      optimizer: adam(),
      batchSize: 10,
      epochs: 2,
      seed: 4,
      normalize: false,
    };
  };

  it('evaluates all of it in the end', async () => {
    const { model: trained, record } = await train(model, await options());
    expect(record.steps).toHaveLength(20);
    const { values } = await evaluateModel(engine, trained, await whole(), {});
    expect(record.train.loss).toBeCloseTo(values.loss, 5);
    expect(record.test.loss).toBeCloseTo(values.loss, 5);
    expect(record.train.accuracy).toBeCloseTo(Number(values.accuracy), 6);
  });

  it('goes on with the same bits from any step', async () => {
    const states: RunState[] = [];
    const checkpointing = {
      due: ({ step }: { readonly step: number }) => step % 7 === 0,
      save: async (state: RunState) => ({ path: String(states.push(structuredClone(state))) }),
    };
    const given = { ...(await options()), augment: { noise: 0.1 }, classWeights: { odd: 2 } };
    const result = await train(model, given, { checkpointing });
    expect(states.map(({ step }) => step)).toEqual([7, 14, 19]);
    for (const resumeFrom of states) {
      expect((await train(model, given, { resumeFrom })).parameters).toEqual(result.parameters);
    }
  });

  it('refuses a sampling, and to hold out a share', async () => {
    const given = await options();
    await expect(train(model, { ...given, sampling: oversampled() })).rejects.toThrow(
      /is streamed: its parts decide the order/,
    );
    expect(() => withValidation(given.data, { share: 0.1, seed: 1 })).toThrow(
      /is streamed: a share of it cannot be held out/,
    );
  });
});
