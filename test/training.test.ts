// Training as a whole on the built-in digits: equal seeds give equal bits, and CG-FAC learns faster than Adam.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dataset } from '../src/data/dataset.js';
import { drawnDigits } from '../src/data/digits/digits.js';
import type { Engine } from '../src/engine/engine.js';
import { nodeEngine } from '../src/engine/node.js';
import type { TensorData } from '../src/graph/tensor.js';
import { Network } from '../src/nn/network.js';
import { autoencoder, mlp } from '../src/nn/zoo.js';
import { adam } from '../src/optimizers/adam.js';
import type { Optimizer } from '../src/optimizers/optimizer.js';
import { cgfac } from '../src/optimizers/second-order/cgfac.js';
import { sketches } from '../src/optimizers/second-order/factors.js';
import { kfac } from '../src/optimizers/second-order/kfac.js';
import { primal } from '../src/optimizers/second-order/primal.js';
import { tikhonov } from '../src/optimizers/second-order/tikhonov.js';
import { sgd } from '../src/optimizers/sgd.js';
import { random } from '../src/random.js';
import { train } from '../src/training/trainer.js';

const data = drawnDigits({ trainSize: 400, testSize: 40, seed: 1 });

/** The very bits of all parameters. */
const bitsOf = (parameters: ReadonlyMap<string, TensorData>): Map<string, string> =>
  new Map(
    [...parameters].map(
      ([
        name,
        {
          data: { buffer, byteOffset, byteLength },
        },
      ]) => [name, Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength).toString('base64')],
    ),
  );

/** Rows of 32 of 5 tokens, with labels of 4 classes. */
const tokens = (() => {
  const set = dataset({
    name: 'tokens',
    size: 128,
    inputs: {
      dtype: 'int64',
      shape: [32],
      data: Int32Array.from({ length: 128 * 32 }, (_, i) => (i * i + (i >> 5)) % 5),
    },
    targets: { dtype: 'int64', shape: [], data: Int32Array.from({ length: 128 }, (_, i) => i % 4) },
  });
  return { train: set, test: set };
})();

const optimizers: readonly (readonly [string, () => Optimizer])[] = [
  ['cgfac', () => cgfac({ factors: sketches({ rank: 48 }) })],
  ['cgfac, primal', () => cgfac({ damping: primal({ maxIterations: 5 }), curvatureRows: 32 })],
  ['cgfac, Tikhonov', () => cgfac({ factors: sketches({ rank: 48 }), damping: tikhonov({ maxIterations: 5 }) })],
  ['kfac', () => kfac()],
  ['adam', () => adam()],
  ['sgd', () => sgd()],
];

describe.each([1, 2])('threads: %d', (threads) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await nodeEngine({ worker: false, threads });
  });
  afterAll(() => engine.close());

  test.each(optimizers)('%s: the same seed, the same bits', async (_name, optimizer) => {
    const run = async (seed: number) => {
      const model = mlp({ seed: 1, sizes: [784, 64, 10] });
      const options = { engine, data, optimizer: optimizer(), batchSize: 64, steps: 6, evaluateEvery: 100, seed };
      return bitsOf((await train(model, options)).parameters);
    };
    const first = await run(5);
    expect(first.size).toBe(4);
    expect(await run(5)).toEqual(first);
    expect(await run(6)).not.toEqual(first);
  });

  test.each(optimizers)('%s: the same bits with an embedding whose rows are read often', async (_name, optimizer) => {
    const run = async () => {
      const network = new Network('tokens', { seed: 1 });
      const rows = network.embedding(network.input('tokens', [32], 'int64'), 'table', 5, 256);
      const model = network.model(network.dense(network.b.mean(rows, [1]), 'head', 4));
      const options = {
        engine,
        data: tokens,
        optimizer: optimizer(),
        batchSize: 64,
        steps: 4,
        evaluateEvery: 100,
        seed: 5,
      };
      return bitsOf((await train(model, options)).parameters);
    };
    const first = await run();
    for (let again = 0; again < 3; again++) expect(await run()).toEqual(first);
  });
});

test('whether a target is reached agrees with the evaluation of the whole set, whatever the sample says', async () => {
  const engine = await nodeEngine({ worker: false, threads: 1 });
  const run = async (target?: { metric: string; value: number }) => {
    const options = { engine, data, batchSize: 50, steps: 20, evaluationExamples: 7, seed: 1 };
    const model = mlp({ seed: 1, sizes: [784, 16, 10] });
    return (await train(model, { ...options, optimizer: adam(), ...(target && { target }) })).record;
  };
  try {
    const { train: onTrain, test: onTest, planned, sampled } = await run();
    expect([planned, sampled]).toEqual([20, { train: 7, test: 7 }]);
    for (const [metric, value] of [
      ['loss', onTrain.loss],
      ['testLoss', onTest.loss],
    ] as const) {
      expect((await run({ metric, value })).toTarget?.steps).toBeLessThanOrEqual(20);
      expect((await run({ metric, value: 0.999 * value })).toTarget?.steps ?? 0).not.toBe(20);
    }
  } finally {
    await engine.close();
  }
});

test('thirty steps of cgfac with no options beat thirty of Adam', async () => {
  const engine = await nodeEngine({ worker: false, threads: 2 });
  const squaredError = async (optimizer: Optimizer): Promise<number> => {
    const model = autoencoder({ seed: 1, sizes: [784, 64, 16] });
    const { record } = await train(model, {
      engine,
      data,
      optimizer,
      batchSize: 200,
      steps: 30,
      evaluateEvery: 100,
      seed: 2,
    });
    return record.train.squaredError ?? Number.NaN;
  };
  const [ours, byAdam] = [await squaredError(cgfac()), await squaredError(adam())];
  await engine.close();
  // 20.5 against 48.5
  expect(ours).toBeLessThan(0.6 * byAdam);
});

test('a wide network learns a small table from its first steps: what is trusted counts the prior', async () => {
  const source = random(5, 'table');
  const table = (name: string, size: number) => {
    const inputs = new Float32Array(3 * size);
    source.fillNormal(inputs);
    const targets = Float32Array.from({ length: size }, (_, i) => {
      const [a = 0, b = 0, c = 0] = inputs.subarray(3 * i, 3 * i + 3);
      return 5e4 + 1000 * (a + b * c);
    });
    return dataset({
      ...{ name, size },
      inputs: { dtype: 'float32', shape: [3], data: inputs },
      targets: { dtype: 'float32', shape: [1], data: targets },
    });
  };
  const engine = await nodeEngine({ threads: 1 });
  const { record } = await train(mlp({ sizes: [3, 256, 128, 1], seed: 0 }), {
    ...{ engine, data: { train: table('rows', 108), test: table('further rows', 12) } },
    ...{ optimizer: cgfac(), batchSize: 108, steps: 19, evaluateEvery: 19 },
  });
  await engine.close();
  const first = record.steps[0]?.loss ?? Number.NaN;
  expect(record.train.loss).toBeLessThan(first / 20);
});
