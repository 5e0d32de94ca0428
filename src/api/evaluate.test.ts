// A model's figures on a set, against formulas in float64 on what plain ONNX Runtime computes.
import { expect, it } from 'vitest';
import { ramp, runOnnx } from '../../test/support/onnx-models.js';
import { dataset } from '../data/dataset.js';
import { OptionError } from '../errors.js';
import { toNumbers } from '../graph/tensor.js';
import { crossEntropy } from '../losses/cross-entropy.js';
import { accuracy } from '../metrics/accuracy.js';
import { mlp } from '../nn/zoo.js';
import { adam } from '../optimizers/adam.js';
import { evaluate } from './evaluate.js';
import { train } from './train.js';

const [size, columns, classes] = [23, 4, 3];
const labels = Int32Array.from({ length: size }, (_, i) => (i * i) % classes);
const set = dataset({
  name: 'points',
  size,
  inputs: { dtype: 'float32', shape: [columns], data: ramp([size, columns]).data as Float32Array },
  targets: { dtype: 'int64', shape: [], data: labels },
  classes: ['a', 'b', 'c'],
});
const model = mlp({ sizes: [columns, 5, classes], seed: 1 });

it.each([undefined, 1, 7, 100])('loss and metrics, in batches of %s', async (batchSize) => {
  const { output } = await runOnnx(model.encode(), { input: ramp([size, columns]) });
  const logits = output ? toNumbers(output) : [];
  let [loss, right] = [0, 0];
  for (const [row, label] of labels.entries()) {
    const own = logits.slice(row * classes, (row + 1) * classes);
    loss += Math.log(own.reduce((sum, logit) => sum + Math.exp(logit), 0)) - (own[label] ?? Number.NaN);
    right += Number(own.indexOf(Math.max(...own)) === label);
  }
  const options = { metrics: ['accuracy'] as const, ...(batchSize !== undefined && { batchSize }) };
  const { values } = await evaluate(model, set, options);
  expect(values.loss).toBeCloseTo(loss / size, 5);
  expect(values.accuracy).toBe(right / size);
});

it('a trained model: what its record says', async () => {
  const data = { train: set, test: set };
  const { model: trained, record } = await train(model, { data, optimizer: adam(), steps: 3, threads: 1 });
  const { values } = await evaluate(trained, set, { loss: crossEntropy(), metrics: [accuracy()] });
  expect(values).toEqual(record.test);
});

it('says by which loss it judges, and that labels are left aside', async () => {
  expect(await evaluate(model, set)).toMatchObject({ loss: 'softmax-cross-entropy', warnings: [] });
  expect(await evaluate(model, set, { loss: 'focal' })).toMatchObject({ loss: 'focal', warnings: [] });
  const back = mlp({ sizes: [columns, columns], seed: 1 });
  const { loss, warnings } = await evaluate(back, set);
  expect(loss).toBe('mean-squared-error');
  expect(warnings).toEqual([expect.stringMatching(/^The labels of 'points' are left aside/)]);
  await expect(evaluate(back, set, { loss: 'hinge' })).rejects.toThrow(OptionError);
});

it('refuses what is no set', async () => {
  const wrong = (data: unknown) => evaluate(model, data as typeof set);
  await expect(wrong({ train: set, test: set })).rejects.toThrow(/give one set, such as `test`/);
  await expect(wrong('digits')).rejects.toThrow(OptionError);
  await expect(evaluate(model, set, { metrics: ['nothing' as 'accuracy'] })).rejects.toThrow(/unknown metric/);
});

it('refuses a set without examples', async () => {
  const empty = dataset({
    ...{ name: 'none', size: 0, inputs: { dtype: 'float32', shape: [3], data: new Float32Array() } },
    targets: { dtype: 'float32', shape: [2], data: new Float32Array() },
  });
  await expect(evaluate(mlp({ sizes: [3, 2], seed: 1 }), empty)).rejects.toThrow(
    "the data set 'none' given to evaluate has no examples",
  );
});
