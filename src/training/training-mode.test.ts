// Networks with dropout and batch normalization trained as a whole: averages, seeds, and evaluation as the file is used.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ModelSpec, modelBytes, runOnnx } from '../../test/support/onnx-models.js';
import { valueAndGradients } from '../api/value-and-gradients.js';
import { type DataSplits, dataset } from '../data/dataset.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { type TensorData, tensor, tensorFrom } from '../graph/tensor.js';
import { modelFromBytes } from '../model/file-model.js';
import { semantics } from '../ops/table.js';
import { adam } from '../optimizers/adam.js';
import { cgfac } from '../optimizers/second-order/cgfac.js';
import { random } from '../random.js';
import { train } from './trainer.js';

const [examples, features, hidden, classes, momentum] = [24, 3, 6, 2, 0.7];

function normal(label: string, dims: readonly number[]): TensorData {
  const elements = new Float32Array(dims.reduce((product, size) => product * size, 1));
  random(3, label).fillNormal(elements, 0.5, 1.5);
  return tensor('float32', dims, elements);
}

/** Batch normalization of the input itself, whose statistics no training moves; then dropout between dense layers. */
const spec = (ratio: number): ModelSpec => ({
  opset: 17,
  inputs: { x: ['float32', ['batch', features]] },
  initializers: {
    scale: tensorFrom('float32', [3], [1, 2, 0.5]),
    shift: tensorFrom('float32', [3], [0, 0.1, -0.1]),
    'bn.mean': tensorFrom('float32', [3], [5, -5, 0]),
    'bn.variance': tensorFrom('float32', [3], [9, 0.1, 1]),
    'fc1.weight': normal('fc1', [features, hidden]),
    'fc1.bias': tensorFrom('float32', [hidden], Array(hidden).fill(0)),
    ratio: tensorFrom('float32', [], [ratio]),
    'fc2.weight': normal('fc2', [hidden, classes]),
    'fc2.bias': tensorFrom('float32', [classes], Array(classes).fill(0)),
  },
  nodes: [
    {
      op: 'BatchNormalization',
      name: '/bn',
      inputs: ['x', 'scale', 'shift', 'bn.mean', 'bn.variance'],
      outputs: ['n'],
      attributes: { momentum: { float: momentum } },
    },
    { op: 'Gemm', name: '/fc1', inputs: ['n', 'fc1.weight', 'fc1.bias'], outputs: ['h'] },
    { op: 'Tanh', name: '/tanh', inputs: ['h'], outputs: ['t'] },
    { op: 'Dropout', name: '/dropout', inputs: ['t', 'ratio'], outputs: ['d'] },
    { op: 'Gemm', name: '/fc2', inputs: ['d', 'fc2.weight', 'fc2.bias'], outputs: ['y'] },
  ],
  outputs: ['y'],
});

const inputs = normal('inputs', [examples, features]).data as Float32Array;
const labels = Int32Array.from({ length: examples }, (_, i) => Number((inputs[i * features] ?? 0) > 0.5));
const set = dataset({
  name: 'points',
  size: examples,
  inputs: { dtype: 'float32', shape: [features], data: inputs },
  targets: { dtype: 'int64', shape: [], data: labels },
  classes: ['left', 'right'],
});
const data: DataSplits = { train: set, test: set };

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => engine.close());

const optimizers = { adam: () => adam({ learningRate: 0.02 }), cgfac: () => cgfac({ curvatureRows: 16 }) };

async function trained(name: keyof typeof optimizers, steps: number, { seed = 1, ratio = 0.5, batchSize = examples }) {
  const model = modelFromBytes(modelBytes(spec(ratio)), semantics);
  const options = { engine, data, optimizer: optimizers[name](), batchSize, steps, seed, evaluateEvery: 1000 };
  return train(model, options);
}

const numbers = (tensors: ReadonlyMap<string, TensorData>) =>
  Object.fromEntries([...tensors].map(([name, { data: elements }]) => [name, Array.from(elements, Number)]));

describe.each(['adam', 'cgfac'] as const)('%s', (name) => {
  it('moves the running averages to the mean and the unbiased variance of the data', async () => {
    const steps = 8;
    const { parameters, record } = await trained(name, steps, {});
    // A step that is taken back leaves them, too.
    const kept = record.steps.filter(({ optimizer }) => optimizer.accepted !== 0).length;
    expect(kept).toBeGreaterThan(steps / 2);
    const rest = momentum ** kept;
    for (let column = 0; column < features; column++) {
      const members = Array.from({ length: examples }, (_, i) => inputs[i * features + column] ?? Number.NaN);
      const mean = members.reduce((sum, x) => sum + x, 0) / examples;
      const variance = members.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (examples - 1);
      const [firstMean, firstVariance] = [[5, -5, 0][column] ?? 0, [9, 0.1, 1][column] ?? 0];
      expect(parameters.get('bn.mean')?.data[column]).toBeCloseTo(rest * firstMean + (1 - rest) * mean, 4);
      expect(parameters.get('bn.variance')?.data[column]).toBeCloseTo(rest * firstVariance + (1 - rest) * variance, 4);
    }
  });

  it('learns, and reports the loss of the file that is saved: no dropout, running averages', async () => {
    const { model, parameters, record } = await trained(name, 60, { ratio: 0.2 });
    expect(record.train.accuracy).toBeGreaterThan(0.9);
    const { y } = await runOnnx(model.encode(parameters), { x: tensor('float32', [examples, features], inputs) });
    const logits = Array.from(y?.data ?? [], Number);
    let loss = 0;
    for (const [i, label] of labels.entries()) {
      const [left = 0, right = 0] = logits.slice(2 * i, 2 * i + 2);
      loss += Math.log(Math.exp(left) + Math.exp(right)) - (label === 0 ? left : right);
    }
    expect(record.test.loss).toBeCloseTo(loss / examples, 5);
    expect(record.test).toEqual(record.train);

    // What training returns is a point to differentiate at: running averages are used, not differentiated.
    const { loss: again, gradients } = await valueAndGradients(model, {
      loss: 'softmax-cross-entropy',
      inputs: tensor('float32', [examples, features], inputs),
      targets: tensor('int64', [examples], BigInt64Array.from(labels, BigInt)),
      at: parameters,
      engine,
    });
    expect(again).toBeCloseTo(loss / examples, 5);
    expect([...gradients.keys()]).toEqual([...model.parameters.keys()]);
  });

  it('draws its masks from the seed', async () => {
    const run = async (options: Parameters<typeof trained>[2]) => numbers((await trained(name, 4, options)).parameters);
    const first = await run({});
    expect(await run({})).toEqual(first);
    // Far more than a different order of the same examples changes the sums' rounding.
    const furthest = (other: typeof first) =>
      Math.max(...(first['fc2.weight'] ?? []).map((x, i) => Math.abs(x - (other['fc2.weight']?.[i] ?? Number.NaN))));
    expect(furthest(await run({ seed: 2 }))).toBeGreaterThan(1e-3);
    expect(furthest(await run({ ratio: 0 }))).toBeGreaterThan(1e-3);
  });
});
