import { describe, expect, it } from 'vitest';
import { modelBytes, ramp } from '../../../test/support/onnx-models.js';
import type { Dataset } from '../../data/dataset.js';
import { onlyInput } from '../../data/dataset.js';
import { OptionError } from '../../errors.js';
import { tensorFrom } from '../../graph/tensor.js';
import { crossEntropy } from '../../losses/cross-entropy.js';
import { type LossWord, lossOf } from '../../losses/index.js';
import type { Loss } from '../../losses/loss.js';
import { modelFromBytes } from '../../model/file-model.js';
import type { Model } from '../../model/model.js';
import { zeros } from '../../nn/initialization.js';
import { Network } from '../../nn/network.js';
import { autoencoder, mlp } from '../../nn/zoo.js';
import { semantics } from '../../ops/table.js';
import { learningTask } from './task.js';

const labelled: Dataset = {
  name: 'labelled',
  size: 4,
  inputs: { dtype: 'float32', shape: [6], data: new Float32Array(24) },
  targets: { dtype: 'int64', shape: [], data: Int32Array.of(0, 1, 2, 0) },
  classes: ['a', 'b', 'c'],
  picture: { width: 3, height: 2, channels: 1 },
};
const measured: Dataset = {
  name: 'measured',
  size: 4,
  inputs: onlyInput(labelled),
  targets: { dtype: 'float32', shape: [2], data: new Float32Array(8) },
};
const both = (set: Dataset) => ({ train: set, test: set });

/** A linear model that takes and gives pictures. */
function pictureModel(): Model {
  const network = new Network('pictures', { seed: 0 });
  const x = network.input('input', [1, 2, 3]);
  const scale = network.parameter('scale', [1], zeros);
  return network.model(network.b.mul(x, scale));
}

describe('learningTask', () => {
  it('classifies where there is a logit for each class', () => {
    const task = learningTask(mlp({ seed: 0, sizes: [6, 3] }), both(labelled));
    expect(task).toMatchObject({ kind: 'classification', loss: { name: 'softmax-cross-entropy' } });
    expect(task.data.train).toEqual(labelled);
  });

  it('autoencodes where as much comes out as goes in, by the loss that the end of the model suggests', () => {
    const task = learningTask(autoencoder({ seed: 0, sizes: [6, 2] }), both(labelled));
    expect(task).toMatchObject({ kind: 'autoencoding', loss: { name: 'sigmoid-cross-entropy' } });
    // The same column twice is gathered once.
    expect(task.data.train.targets).toBe(onlyInput(task.data.train));
    expect(learningTask(mlp({ seed: 0, sizes: [6, 6] }), both(labelled)).loss.name).toBe('mean-squared-error');
  });

  it('sees inputs and targets in the shape of the model', () => {
    const { data, kind } = learningTask(pictureModel(), both(labelled));
    expect(kind).toBe('autoencoding');
    expect(onlyInput(data.test).shape).toEqual([1, 2, 3]);
    expect(data.test.targets.shape).toEqual([1, 2, 3]);
    expect(onlyInput(data.test).data).toBe(onlyInput(labelled).data);
  });

  it('knows a sigmoid at the end of a model, also where its elements are rearranged after it', () => {
    const network = new Network('arranged', { seed: 0 });
    const { b } = network;
    const y = b.op('Sigmoid', [network.dense(network.input('input', [6]), 'code', 6)]);
    const model = network.model(b.transpose(b.reshape(y, [-1, 3, 2]), [0, 2, 1]));
    expect(learningTask(model, both(labelled))).toMatchObject({
      kind: 'autoencoding',
      loss: { name: 'sigmoid-cross-entropy' },
    });
  });

  it('predicts numbers', () => {
    expect(learningTask(mlp({ seed: 0, sizes: [6, 2] }), both(measured))).toMatchObject({
      kind: 'regression',
      loss: { name: 'mean-squared-error' },
    });
  });

  it('refuses what does not fit, naming both shapes', () => {
    const refuse = (model: Model, set: Dataset, message: RegExp, loss?: 'softmax-cross-entropy') => {
      expect(() => learningTask(model, both(set), loss)).toThrow(OptionError);
      expect(() => learningTask(model, both(set), loss)).toThrow(message);
    };
    refuse(mlp({ seed: 0, sizes: [5, 3] }), labelled, /float32\[batch, 5\], and an example is float32\[6\]/);
    refuse(mlp({ seed: 0, sizes: [6, 2] }), labelled, /\[batch, 2\], which fits neither .* labels of 3 classes/);
    refuse(mlp({ seed: 0, sizes: [6, 2] }), labelled, /\(loss softmax-cross-entropy\)/, 'softmax-cross-entropy');
    for (const label of [-100, 3]) {
      const targets = { ...labelled.targets, data: Int32Array.of(0, 1, label, 0) } as Dataset['targets'];
      const message = new RegExp(`hold the label ${label} \\(element 2\\), but the labels of 3 classes are 0 to 2`);
      refuse(mlp({ seed: 0, sizes: [6, 3] }), { ...labelled, targets }, message);
    }
    refuse(mlp({ seed: 0, sizes: [6, 4] }), measured, /fits neither the targets of 'measured' \(float32\[2\]/);
  });

  it('gives a model the integers that it declares: data have int64', () => {
    const tokens = modelBytes({
      opset: 17,
      inputs: { ids: ['int32', ['batch', 6]] },
      initializers: { table: ramp([5, 1]), shape: tensorFrom('int64', [2], [0, 6]), weight: ramp([6, 3]) },
      nodes: [
        { op: 'Gather', inputs: ['table', 'ids'], outputs: ['h'] },
        { op: 'Reshape', inputs: ['h', 'shape'], outputs: ['r'] },
        { op: 'MatMul', inputs: ['r', 'weight'], outputs: ['y'] },
      ],
      outputs: ['y'],
    });
    const set: Dataset = { ...labelled, inputs: { dtype: 'int64', shape: [6], data: new Int32Array(24) } };
    const model = modelFromBytes(tokens, semantics);
    expect(learningTask(model, both(set)).kind).toBe('classification');
    expect(() => learningTask(model, both(labelled))).toThrow(/int32\[batch, 6\], and an example is float32\[6\]/);
  });

  it('classifies each pixel where the classes are on the second axis', () => {
    const network = new Network('segmentation', { seed: 0 });
    const x = network.input('input', [3, 2, 1]);
    const model = network.model(network.b.mul(x, network.parameter('scale', [1], zeros)));
    const set: Dataset = { ...labelled, targets: { dtype: 'int64', shape: [2, 1], data: new Int32Array(8) } };
    expect(learningTask(model, both(set)).kind).toBe('classification');
  });

  it('says that a model was exported for one batch size', () => {
    const flattened = modelBytes({
      opset: 17,
      inputs: { x: ['float32', [4, 6]] },
      initializers: { shape: tensorFrom('int64', [2], [4, -1]), weight: ramp([6, 3]) },
      nodes: [
        { op: 'Reshape', inputs: ['x', 'shape'], outputs: ['h'] },
        { op: 'MatMul', inputs: ['h', 'weight'], outputs: ['y'] },
      ],
      outputs: ['y'],
    });
    const train = () => learningTask(modelFromBytes(flattened, semantics), both(labelled));
    expect(train).toThrow(OptionError);
    expect(train).toThrow(/exported for batches of 4 and takes no others; .*dynamic_axes={'x': {0: 'batch'}}/);
  });

  it('says that labels are left aside, unless the model ends as autoencoders do and no loss is given', () => {
    const warningsOf = (model: Model, loss?: LossWord) => learningTask(model, both(labelled), loss).warnings;
    const told =
      /^The labels of 'labelled' are left aside: .* reproduce its inputs \(loss mean-squared-error\)\. .* of 3 classes/;
    expect(warningsOf(autoencoder({ seed: 0, sizes: [6, 2] }))).toEqual([]);
    expect(warningsOf(mlp({ seed: 0, sizes: [6, 3] }))).toEqual([]);
    expect(warningsOf(mlp({ seed: 0, sizes: [6, 6] }))).toEqual([expect.stringMatching(told)]);
    expect(warningsOf(mlp({ seed: 0, sizes: [6, 6] }), 'mean-squared-error')).toEqual([expect.stringMatching(told)]);
    expect(warningsOf(autoencoder({ seed: 0, sizes: [6, 2] }), 'huber')).toEqual([
      expect.stringContaining('(loss huber)'),
    ]);
    const own = { ...labelled, targets: onlyInput(labelled) };
    expect(learningTask(mlp({ seed: 0, sizes: [6, 6] }), both(own))).toMatchObject({
      kind: 'autoencoding',
      warnings: [],
    });
  });

  it.each(['hinge', 'softmax-cross-entropy', 'focal'] as const)('never autoencodes by %s', (loss) => {
    const task = () => learningTask(mlp({ seed: 0, sizes: [6, 6] }), both({ ...labelled, targets: positions }), loss);
    const positions = { dtype: 'int64', shape: [2], data: new Int32Array(8) } as const;
    expect(task).toThrow(OptionError);
    expect(task).toThrow(loss);
  });

  it.each([
    ['sigmoid-cross-entropy', [0, 1, 0.5], 1.5, 'numbers from 0 to 1'],
    ['sigmoid-cross-entropy', [0, 1, 1 + 1e-7], -0.1, 'numbers from 0 to 1'],
    ['binary-focal', [0, 1], 2, 'numbers from 0 to 1'],
    ['poisson', [0, 7], -1, 'numbers of at least 0'],
    ['hinge', [-1, 1], 0, '-1 or 1'],
  ] as const)('%s takes %j, and not %d', (loss, good, bad, words) => {
    const task = (numbers: readonly number[]) => {
      const data = Float32Array.from({ length: 8 }, (_, i) => numbers[i % numbers.length] ?? 0);
      const set: Dataset = { ...measured, targets: { dtype: 'float32', shape: [2], data } };
      return learningTask(mlp({ seed: 0, sizes: [6, 2] }), both(set), loss);
    };
    expect(task(good).kind).toBe('regression');
    expect(() => task([...good, bad])).toThrow(OptionError);
    expect(() => task([...good, bad])).toThrow(
      `(element ${good.length}), and the loss ${loss} takes targets that are ${words}`,
    );
  });

  it('takes the range of a loss of its own, for inputs that are reproduced too', () => {
    const rates: Loss = { ...lossOf('mean-squared-error'), name: 'rates', targetRange: { atLeast: 1, atMost: 2 } };
    const task = () => learningTask(mlp({ seed: 0, sizes: [6, 6] }), both(labelled), rates);
    expect(task).toThrow(
      /the inputs of 'labelled' hold 0 \(element 0\), and the loss rates takes inputs .* from 1 to 2/,
    );
    const wrong = { ...rates, targetRange: { from: 1 } } as unknown as Loss;
    expect(() => learningTask(mlp({ seed: 0, sizes: [6, 6] }), both(labelled), wrong)).toThrow(/lacks a targetRange/);
  });

  it('takes more logits than classes only where the loss is given', () => {
    const model = mlp({ seed: 0, sizes: [6, 5] });
    expect(() => learningTask(model, both(labelled))).toThrow(OptionError);
    expect(learningTask(model, both(labelled), 'softmax-cross-entropy').kind).toBe('classification');
  });
});

it('refuses training labels that the loss ignores, all of them', () => {
  const labelled = (...labels: number[]): Dataset => ({
    name: 'padded',
    size: labels.length,
    inputs: { dtype: 'float32', shape: [3], data: new Float32Array(3 * labels.length) },
    targets: { dtype: 'int64', shape: [], data: Int32Array.from(labels) },
  });
  const loss = crossEntropy({ ignoreIndex: -100 });
  const model = mlp({ sizes: [3, 4, 2], seed: 1 });
  const some = labelled(-100, 1);
  expect(learningTask(model, { train: some, test: some }, loss).kind).toBe('classification');
  const none = labelled(-100, -100);
  expect(() => learningTask(model, { train: none, test: some }, loss)).toThrow(
    /all labels of 'padded' are -100, which the loss .* ignores: there is nothing to learn/,
  );
});
