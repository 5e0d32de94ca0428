// Augmentation, class weights and sampling in whole runs: what they do to the step, and what they refuse.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Augmentation } from '../data/augment.js';
import { type Dataset, dataset } from '../data/dataset.js';
import { drawnDigits } from '../data/digits/digits.js';
import { oversampled } from '../data/sampling.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { OptionError } from '../errors.js';
import { crossEntropy } from '../losses/cross-entropy.js';
import { hinge } from '../losses/hinge.js';
import { autoencoder, mlp } from '../nn/zoo.js';
import { adam } from '../optimizers/adam.js';
import { cgfac } from '../optimizers/second-order/cgfac.js';
import { sgd } from '../optimizers/sgd.js';
import { random } from '../random.js';
import { type TrainOptions, train } from './trainer.js';

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ threads: 1, worker: false });
});
afterAll(() => engine.close());

const data = drawnDigits({ trainSize: 90, testSize: 20, seed: 1 });
const classifier = mlp({ sizes: [784, 8, 10], seed: 1 });
const everything: Augmentation = {
  ...{ flip: true, crop: 2, rotate: 10, colour: 0.2, erase: 0.25, noise: 0.1, mixup: 0.2, cutmix: 1 },
};
const run = (options: Partial<TrainOptions>, model = classifier) =>
  train(model, { engine, data, optimizer: adam(), batchSize: 32, seed: 3, steps: 4, ...options });
const losses = async (options: Partial<TrainOptions>) => (await run(options)).record.steps.map(({ loss }) => loss);

describe('augmentation in a run', () => {
  it.each([adam(), cgfac()])(
    'of all kinds trains with mixed targets and a metric of each batch (%#)',
    async (optimizer) => {
      const { record } = await run({ optimizer, augment: everything });
      expect(
        record.steps.every(({ loss, metrics }) => Number.isFinite(loss) && Number.isFinite(metrics.accuracy)),
      ).toBe(true);
      expect(Number.isFinite(record.train.loss)).toBe(true);
    },
  );

  it('is the same in each run of a seed, and none is none', async () => {
    const found = await losses({ augment: everything });
    expect(await losses({ augment: everything })).toEqual(found);
    expect(await losses({ augment: everything, seed: 4 })).not.toEqual(found);
    const zeros = { flip: false, crop: 0, rotate: 0, colour: 0, erase: 0, noise: 0, mixup: 0, cutmix: 0 };
    expect(await losses({ augment: zeros })).toEqual(await losses({}));
  });

  it('by noise and erasure leaves what an autoencoder is asked for, and is its input', async () => {
    const seen: number[] = [];
    const augment: Augmentation = {
      erase: 1,
      noise: 0.5,
      own: (batch) => {
        const [input, target] = [batch.inputs, batch.target] as const;
        const clean = Array.from<number | bigint, number>(target.data, Number);
        expect(clean.every((pixel) => pixel >= 0 && pixel <= 1)).toBe(true);
        seen.push(clean.filter((pixel, i) => pixel !== Number((input as typeof target).data[i])).length);
        return batch;
      },
    };
    await run({ augment }, autoencoder({ sizes: [784, 8, 2], seed: 1 }));
    expect(Math.min(...seen)).toBeGreaterThan(1000);
  });

  it("of one's own gets the batch and random numbers of the step, and must keep its types", async () => {
    const draws: number[] = [];
    const own: Augmentation['own'] = (batch, stream) => {
      draws.push(stream.bits());
      return batch;
    };
    expect(await losses({ augment: { own } })).toEqual(await losses({}));
    expect(new Set(draws).size).toBe(4);
    const wrong = run({ augment: { own: (batch) => ({ ...batch, target: batch.inputs as typeof batch.target }) } });
    await expect(wrong).rejects.toThrow(/own of augment returned a batch of .*; it must be of/);
  });

  const numbers = (shape: readonly number[], more: Partial<Dataset> = {}) => {
    const values = new Float32Array(20 * 4);
    random(1).fillNormal(values);
    const set = dataset({
      name: 'numbers',
      size: 20,
      inputs: { dtype: 'float32', shape: [4], data: values },
      targets: { dtype: 'float32', shape, data: values.map((x) => (x > 0 ? 1 : -1)) },
      ...more,
    });
    return { train: set, test: set };
  };

  it('of rows is noise and mixup', async () => {
    const { record } = await run(
      { data: numbers([1]), augment: { noise: 0.1, mixup: 0.2 } },
      mlp({ sizes: [4, 3, 1], seed: 1 }),
    );
    expect(Number.isFinite(record.train.loss)).toBe(true);
  });

  const table = mlp({ sizes: [4, 3, 1], seed: 1 });
  it.each([
    [{ augment: { rotate: 10 } }, table, /only pictures can be flipped and cropped/],
    [{ augment: { cutmix: 1 } }, table, /cutmix is for classes, and the targets of 'numbers' are numbers; use mixup/],
    [{ augment: { mixup: 0.2 }, loss: hinge() }, table, /the loss hinge takes no numbers between classes/],
    [
      { data, augment: { mixup: 1 }, loss: crossEntropy({ ignoreIndex: -1 }) },
      classifier,
      /ignores rows by their label/,
    ],
    [{ augment: { noise: -1 } }, table, /noise of augment/],
    [{ augment: { erase: 2 } }, table, /erase of augment/],
    [{ augment: { rotate: 200 } }, table, /rotate of augment/],
    [{ augment: { own: 3 as never } }, table, /own of augment is 3/],
    [
      {
        augment: { noise: 1 },
        data: numbers([1], { inputs: { dtype: 'int64', shape: [4], data: new Int32Array(80) } }),
      },
      table,
      /numbers/,
    ],
  ] as const)('is refused where it cannot be (%#)', async (options, model, message) => {
    const failing = run({ data: numbers([1]), ...options }, model);
    await expect(failing).rejects.toThrow(OptionError);
    await expect(failing).rejects.toThrow(message);
  });
});

describe('class weights and sampling', () => {
  const few = Int32Array.from(data.train.targets.data.slice(0, 90), (label) => (Number(label) < 9 ? 0 : 1));
  const unequal = {
    ...data.train,
    targets: { dtype: 'int64', shape: [], data: few } as const,
    classes: ['many', 'few'],
  };
  const two = { train: unequal, test: unequal };
  const model = mlp({ sizes: [784, 4, 2], seed: 2 });
  const options = { data: two, batchSize: 90, steps: 1, optimizer: sgd({ learningRate: 0.1 }) };

  it('of class weights: the loss is the weighted mean', async () => {
    const weights = { many: 1, few: 5 };
    const [plain, weighted, only] = (await Promise.all(
      [undefined, weights, { many: 0, few: 1 }].map(async (classWeights) => {
        const { record } = await run({ ...options, ...(classWeights && { classWeights }) }, model);
        return record.steps[0]?.loss ?? 0;
      }),
    )) as [number, number, number];
    const share = few.filter((label) => label === 1).length / 90;
    const rest = (plain - share * only) / (1 - share);
    expect(weighted).toBeCloseTo((5 * share * only + (1 - share) * rest) / (5 * share + 1 - share), 4);
  });

  it('of class weights: evaluations of the test set keep its own mix', async () => {
    const still = { ...options, optimizer: sgd({ learningRate: 1e-9 }) };
    const [plain, weighted] = await Promise.all([
      run(still, model),
      run({ ...still, classWeights: 'balanced' }, model),
    ]);
    expect(weighted.record.test.loss).toBeCloseTo(plain.record.test.loss, 4);
    expect(weighted.record.train.loss).not.toBeCloseTo(plain.record.train.loss, 4);
  });

  it('of oversampling: an epoch is longer', async () => {
    const { record } = await run(
      { ...options, steps: undefined as never, epochs: 1, batchSize: 10, sampling: oversampled() },
      model,
    );
    const many = few.filter((label) => label === 0).length;
    expect(record.steps).toHaveLength(Math.ceil((2 * many) / 10));
  });

  it('are refused where no labels are learned', async () => {
    const reproducing = autoencoder({ sizes: [784, 4, 2], seed: 1 });
    await expect(run({ classWeights: 'balanced' }, reproducing)).rejects.toThrow(
      /no labels of .* are learned \(autoencoding\)/,
    );
    await expect(run({ sampling: oversampled() }, reproducing)).rejects.toThrow(
      /cannot be oversampled: its targets are numbers/,
    );
  });
});
