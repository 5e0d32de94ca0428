// Trainings that share an engine at the same time: each gives bit for bit what it gives alone, whatever the other does.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { drawnDigits } from '../src/data/digits/digits.js';
import type { Engine } from '../src/engine/engine.js';
import { nodeEngine } from '../src/engine/node.js';
import { mlp } from '../src/nn/zoo.js';
import { adam } from '../src/optimizers/adam.js';
import type { Optimizer } from '../src/optimizers/optimizer.js';
import { cgfac } from '../src/optimizers/second-order/cgfac.js';
import { sketches } from '../src/optimizers/second-order/factors.js';
import { sgd } from '../src/optimizers/sgd.js';
import { type RunOptions, type TrainingResult, train } from '../src/training/trainer.js';

const data = drawnDigits({ trainSize: 120, testSize: 20, seed: 1 });
const sizes = [784, 12, 10];

/** Parameters, losses and evaluations, without what a clock says. */
const outcome = ({ parameters, record }: TrainingResult) => ({
  parameters,
  losses: record.steps.map(({ loss, metrics }) => ({ loss, metrics })),
  train: record.train,
  test: record.test,
});

describe.each([true, false])('worker: %s', (worker) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await nodeEngine({ worker, threads: 1 });
  });
  afterAll(() => engine.close());

  const run = (seed: number, optimizer: () => Optimizer, more: Partial<RunOptions> = {}) =>
    train(mlp({ seed, sizes }), {
      engine,
      data,
      optimizer: optimizer(),
      batchSize: 40,
      steps: 6,
      evaluateEvery: 2,
      seed: 3,
      ...more,
    });

  test.each<[string, () => Optimizer, () => Optimizer]>([
    ['sgd beside sgd', () => sgd(), () => sgd()],
    [
      'cgfac beside cgfac',
      () => cgfac({ factors: sketches({ rank: 16 }) }),
      () => cgfac({ factors: sketches({ rank: 16 }) }),
    ],
    ['cgfac beside adam', () => cgfac({ factors: sketches({ rank: 16 }) }), () => adam()],
  ])('%s: two models whose parameters have equal names', async (_, one, other) => {
    const alone = [outcome(await run(1, one)), outcome(await run(2, other))];
    expect(alone[0]?.parameters.keys()).toEqual(alone[1]?.parameters.keys());
    expect(alone[0]).not.toEqual(alone[1]);
    const together = await Promise.all([run(1, one), run(2, other)]);
    expect(together.map(outcome)).toEqual(alone);
  });

  test('beside one that fails, one that is ended, and one whose engine is closed midway', async () => {
    const alone = outcome(await run(1, sgd));
    const closing = engine.open();
    const ending = new AbortController();
    const [whole, failed, ended, closed] = await Promise.allSettled([
      run(1, sgd),
      run(2, sgd, {
        callbacks: {
          onStep: ({ step }) => {
            if (step === 3) throw new Error('the disk is full');
          },
        },
      }),
      run(4, sgd, {
        signal: ending.signal,
        callbacks: {
          onStep: ({ step }) => {
            if (step === 2) ending.abort();
          },
        },
      }),
      run(5, sgd, { engine: closing, callbacks: { onStep: ({ step }) => (step === 2 ? closing.close() : undefined) } }),
    ]);
    expect(whole.status === 'fulfilled' && outcome(whole.value)).toEqual(alone);
    expect(failed).toMatchObject({ status: 'rejected', reason: { message: 'the disk is full' } });
    expect(ended).toMatchObject({ status: 'fulfilled', value: { interrupted: true } });
    expect(closed).toMatchObject({ status: 'rejected', reason: { name: 'EngineError' } });
    expect(outcome(await run(1, sgd))).toEqual(alone);
  });
});
