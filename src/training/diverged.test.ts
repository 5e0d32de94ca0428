// A run whose loss stops being finite leaves its record with the step that failed, and the last parameters that were good.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadModel } from '../api/load-save.js';
import { dataset } from '../data/dataset.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { mlp } from '../nn/zoo.js';
import { adam } from '../optimizers/adam.js';
import { sgd } from '../optimizers/sgd.js';
import { random } from '../random.js';
import { DivergedError } from './diverged-error.js';
import { type TrainOptions, train } from './trainer.js';

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => engine.close());

const [size, columns] = [16, 3];
const inputs = new Float32Array(size * columns);
random(1, 'inputs').fillNormal(inputs);
const table = dataset({
  name: 'table',
  size,
  inputs: { dtype: 'float32', shape: [columns], data: inputs },
  targets: { dtype: 'float32', shape: [1], data: inputs.filter((_, i) => i % columns === 0) },
});
const usual = { data: { train: table, test: table }, batchSize: size, normalize: false } as const;

async function divergence(options: Pick<TrainOptions, 'optimizer' | 'steps'>): Promise<DivergedError> {
  const model = mlp({ sizes: [columns, 8, 1], seed: 1 });
  const error = await train(model, { ...usual, engine, ...options }).catch((reason: unknown) => reason);
  if (!(error instanceof DivergedError)) throw new Error(`no divergence: ${error}`);
  return error;
}

/** The loss of the model with the parameters that are left. */
async function lossOf({ model, parameters }: DivergedError): Promise<number> {
  const left = await loadModel(model.encode(parameters));
  const still = sgd({ learningRate: 1e-30, momentum: 0 });
  return (await train(left, { ...usual, engine, optimizer: still, steps: 1 })).record.steps[0]?.loss ?? Number.NaN;
}

it.each([
  ['sgd', () => sgd({ learningRate: 3, momentum: 0 })],
  ['adam', () => adam({ learningRate: 1e18 })],
])('%s', async (_name, optimizer) => {
  const error = await divergence({ optimizer: optimizer(), steps: 50 });
  const { steps, planned, train: onTrain } = error.record;
  expect(planned).toBe(50);
  expect(onTrain.loss).toBeNaN();
  expect(steps.length).toBeGreaterThan(1);
  expect(steps.length).toBeLessThan(50);
  expect(steps.map(({ loss }) => Number.isFinite(loss))).toEqual(steps.map((_step, i) => i < steps.length - 1));
  // The step before the failed one led there, and is taken back.
  expect((await lossOf(error)) / (steps.at(-2)?.loss ?? 0)).toBeCloseTo(1, 5);

  const short = await divergence({ optimizer: optimizer(), steps: steps.length - 1 });
  expect(short.message).toMatch(/^the loss on the training set is \S+ after the last step\. Lower the learning rate$/);
  expect(short.record.steps.every(({ loss }) => Number.isFinite(loss))).toBe(true);
  expect((await lossOf(short)) / (steps.at(-2)?.loss ?? 0)).toBeCloseTo(1, 5);
});
