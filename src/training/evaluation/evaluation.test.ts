// Evaluations of a set: the same however it is cut into batches, and by hand.
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Dataset } from '../../data/dataset.js';
import type { Engine } from '../../engine/engine.js';
import { nodeEngine } from '../../engine/node.js';
import { OptionError } from '../../errors.js';
import { crossEntropy } from '../../losses/cross-entropy.js';
import { accuracy } from '../../metrics/accuracy.js';
import { confusionMatrix } from '../../metrics/confusion-matrix.js';
import { mlp } from '../../nn/zoo.js';
import { random } from '../../random.js';
import { evaluateModel } from './evaluation.js';

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => engine.close());

const [size, features, classes] = [23, 4, 3];
const source = random(4, 'evaluation');
const ignored = -1;
const labels = Int32Array.from({ length: size }, (_, i) => (i % 5 === 0 ? ignored : source.integer(classes)));
const set: Dataset = {
  name: 'drawn',
  size,
  inputs: {
    dtype: 'float32',
    shape: [features],
    data: Float32Array.from({ length: size * features }, () => source.normal()),
  },
  targets: { dtype: 'int64', shape: [], data: labels },
  weights: { dtype: 'float32', shape: [], data: Float32Array.from({ length: size }, () => 4 * source.uniform()) },
};
const model = mlp({ sizes: [features, 5, classes], seed: 3 });
const classWeights = [0.5, 1, 3];
const loss = crossEntropy({ ignoreIndex: ignored, classWeights });

it.each([1, 4, 22])('does not depend on the batch size: %d', async (batchSize) => {
  const request = { loss, metrics: [accuracy(), 'log-loss', 'roc-auc', confusionMatrix()] as const };
  const [whole, parts] = [
    await evaluateModel(engine, model, set, request),
    await evaluateModel(engine, model, set, { ...request, batchSize }),
  ];
  expect(Object.keys(parts.values)).toEqual(['loss', 'accuracy', 'logLoss', 'rocAuc', 'confusionMatrix']);
  for (const [name, value] of Object.entries(whole.values)) expect(parts.values[name]).toBeCloseTo(value, 5);
  const flat = (tables: typeof whole.tables) => (tables.confusionMatrix ?? []).flat();
  for (const [i, count] of flat(whole.tables).entries()) expect(flat(parts.tables)[i]).toBeCloseTo(count, 4);
});

it('is the weighted mean of the losses of the rows that count', async () => {
  const { values } = await evaluateModel(engine, model, set, { loss });
  let [sum, mass] = [0, 0];
  for (const [i, label] of labels.entries()) {
    if (label === ignored) continue;
    const row = { ...set, size: 1, targets: { ...set.targets, data: labels.subarray(i, i + 1) } } as Dataset;
    const inputs = { ...set.inputs, data: (set.inputs as { data: Float32Array }).data.subarray(features * i) };
    const { weights: _, ...one } = { ...row, inputs: inputs as Dataset['inputs'] };
    const weight = (set.weights?.data[i] ?? Number.NaN) * (classWeights[label] ?? Number.NaN);
    sum += weight * (await evaluateModel(engine, model, one, { loss: 'softmax-cross-entropy' })).values.loss;
    mass += weight;
  }
  expect(values.loss).toBeCloseTo(sum / mass, 5);
});

it('takes probabilities of the classes, which those of a label are', async () => {
  const known = Int32Array.from(labels, (label) => Math.max(0, label));
  const shares = Float32Array.from({ length: size * classes }, (_, i) =>
    Number(known[Math.floor(i / classes)] === i % classes),
  );
  const hard = { ...set, targets: { dtype: 'int64', shape: [], data: known } } as const;
  const soft = { ...set, targets: { dtype: 'float32', shape: [classes], data: shares } } as const;
  const request = { loss: crossEntropy({ labelSmoothing: 0.1 }), metrics: ['accuracy', 'log-loss', 'f1'] as const };
  const [ofLabels, ofShares] = [
    await evaluateModel(engine, model, hard, request),
    await evaluateModel(engine, model, soft, request),
  ];
  for (const [name, value] of Object.entries(ofLabels.values)) expect(ofShares.values[name]).toBeCloseTo(value, 6);
  const wrong = { ...soft, targets: { ...soft.targets, data: shares.map((share, i) => (i === 4 ? 0.5 : share)) } };
  await expect(evaluateModel(engine, model, wrong, request)).rejects.toThrow(
    /targets of 'drawn' in row 1 are no probabilities of 3 classes/,
  );
});

it('refuses labels outside the classes but for the one that is ignored, and tells how to', async () => {
  await expect(evaluateModel(engine, model, set)).rejects.toThrow(OptionError);
  await expect(evaluateModel(engine, model, set)).rejects.toThrow(
    /hold the label -1 \(element 0\).*crossEntropy\(\{ ignoreIndex: -100 \}\)/,
  );
});

it('refuses weights that are none', async () => {
  const weighted = (data: Float32Array) => ({ ...set, weights: { dtype: 'float32', shape: [], data } }) as const;
  const evaluated = (data: Float32Array) => evaluateModel(engine, model, weighted(data), { loss });
  await expect(evaluated(new Float32Array(size))).rejects.toThrow("data set 'drawn': all weights are 0");
  await expect(evaluated(new Float32Array(size).fill(-1))).rejects.toThrow('the weight of example 0 is -1');
  await expect(evaluated(new Float32Array(size - 1))).rejects.toThrow(/weights hold 22 elements, but 23 examples/);
});
