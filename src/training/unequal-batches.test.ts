// If the batch size does not divide the examples, each example still counts once an epoch: steps are those of the gradients
// of the examples that count, which another program computes.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { valueAndGradients } from '../api/value-and-gradients.js';
import { batchOf, trainingBatches } from '../data/batches.js';
import { type Dataset, dataset } from '../data/dataset.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { OptionError } from '../errors.js';
import type { TensorData } from '../graph/tensor.js';
import { crossEntropy } from '../losses/cross-entropy.js';
import type { Loss } from '../losses/loss.js';
import { mlp } from '../nn/zoo.js';
import { cgfac } from '../optimizers/second-order/cgfac.js';
import { sgd } from '../optimizers/sgd.js';
import { random } from '../random.js';
import { train } from './trainer.js';

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ threads: 1, worker: false });
});
afterAll(() => engine.close());

function points(size: number, more: Partial<Dataset> = {}): Dataset {
  const data = new Float32Array(3 * size);
  random(1, 'points').fillNormal(data);
  const targets = { dtype: 'int64', shape: [], data: Int32Array.from({ length: size }, (_, i) => i % 2) } as const;
  return dataset({ name: 'points', size, inputs: { dtype: 'float32', shape: [3], data }, targets, ...more });
}
const weights = {
  dtype: 'float32',
  shape: [],
  data: Float32Array.from({ length: 10 }, (_, i) => 1 + (i % 3)),
} as const;
const numbers = (tensor: TensorData | undefined) => Array.from<number | bigint, number>(tensor?.data ?? [], Number);
const model = mlp({ sizes: [3, 4, 2], seed: 2 });
const [learningRate, seed, batchSize] = [0.5, 3, 4];

describe('an epoch of 10 examples in batches of 4', () => {
  it.each([[{}], [{ weights }]])('takes the steps of 3, 3 and 4 of them (%#)', async (more) => {
    const set = points(10, more);
    const run = { engine, data: { train: set, test: set }, normalize: false, batchSize, seed } as const;
    const result = await train(model, { ...run, optimizer: sgd({ learningRate, momentum: 0 }), epochs: 1 });
    expect(result.record.steps).toHaveLength(3);
    expect(result.record.steps.at(-1)?.epoch).toBe(1);
    let expected = model;
    const batches = trainingBatches(set, { batchSize, seed });
    for (const { step, loss } of result.record.steps) {
      const request = { loss: crossEntropy(), engine, ...batchOf(set, batches.indices(step - 1)) };
      const found = await valueAndGradients(expected, request);
      expect(loss).toBeCloseTo(found.loss, 6);
      const next = [...expected.parameters].map(([name, { constant, dims }]) => {
        const gradient = found.gradients.get(name)?.data ?? [];
        const data = Float32Array.from(numbers(constant), (x, i) => x - learningRate * Number(gradient[i]));
        return [name, { dtype: 'float32', dims, data }] as const;
      });
      expected = expected.with(new Map(next));
    }
    for (const [name, { data }] of result.parameters) {
      const wanted = numbers(expected.parameters.get(name)?.constant);
      for (const [i, x] of wanted.entries()) expect(Number(data[i])).toBeCloseTo(x, 5);
    }
  });

  it('trains by second order as well', async () => {
    const set = points(10);
    const { record } = await train(model, {
      ...{ engine, data: { train: set, test: set }, batchSize, seed },
      optimizer: cgfac(),
      epochs: 10,
    });
    expect(record.steps).toHaveLength(30);
    expect(record.train.loss).toBeLessThan(record.steps[0]?.loss ?? 0);
  });

  it('refuses a loss that would count the row of weight 0, and takes it if batches are equal', async () => {
    const plain: Loss = {
      name: 'plain',
      targets: 'values',
      targetType: (output) => output,
      value: (b, output, targets) => b.mean(b.square(b.sub(output, targets))),
      metric: crossEntropy().metric,
      step: 'normalized',
    };
    const targets = { dtype: 'float32', shape: [2], data: new Float32Array(20) } as const;
    const set = points(10, { targets });
    const options = {
      engine,
      data: { train: set, test: set },
      loss: plain,
      optimizer: sgd({ learningRate }),
      steps: 1,
    };
    const failing = train(model, { ...options, batchSize: 4 });
    await expect(failing).rejects.toThrow(OptionError);
    await expect(failing).rejects.toThrow(/the loss 'plain' leaves the weights of examples aside/);
    await train(model, { ...options, batchSize: 5 });
  });
});
