// The models of the zoo run, have the sizes they claim, and learn: a few steps on made-up examples they can memorize.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DataSplits, dataset } from '../data/dataset.js';
import { random } from '../data/random.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { OptionError } from '../errors.js';
import type { Model } from '../graph/model.js';
import { elementCount } from '../graph/tensor.js';
import { adam } from '../optimizers/adam.js';
import { cgfac } from '../optimizers/cgfac.js';
import { kfac } from '../optimizers/kfac.js';
import type { Optimizer } from '../optimizers/optimizer.js';
import { train } from '../training/trainer.js';
import { charTransformer } from './char-transformer.js';
import { lenet } from './lenet.js';
import { resnet20 } from './resnet.js';

const size = ({ parameters }: Model): number =>
  [...parameters.values()].reduce((sum, { dims }) => sum + elementCount(dims), 0);

test('sizes of the full models', () => {
  expect(size(lenet({ seed: 1 }))).toBe(61_706);
  // 269,722 with batch normalization and parameter-free short cuts (He et al. 2016: 0.27 million); the two projections
  // add 16·32 + 32·64 weights and 2·32 + 2·64 scales and shifts.
  expect(size(resnet20({ seed: 1 }))).toBe(269_722 + 2560 + 192);
  // A layer: 12·width² + 13·width; embeddings, positions, last norm and head beside it.
  const layer = 12 * 128 ** 2 + 13 * 128;
  expect(size(charTransformer({ seed: 1 }))).toBe(4 * layer + (65 + 64) * 128 + 2 * 128 + 128 * 65 + 65);
});

test('options that do not fit', () => {
  expect(() => lenet({ seed: 1, input: [1, 30, 28] })).toThrow(OptionError);
  expect(() => resnet20({ seed: 1, width: 12 })).toThrow('8 groups do not divide the 12 channels of resnet20');
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
    'char-transformer',
    () => charTransformer({ seed: 1, vocabulary: 5, context: 6, width: 8, layers: 1, heads: 2 }),
    () => sequences(6, 5),
  ],
];

const optimizers: readonly (readonly [string, () => Optimizer, number])[] = [
  ['adam', () => adam({ learningRate: 0.01 }), 12],
  ['cgfac', () => cgfac({ rank: 16 }), 6],
  ['cgfac, primal', () => cgfac({ form: 'primal', curvatureRows: 16, maxIterations: 10 }), 6],
  ['kfac', () => kfac(), 6],
];

describe.each(models)('%s', (_name, model, data) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await nodeEngine({ worker: false, threads: 1 });
  });
  afterAll(() => engine.close());

  test.each(optimizers)('%s lowers the loss', async (_optimizer, optimizer, steps) => {
    const losses: number[] = [];
    await train(model(), {
      engine,
      data: data(),
      optimizer: optimizer(),
      batchSize: count,
      steps,
      onStep: ({ loss }) => void losses.push(loss),
    });
    expect(losses).toHaveLength(steps);
    expect(losses.at(-1)).toBeLessThan(0.9 * (losses[0] ?? Number.NaN));
  });
});
