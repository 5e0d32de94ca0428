// Validation, the best parameters, and early stopping.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawnDigits } from '../data/digits/digits.js';
import { withValidation } from '../data/split.js';
import { slice } from '../data/views.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { OptionError } from '../errors.js';
import { mlp } from '../nn/zoo.js';
import type { Optimizer } from '../optimizers/optimizer.js';
import { sgd } from '../optimizers/sgd.js';
import { evaluateModel } from './evaluation/evaluation.js';
import { type TrainOptions, train } from './trainer.js';

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => engine.close());

const digits = drawnDigits({ trainSize: 100, testSize: 20 });
const model = mlp({ sizes: [784, 8, 10], seed: 1 });

/** Descent with a rate that turns at step 6: from there on the loss rises. */
const upAndDown: Optimizer = {
  name: 'up-and-down',
  build({ b, parameters, gradients, scalar }) {
    const rate = scalar('learningRate', (step) => (step < 6 ? 0.3 : -0.3));
    return new Map([...parameters].map(([name, p]) => [name, b.sub(p, b.mul(gradients.get(name) ?? 0, rate))]));
  },
};

const run = (options: Partial<TrainOptions>) =>
  train(model, {
    ...{ engine, data: digits, optimizer: upAndDown, batchSize: 80, steps: 14, evaluateEvery: 1, seed: 1 },
    ...options,
  });

describe('validation', () => {
  it('holds out a share of each class, and evaluates it beside the other sets', async () => {
    const { train: kept, validation, test } = withValidation(digits, { share: 0.2, seed: 1 });
    expect([kept.size, validation?.size, test.size]).toEqual([80, 20, 20]);
    const counts = (set = kept) =>
      Array.from({ length: 10 }, (_, label) => [...set.targets.data].filter((each) => Number(each) === label).length);
    const whole = counts(digits.train);
    expect(counts(validation)).toEqual(whole.map((count) => Math.round(count / 5)));
    const { record, model: trained } = await run({ validation: 0.2 });
    expect(record.steps[0]?.metrics).toHaveProperty('validationLoss');
    expect(record.validation).toHaveProperty('accuracy');
    const { values } = await evaluateModel(engine, trained, validation ?? kept);
    expect(record.validation?.loss).toBeCloseTo(values.loss, 5);
  });

  it('is as good as a set of one’s own', async () => {
    const data = withValidation(digits, { share: 0.2, seed: 1 });
    const [own, share] = [await run({ data }), await run({ validation: 0.2 })];
    expect(own.record.validation).toEqual(share.record.validation);
    await expect(run({ data, validation: 0.2 })).rejects.toThrow(/there is a validation set already/);
  });

  it('takes windows of a sequence from its end, which share nothing with the rest', () => {
    const text = (size: number) => ({
      name: 'text',
      size,
      inputs: {
        dtype: 'int64',
        shape: [8],
        stride: 1,
        data: Int32Array.from({ length: size + 7 }, (_, i) => i),
      } as const,
      targets: { dtype: 'int64', shape: [8], stride: 1, data: new Int32Array(size + 7) } as const,
    });
    const { train: kept, validation } = withValidation({ train: text(100), test: text(10) }, { share: 0.1, seed: 1 });
    expect([kept.size, validation?.size]).toEqual([83, 10]);
    const last = kept.size - 1 + 7;
    const first = validation && 'data' in validation.inputs ? Number((validation.inputs.data as Int32Array)[0]) : 0;
    expect([last, first]).toEqual([89, 90]);
  });

  it.each([
    [{ share: 0, seed: 1 }, /validation is 0; it must be .*greater than 0, less than 1/],
    [{ share: 0.999, seed: 1 }, /leaves none for training/],
  ])('refuses %j', (options, message) => {
    const few = { ...digits, train: slice(digits.train, 0, 3) };
    expect(() => withValidation(few, options)).toThrow(message);
  });
});

describe('monitor', () => {
  it('keeps the parameters of the best evaluation, not the last', async () => {
    const { record } = await run({ validation: 0.2 });
    const losses = record.steps.map(({ metrics }) => metrics.validationLoss ?? Number.NaN);
    expect(losses.indexOf(Math.min(...losses))).toBe(5);
    expect(record.best).toEqual({ step: 6, metric: 'validationLoss', value: losses[5] });
    expect(record.validation?.loss).toBeCloseTo(losses[5] ?? 0, 6);
  });

  it('watches the value that is named, whichever way it is better', async () => {
    const { record } = await run({ monitor: 'test.accuracy', steps: 8 });
    const found = record.steps.map(({ metrics }) => metrics.testAccuracy ?? 0);
    expect(record.best?.value).toBe(Math.max(...found));
    expect(record.best?.step).toBe(found.indexOf(Math.max(...found)) + 1);
    expect(record.test.accuracy).toBe(record.best?.value);
  });

  it('leaves the last parameters if nothing is monitored', async () => {
    const { record } = await run({});
    expect(record).not.toHaveProperty('best');
    expect(record.test.loss).toBeCloseTo(record.steps.at(-1)?.metrics.testLoss ?? 0, 6);
  });
});

describe('early stopping', () => {
  it('ends after so many evaluations without an improvement', async () => {
    const { record, stopped } = await run({ validation: 0.2, earlyStopping: 3 });
    expect([record.steps.length, stopped, record.stopped, record.best?.step]).toEqual([
      9,
      'early stopping',
      'early stopping',
      6,
    ]);
  });

  it('counts an improvement only from the smallest difference on, and keeps the best all the same', async () => {
    const { record } = await run({ validation: 0.2, earlyStopping: { patience: 2, minDelta: 10 } });
    const losses = record.steps.map(({ metrics }) => metrics.validationLoss ?? Number.NaN);
    expect(losses.length).toBe(3);
    expect(record.best).toMatchObject({ step: losses.indexOf(Math.min(...losses)) + 1, value: Math.min(...losses) });
  });

  it.each([
    [{ earlyStopping: 3 }, /early stopping needs a value to watch: hold out a part/],
    [{ earlyStopping: 0, validation: 0.2 }, /patience of earlyStopping is 0/],
    [{ earlyStopping: { patience: 2, minDelta: -1 }, validation: 0.2 }, /minDelta of earlyStopping is -1/],
    [{ monitor: 'validationLoss' }, /monitor is 'validationLoss', and there is no validation set/],
    [
      { monitor: 'val.f7', validation: 0.2 },
      /unknown monitor 'val\.f7'; choose one of accuracy, loss, validationAccuracy/,
    ],
  ])('refuses %j', async (options, message) => {
    const refused = run(options);
    await expect(refused).rejects.toThrow(OptionError);
    await expect(refused).rejects.toThrow(message);
  });
});

it('trains as ever with sgd and a validation set', async () => {
  const { record } = await run({ optimizer: sgd({ learningRate: 0.1 }), validation: 0.2 });
  expect(record.train.loss).toBeLessThan(record.steps[0]?.loss ?? 0);
});
