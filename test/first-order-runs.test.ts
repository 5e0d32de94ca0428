// Whole runs of the optimizers that rival second order: they learn the digits with no options, give the same bits for a seed, and
// train embeddings, parts of a network, and networks of which something is frozen.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dataset } from '../src/data/dataset.js';
import { drawnDigits } from '../src/data/digits/digits.js';
import type { Engine } from '../src/engine/engine.js';
import { nodeEngine } from '../src/engine/node.js';
import { type TensorData, toNumbers } from '../src/graph/tensor.js';
import { selectParameters } from '../src/model/edit/select.js';
import { Network } from '../src/nn/network.js';
import { mlp } from '../src/nn/zoo.js';
import { adadelta } from '../src/optimizers/adadelta.js';
import { adahessian } from '../src/optimizers/adahessian.js';
import { adam } from '../src/optimizers/adam.js';
import { adan } from '../src/optimizers/adan.js';
import { adopt } from '../src/optimizers/adopt.js';
import { chain } from '../src/optimizers/chain.js';
import { lamb } from '../src/optimizers/lamb.js';
import { lars } from '../src/optimizers/lars.js';
import { lbfgs } from '../src/optimizers/lbfgs.js';
import type { Optimizer } from '../src/optimizers/optimizer.js';
import { partition } from '../src/optimizers/partition.js';
import { prodigy } from '../src/optimizers/prodigy.js';
import { scheduleFreeAdamw, scheduleFreeSgd } from '../src/optimizers/schedule-free.js';
import { sophiaG } from '../src/optimizers/sophia.js';
import { clipByGlobalNorm } from '../src/optimizers/transforms/clip.js';
import { type RunOptions, train } from '../src/training/trainer.js';

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ threads: 1 });
});
afterAll(() => engine.close());

const data = drawnDigits({ trainSize: 1200, testSize: 300, seed: 1 });
const model = mlp({ seed: 1, sizes: [784, 64, 10] });

/** Rows of 8 of 5 tokens; the label is the token that stands first, at most 3. */
const tokens = (() => {
  const set = dataset({
    name: 'tokens',
    size: 60,
    inputs: { dtype: 'int64', shape: [8], data: Int32Array.from({ length: 480 }, (_, i) => (i * i + (i >> 3)) % 5) },
    targets: {
      dtype: 'int64',
      shape: [],
      data: Int32Array.from({ length: 60 }, (_, i) => Math.min((i * 64 * i + i) % 5, 3)),
    },
  });
  return { train: set, test: set };
})();

const embedded = () => {
  const network = new Network('tokens', { seed: 1 });
  const rows = network.embedding(network.input('tokens', [8], 'int64'), 'table', 5, 6);
  return network.model(network.dense(network.b.reshape(rows, [0, 48]), 'head', 4));
};

const elementsOf = (parameters: ReadonlyMap<string, TensorData>) =>
  Object.fromEntries([...parameters].map(([name, tensor]) => [name, toNumbers(tensor)]));

interface Rival {
  readonly name: string;
  readonly make: () => Optimizer;
  /** The digits: steps, examples of a step, and the accuracy that is reached. */
  readonly digits: { readonly steps: number; readonly batchSize: number; readonly accuracy: number };
}

const small = { steps: 200, batchSize: 60 };
const rivals: readonly Rival[] = [
  { name: 'sophiaG', make: sophiaG, digits: { ...small, accuracy: 0.7 } },
  { name: 'scheduleFreeSgd', make: scheduleFreeSgd, digits: { ...small, accuracy: 0.85 } },
  { name: 'scheduleFreeAdamw', make: scheduleFreeAdamw, digits: { ...small, accuracy: 0.85 } },
  { name: 'prodigy', make: prodigy, digits: { ...small, accuracy: 0.85 } },
  { name: 'adadelta', make: adadelta, digits: { ...small, accuracy: 0.85 } },
  { name: 'adan', make: adan, digits: { ...small, accuracy: 0.8 } },
  { name: 'adopt', make: adopt, digits: { ...small, accuracy: 0.8 } },
  { name: 'lamb', make: lamb, digits: { ...small, accuracy: 0.7 } },
  { name: 'lars', make: lars, digits: { ...small, accuracy: 0.8 } },
  { name: 'adahessian', make: adahessian, digits: { ...small, accuracy: 0.6 } },
  { name: 'lbfgs', make: lbfgs, digits: { steps: 30, batchSize: 1200, accuracy: 0.85 } },
];

describe.each(rivals)('$name', ({ make, digits }) => {
  const { steps, batchSize, accuracy } = digits;
  const run = (given = model, more: Partial<RunOptions> = {}) =>
    train(given, {
      ...{ engine, data, optimizer: make(), steps: 4, batchSize, seed: 1, evaluateEvery: 100 },
      ...more,
    });
  const onTokens = (optimizer: Optimizer = make(), more: Partial<RunOptions> = {}) =>
    run(embedded(), { data: tokens, batchSize: 60, steps: 12, optimizer, ...more } as Partial<RunOptions>);

  test('learns the digits with no options', async () => {
    const { record } = await run(model, { steps });
    expect(record.test.accuracy).toBeGreaterThan(accuracy);
  });

  test('the same bits for the same seed', async () => {
    const [first, again, other] = [await run(), await run(), await run(model, { seed: 2 })];
    expect(elementsOf(again.parameters)).toEqual(elementsOf(first.parameters));
    expect(again.record.steps.map(({ loss, optimizer }) => ({ loss, optimizer }))).toEqual(
      first.record.steps.map(({ loss, optimizer }) => ({ loss, optimizer })),
    );
    expect(elementsOf(other.parameters)).not.toEqual(elementsOf(first.parameters));
  });

  test('trains an embedding', async () => {
    const start = toNumbers(embedded().parameters.get('table.weight')?.constant ?? fail());
    const { parameters, record } = await onTokens();
    expect(record.train.loss).toBeLessThan(record.steps[0]?.loss ?? 0);
    expect(elementsOf(parameters)['table.weight']).not.toEqual(start);
  });

  test('leaves what is frozen', async () => {
    const whole = embedded();
    const { model: trained, record } = await onTokens(make(), {});
    expect(trained.parameters.size).toBe(whole.parameters.size);
    const frozen = selectParameters(whole, { freeze: ['table.*'] });
    const { parameters, record: own } = await run(frozen, {
      data: tokens,
      batchSize: 60,
      steps: 12,
    } as Partial<RunOptions>);
    expect([...parameters.keys()]).toEqual(['head.weight', 'head.bias']);
    expect(own.train.loss).toBeLessThan(own.steps[0]?.loss ?? 0);
    expect(own.train.loss).not.toBe(record.train.loss);
  });

  test('trains a part of a network, with names of its own', async () => {
    const { parameters, record } = await onTokens(
      partition([
        ['table.*', adam()],
        ['*', make()],
      ]),
    );
    expect(parameters.size).toBe(3);
    expect(record.train.loss).toBeLessThan(record.steps[0]?.loss ?? 0);
  });
});

const fail = (): never => {
  throw new Error('no such parameter');
};

test.each(rivals.filter(({ name }) => name !== 'lbfgs'))('$name after a bound on the gradient', async ({ make }) => {
  const optimizer = chain(clipByGlobalNorm(0.5), make() as Parameters<typeof chain>[0]);
  const { record } = await train(model, { engine, data, optimizer, steps: 30, batchSize: 60, seed: 1 });
  expect(record.steps.every(({ optimizer: reports }) => (reports.gradientNorm ?? 0) > 0)).toBe(true);
  expect(record.train.loss).toBeLessThan(record.steps[0]?.loss ?? 0);
});
