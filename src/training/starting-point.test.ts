// Training that continues a good model does not make it worse first; a file that was written before any training is trained as new.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataset } from '../data/dataset.js';
import { drawnDigits } from '../data/digits/digits.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { lossOf } from '../losses/index.js';
import { fineTuned } from '../model/edit/fine-tuning.js';
import { modelFromBytes } from '../model/file-model.js';
import type { Model } from '../model/model.js';
import { mlp } from '../nn/zoo.js';
import { semantics } from '../ops/table.js';
import type { Optimizer, Setting } from '../optimizers/optimizer.js';
import { cgfac } from '../optimizers/second-order/cgfac.js';
import { kfac } from '../optimizers/second-order/kfac.js';
import { normalized } from '../optimizers/steps/normalized.js';
import { evaluateModel } from './evaluation/evaluation.js';
import type { Checkpointing, RunState } from './run-state.js';
import { type StartingPoint, startingPoint } from './starting-point.js';
import { type TrainingResult, train } from './trainer.js';

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => engine.close());

const digits = drawnDigits({ trainSize: 1000, testSize: 500 });
const usual = () => ({ engine, data: digits, batchSize: 128, seed: 1 });
const fresh = mlp({ sizes: [784, 32, 16, 10], seed: 1 });
/** The model as a file. */
const written = (model: Model): Model => modelFromBytes(model.encode(), semantics);

let trained: TrainingResult;
beforeAll(async () => {
  trained = await train(fresh, { ...usual(), optimizer: cgfac(), steps: 200, evaluateEvery: 200 });
}, 120_000);

/** The highest loss of each set in the first 60 steps of a run that continues, over that of the model it is given. */
async function highest(model: Model, optimizer: Optimizer, seed: number): Promise<{ train: number; test: number }> {
  const { train: before, test } = trained.record;
  const { record } = await train(model, { ...usual(), seed, optimizer, steps: 60, evaluateEvery: 5 });
  const most = (key: string) => Math.max(...record.steps.map(({ metrics }) => metrics[key] ?? 0));
  return { train: most('trainLoss') / before.loss, test: most('testLoss') / test.loss };
}

describe('a classifier that is good already', () => {
  it.each([
    ['cgfac', cgfac(), 2],
    ['cgfac', cgfac(), 3],
    ['kfac', kfac(), 2],
  ] as const)('%s never raises its losses above 1.1 times their start', async (_, optimizer, seed) => {
    const ratios = await highest(written(trained.model), optimizer, seed);
    expect(ratios.train).toBeLessThan(1.1);
    expect(ratios.test).toBeLessThan(1.1);
  });

  it('would be harmed by the steps of a new one', async () => {
    const ratios = await highest({ ...trained.model, isPretrained: false }, cgfac(), 2);
    expect(ratios.test).toBeGreaterThan(1.1);
  });

  it('begins with default lengths as of a later step, and with given ones as they are', async () => {
    const lengths = async (optimizer: Optimizer) => {
      const { record } = await train(trained.model, { ...usual(), optimizer, steps: 3, evaluateEvery: 3 });
      return record.steps.map(({ optimizer: { learningRate = Number.NaN } }) => learningRate);
    };
    const { share } = await startingPoint(engine, trained.model, lossOf('softmax-cross-entropy'), digits.train);
    for (const [k, length] of (await lengths(cgfac())).entries()) {
      expect(length).toBeCloseTo(2e-3 / Math.sqrt(Math.min(100, 1 / share) + k / 100), 9);
    }
    for (const length of await lengths(cgfac({ step: normalized({ learningRate: 1e-3 }) }))) {
      expect(length).toBeCloseTo(1e-3, 9);
    }
  });

  it('goes on from a checkpoint with the same bits', async () => {
    const states: RunState[] = [];
    const checkpointing: Checkpointing = {
      due: ({ step }) => step === 4,
      save: async (state) => {
        states.push(structuredClone(state));
        return { path: 'memory' };
      },
    };
    const run = (persistence: Parameters<typeof train>[2]) =>
      train(trained.model, { ...usual(), optimizer: cgfac(), steps: 8 }, persistence);
    const whole = await run({ checkpointing });
    const [resumeFrom] = states;
    expect(resumeFrom?.step).toBe(4);
    const resumed = await run({ ...(resumeFrom && { resumeFrom }) });
    expect(resumed.parameters).toEqual(whole.parameters);
  });
});

/** What an optimizer and the callbacks are told in a run. */
async function told(model: Model): Promise<{ setting: Setting; point: StartingPoint | undefined }> {
  let setting: Setting | undefined;
  let point: StartingPoint | undefined;
  const inner = cgfac();
  const optimizer: Optimizer = {
    ...inner,
    build(context) {
      setting = context.setting;
      return inner.build(context);
    },
  };
  const callbacks = {
    onStart(event: { readonly startingPoint?: StartingPoint }) {
      point = event.startingPoint;
    },
  };
  await train(model, { ...usual(), optimizer, steps: 1, callbacks });
  if (!setting) throw new Error('nothing was built');
  return { setting, point };
}

describe('what a run is told of its weights', () => {
  it('is nothing for a new model', async () => {
    const { setting, point } = await told(fresh);
    expect(setting).toMatchObject({ isPretrained: false, startLoss: 1 });
    expect(point).toBeUndefined();
  });

  it('is the loss of a file beside that of a constant output', async () => {
    const { setting, point } = await told(written(trained.model));
    expect(setting).toMatchObject({ isPretrained: true, startLoss: point?.share });
    expect(point?.share).toBeLessThan(0.1);
  });

  it('is that the weights of a file that was written before training do not look trained', async () => {
    const { setting, point } = await told(written(fresh));
    expect(setting).toMatchObject({ isPretrained: false, startLoss: 1 });
    expect(point).toMatchObject({ share: 1, examples: 500 });
  });

  it('is that weights behind a new last layer are trained all the same, if those of the model were', async () => {
    const headed = (model: Model) => fineTuned(model, { newHead: 10, seed: 1 });
    expect((await told(headed(written(trained.model)))).setting).toMatchObject({ isPretrained: true, startLoss: 1 });
    expect((await told(headed(fresh))).setting).toMatchObject({ isPretrained: false, startLoss: 1 });
  });
});

it('trains a file that was written before training to the same bits as the new model', async () => {
  const run = (model: Model) => train(model, { ...usual(), optimizer: cgfac(), steps: 12 });
  const [asFile, asNew] = [await run(written(fresh)), await run(fresh)];
  expect([...asFile.parameters.values()]).toEqual([...asNew.parameters.values()]);
});

describe('the starting point', () => {
  it('has the loss of the model, and that of the mean logits', async () => {
    const set = drawnDigits({ trainSize: 60, testSize: 20 }).train;
    const point = await startingPoint(engine, trained.model, lossOf('softmax-cross-entropy'), set);
    const { values } = await evaluateModel(engine, trained.model, set);
    expect(point.loss).toBeCloseTo(values.loss, 5);
    expect(point.examples).toBe(60);
    expect(point.share).toBe(point.loss / point.chance);
    expect(point.chance).toBeGreaterThan(Math.log(10) * 0.95);
  });

  it('takes a loss that may be negative as a negative log-likelihood', async () => {
    const size = 200;
    const x = Float32Array.from({ length: size }, (_, i) => Math.sin(i));
    const set = dataset({
      ...{ name: 'line', size },
      inputs: { dtype: 'float32', shape: [1], data: x },
      targets: { dtype: 'float32', shape: [1], data: x.map((value, i) => 3 * value + 0.1 * Math.cos(7 * i)) },
    });
    const gaussian = lossOf('gaussian');
    const line = mlp({ sizes: [1, 8, 2], seed: 1 });
    const { model } = await train(line, {
      ...{ engine, data: { train: set, test: set }, loss: gaussian, normalize: false },
      ...{ optimizer: cgfac(), steps: 80 },
    });
    const { loss, chance, share } = await startingPoint(engine, model, gaussian, set);
    expect(share).toBe(Math.exp(loss - chance));
    expect(share).toBeLessThan(0.5);
  });
});
