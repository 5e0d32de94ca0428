// The models of the zoo run, have the sizes they claim, and learn: a few steps on made-up examples they can memorize.
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runOnnx } from '../../test/support/onnx-models.js';
import { gatherBatch } from '../data/batches.js';
import { type DataSplits, dataset, onlyInput } from '../data/dataset.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { OptionError } from '../errors.js';
import { elementCount } from '../graph/tensor.js';
import { modelFromBytes } from '../model/file-model.js';
import type { Model } from '../model/model.js';
import { semantics } from '../ops/table.js';
import { adam } from '../optimizers/adam.js';
import type { Optimizer } from '../optimizers/optimizer.js';
import { cgfac } from '../optimizers/second-order/cgfac.js';
import { sketches } from '../optimizers/second-order/factors.js';
import { kfac } from '../optimizers/second-order/kfac.js';
import { primal } from '../optimizers/second-order/primal.js';
import { selfTuning } from '../optimizers/steps/self-tuning.js';
import { random } from '../random.js';
import { train } from '../training/trainer.js';
import { activations } from './activations.js';
import { charTransformer } from './char-transformer.js';
import { initializations } from './initialization.js';
import { lenet } from './lenet.js';
import { resnet20 } from './resnet.js';
import { autoencoder, mlp } from './zoo.js';

const size = ({ parameters }: Model): number =>
  [...parameters.values()].reduce((sum, { dims }) => sum + elementCount(dims), 0);

test('sizes of the full models', () => {
  expect(size(lenet({ seed: 1 }))).toBe(61_706);
  // 269,722 with batch normalization and parameter-free short cuts (He et al. 2016: 0.27 million); the two projections
  // add 16·32 + 32·64 weights and 2·32 + 2·64 scales and shifts.
  for (const norm of ['group', 'batch'] as const) {
    expect(size(resnet20({ seed: 1, norm }))).toBe(269_722 + 2560 + 192);
  }
  // A layer: 12·width² + 13·width; embeddings, positions, last norm and head beside it.
  const layer = 12 * 128 ** 2 + 13 * 128;
  expect(size(charTransformer({ seed: 1 }))).toBe(4 * layer + (65 + 64) * 128 + 2 * 128 + 128 * 65 + 65);
});

test('options that do not fit', () => {
  expect(() => lenet({ seed: 1, input: [1, 30, 28] })).toThrow(OptionError);
  expect(() => resnet20({ seed: 1, width: 12 })).toThrow('8 groups do not divide the 12 channels of resnet20');
  expect(() => resnet20({ seed: 1, norm: 'batch', groups: 4 })).toThrow('groups are of group normalization');
  expect(() => charTransformer({ seed: 1, width: 10 })).toThrow('4 heads do not divide the width 10');
});

test('initial parameters follow the seed', () => {
  const bits = (seed: number) => lenet({ seed }).parameters.get('conv2.weight')?.constant?.data;
  expect(bits(1)).toEqual(bits(1));
  expect(bits(1)).not.toEqual(bits(2));
});

const count = 16;
const classes = 4;

/** Random pictures with random labels. */
function pictures(shape: readonly number[]): DataSplits {
  const source = random(3, 'pictures');
  const data = new Float32Array(count * elementCount(shape));
  source.fillNormal(data, 0, 1);
  const set = dataset({
    name: 'pictures',
    size: count,
    inputs: { dtype: 'float32', shape, data },
    targets: { dtype: 'int64', shape: [], data: Int32Array.from({ length: count }, () => source.integer(classes)) },
    classes: ['a', 'b', 'c', 'd'],
  });
  return { train: set, test: set };
}

/** Sequences in which each token determines the next. */
function sequences(context: number, vocabulary: number): DataSplits {
  const source = random(4, 'sequences');
  const inputs = new Int32Array(count * context);
  const targets = new Int32Array(count * context);
  for (let i = 0; i < inputs.length; i++) {
    inputs[i] = i % context === 0 ? source.integer(vocabulary) : (targets[i - 1] ?? 0);
    targets[i] = ((inputs[i] ?? 0) * 2 + 1) % vocabulary;
  }
  const set = dataset({
    name: 'sequences',
    size: count,
    inputs: { dtype: 'int64', shape: [context], data: inputs },
    targets: { dtype: 'int64', shape: [context], data: targets },
    classes: Array.from({ length: vocabulary }, (_, i) => String(i)),
  });
  return { train: set, test: set };
}

const models: readonly (readonly [string, () => Model, () => DataSplits])[] = [
  ['lenet', () => lenet({ seed: 1, input: [1, 12, 12], classes }), () => pictures([1, 12, 12])],
  ['resnet20', () => resnet20({ seed: 1, input: [2, 8, 8], classes, width: 4, groups: 2 }), () => pictures([2, 8, 8])],
  [
    'resnet20 with batch normalization',
    () => resnet20({ seed: 1, input: [2, 8, 8], classes, width: 4, norm: 'batch' }),
    () => pictures([2, 8, 8]),
  ],
  [
    'char-transformer',
    () => charTransformer({ seed: 1, vocabulary: 5, context: 6, width: 8, layers: 1, heads: 2 }),
    () => sequences(6, 5),
  ],
];

const optimizers: readonly (readonly [string, () => Optimizer])[] = [
  ['adam', () => adam({ learningRate: 0.01 })],
  ['cgfac', () => cgfac({ factors: sketches({ rank: 16 }) })],
  ['cgfac, self-tuning', () => cgfac({ step: selfTuning({ priorPrecision: 0 }), factors: sketches({ rank: 16 }) })],
  ['cgfac, primal', () => cgfac({ damping: primal({ maxIterations: 10 }), curvatureRows: 16 })],
  ['kfac', () => kfac()],
];
const steps = 12;

describe.each(models)('%s', (_name, model, data) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await nodeEngine({ worker: false, threads: 1 });
  });
  afterAll(() => engine.close());

  test.each(optimizers)('%s lowers the loss', async (_optimizer, optimizer) => {
    const losses: number[] = [];
    await train(model(), {
      engine,
      data: data(),
      optimizer: optimizer(),
      batchSize: count,
      steps,
      callbacks: { onStep: ({ loss }) => void losses.push(loss) },
    });
    expect(losses).toHaveLength(steps);
    expect(losses.at(-1)).toBeLessThan(0.9 * (losses[0] ?? Number.NaN));
  });
});

test('resnet20 with batch normalization moves its running averages, and evaluates as its file computes', async () => {
  const engine = await nodeEngine({ worker: false, threads: 1 });
  const model = resnet20({ seed: 1, input: [2, 8, 8], classes, width: 4, norm: 'batch' });
  expect(model.statistics.size).toBe(2 * 21);
  const data = pictures([2, 8, 8]);
  const { parameters, record } = await train(model, { engine, data, optimizer: cgfac(), batchSize: count, steps: 6 });
  await engine.close();
  for (const [name, { constant }] of model.statistics) {
    expect(parameters.get(name)?.data, name).not.toEqual(constant?.data);
  }
  const bytes = model.encode(parameters);
  const read = modelFromBytes(bytes, semantics);
  expect([...read.statistics.keys()].sort()).toEqual([...model.statistics.keys()].sort());
  expect([...read.parameters.keys()].sort()).toEqual([...model.parameters.keys()].sort());
  const inference = read.graph.nodes.filter(({ op }) => op === 'BatchNormalization');
  expect(inference.map(({ outputs, attributes }) => [outputs.length, attributes.training_mode])).toEqual(
    Array(21).fill([1, undefined]),
  );
  const batch = gatherBatch(
    data.test,
    Array.from({ length: count }, (_, i) => i),
  );
  const { output } = await runOnnx(bytes, { input: onlyInput(batch) });
  expect(record.test.loss).toBeCloseTo(crossEntropy(output?.data ?? [], batch.target.data), 6);
});

/** The mean over the rows, in float64. */
function crossEntropy(outputs: ArrayLike<number | bigint>, labels: ArrayLike<number | bigint>): number {
  let sum = 0;
  for (let row = 0; row < labels.length; row++) {
    const logits = Array.from({ length: classes }, (_, i) => Number(outputs[row * classes + i]));
    const normalizer = Math.log(logits.reduce((total, logit) => total + Math.exp(logit), 0));
    sum += normalizer - (logits[Number(labels[row])] ?? Number.NaN);
  }
  return sum / labels.length;
}

/** The first 16 digits of the SHA-256 of their files: graphs, names and initial bits. */
const recorded: readonly (readonly [string, () => Model, string])[] = [
  ['mlp', () => mlp({ seed: 1 }), '9dffdcdf297f0f54'],
  ['a small mlp', () => mlp({ seed: 2, sizes: [4, 3, 2] }), '65509ee6bab6f3fa'],
  ['autoencoder', () => autoencoder({ seed: 1 }), 'ce7ee931229f1505'],
  ['lenet', () => lenet({ seed: 1 }), 'c22ea411c7e50352'],
  ['resnet20', () => resnet20({ seed: 1 }), '247183a4be3d1f0b'],
  ['resnet20 with batch normalization', () => resnet20({ seed: 1, norm: 'batch' }), '38029b7e9b5454d6'],
  ['char-transformer', () => charTransformer({ seed: 1 }), '1cddd854b3defc74'],
];

test.each(recorded)('%s begins as it always did, bit for bit', (_name, model, digits) => {
  expect(createHash('sha256').update(model().encode()).digest('hex').slice(0, 16)).toBe(digits);
});

test('the activation of an mlp comes with its initialization', () => {
  const ops = (model: Model) => model.graph.nodes.map(({ op }) => op);
  expect(ops(mlp({ seed: 1, sizes: [3, 4, 4, 2], activation: 'gelu' }))).toEqual([
    'Gemm',
    'Gelu',
    'Gemm',
    'Gelu',
    'Gemm',
  ]);
  const own = { apply: activations.tanh.apply, initialization: () => initializations.ones };
  const model = mlp({ seed: 1, sizes: [3, 4, 2], activation: own });
  expect(ops(model)).toEqual(['Gemm', 'Tanh', 'Gemm']);
  expect(model.parameters.get('fc1.weight')?.constant?.data).toEqual(new Float32Array(12).fill(1));
});
