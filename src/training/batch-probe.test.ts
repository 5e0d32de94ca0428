// The search for a batch size, on machines that are made up: what ends it, what it chooses and what it says; and one real trial.
import { describe, expect, test } from 'vitest';
import { drawnDigits } from '../data/digits/digits.js';
import { nodeEngine } from '../engine/node.js';
import { OptionError } from '../errors.js';
import { mlp } from '../nn/zoo.js';
import { adam } from '../optimizers/adam.js';
import { type BatchTrial, largestBatch, type Machine, trialOf } from './batch-probe.js';
import { learningTask } from './task/task.js';

/** A machine whose throughput rises to a size, and whose memory grows with the batch. */
const machine = (
  more: Partial<Machine> & { readonly best?: number; readonly bytesOf?: (size: number) => number } = {},
): Machine => {
  const { best = Number.POSITIVE_INFINITY, bytesOf = (size) => size, ...rest } = more;
  return {
    trial: async (batchSize): Promise<BatchTrial> => ({
      batchSize,
      throughput: Math.min(batchSize, best),
      bytes: bytesOf(batchSize),
    }),
    mostBytes: Number.POSITIVE_INFINITY,
    needsThroughput: true,
    ...rest,
  };
};

describe('the size is a power of two', () => {
  test.each([
    [1000, 512],
    [16, 16],
    [100, 64],
    [5, 4],
    [1, 1],
  ])('of at most the training set: %s', async (examples, expected) => {
    const found = await largestBatch(machine(), examples);
    expect(found.batchSize).toBe(expected);
    expect(found.reason).toBe(`the training set has ${examples} examples`);
  });

  test('beyond which an example takes as long, unless that does not count', async () => {
    const found = await largestBatch(machine({ best: 128 }), 1e6);
    expect(found).toMatchObject({ batchSize: 128, reason: 'larger ones are no faster an example' });
    expect((await largestBatch(machine({ best: 128, needsThroughput: false }), 1e4)).batchSize).toBe(8192);
  });

  test('for which there is memory: the next one would need more', async () => {
    const bytesOf = (size: number) => 1000 + 10 * size;
    const found = await largestBatch(machine({ bytesOf, mostBytes: 4000 }), 1e6);
    expect(found).toMatchObject({ batchSize: 256, reason: 'one of 512 would need more memory than there is' });
    expect(Math.max(...found.trials.map(({ bytes }) => bytes))).toBeLessThan(4000);
  });

  test('that does not fail', async () => {
    const { trial } = machine();
    const failing = (from: number) =>
      machine({
        trial: async (size) => {
          if (size >= from) throw new Error('bad allocation\nat …');
          return await trial(size);
        },
      });
    expect(await largestBatch(failing(64), 1e6)).toMatchObject({
      batchSize: 32,
      reason: 'one of 64 failed (bad allocation)',
    });
    await expect(largestBatch(failing(1), 1e6)).rejects.toThrow('bad allocation');
  });
});

test('errors of the options are no lack of memory', async () => {
  const { trial } = machine();
  const refusing = machine({
    trial: async (size) => {
      if (size > 16) throw new OptionError('steps of a part of the training set are refused');
      return await trial(size);
    },
  });
  await expect(largestBatch(refusing, 100)).rejects.toThrow(OptionError);
});

test('a trial takes a few steps and changes nothing', async () => {
  const engine = await nodeEngine({ worker: false, threads: 1 });
  try {
    const { train, test: other } = drawnDigits({ trainSize: 60, testSize: 10 });
    const model = mlp({ sizes: [784, 8, 10], seed: 1 });
    const before = String(model.parameters.get('fc1.weight')?.constant?.data);
    const found = await trialOf(
      model,
      learningTask(model, { train, test: other }),
      { engine, optimizer: adam() },
      32,
      () => 7,
    );
    expect(found).toMatchObject({ batchSize: 32, bytes: 7 });
    expect(found.throughput).toBeGreaterThan(0);
    expect(String(model.parameters.get('fc1.weight')?.constant?.data)).toBe(before);
  } finally {
    await engine.close();
  }
});
