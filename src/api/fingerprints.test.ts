import { expect, it } from 'vitest';
import { drawnDigits } from '../data/digits/digits.js';
import { crossEntropy } from '../losses/cross-entropy.js';
import { mlp } from '../nn/zoo.js';
import { adam } from '../optimizers/adam.js';
import { dataFingerprint, modelFingerprint, optionWords } from './fingerprints.js';

const data = drawnDigits({ trainSize: 12, testSize: 4 });

it('tells data apart by any number, the order, the names of classes and the split', () => {
  const own = dataFingerprint(data);
  expect(dataFingerprint(drawnDigits({ trainSize: 12, testSize: 4 }))).toBe(own);
  const { train, test } = data;
  const labels = Int32Array.from(train.targets.data);
  labels[11] = ((labels[11] ?? 0) + 1) % 10;
  const others = [
    { train: { ...train, targets: { dtype: 'int64', shape: [], data: labels } as const }, test },
    { train: { ...train, classes: ['a'] }, test },
    { train: { ...train, size: 11 }, test },
    { train: test, test: train },
    { train, test, validation: test },
    {
      train: { ...train, weights: { dtype: 'float32', shape: [], data: new Float32Array(12).fill(1) } as const },
      test,
    },
  ];
  const all = [own, ...others.map(dataFingerprint)];
  expect(new Set(all).size).toBe(all.length);
  // Where they lie makes no difference.
  expect(dataFingerprint({ train: { ...train, name: 'moved' }, test })).toBe(own);
});

it('tells models apart by a weight and by an operator', () => {
  const model = mlp({ sizes: [3, 4, 2], seed: 1 });
  const bias = { dtype: 'float32', dims: [2], data: Float32Array.of(0, 1e-7) } as const;
  const all = [
    model,
    mlp({ sizes: [3, 4, 2], seed: 2 }),
    mlp({ sizes: [3, 4, 2], seed: 1, activation: 'tanh' }),
    model.with(new Map([['fc2.bias', bias]])),
  ].map(modelFingerprint);
  expect(new Set(all).size).toBe(4);
  expect(modelFingerprint(mlp({ sizes: [3, 4, 2], seed: 1 }))).toBe(all[0]);
});

it('writes options down as JSON', () => {
  const options = {
    optimizer: adam(),
    loss: crossEntropy(),
    batchSize: 20,
    normalize: { mean: Float32Array.of(1), deviation: [2, 3] },
    metrics: ['accuracy'],
    steps: 7,
    seed: undefined,
  };
  const words = optionWords(options, new Set(['steps']));
  expect(words).toEqual({
    optimizer: 'adam',
    loss: crossEntropy().name,
    batchSize: 20,
    normalize: { mean: expect.stringMatching(/^[0-9a-f]{64}$/), deviation: [2, 3] },
    metrics: ['accuracy'],
  });
});
