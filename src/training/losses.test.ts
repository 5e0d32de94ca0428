// Training on every loss and with weights, end to end on the native engine; and what is told and refused.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { empirical, exact, sampled } from '../curvature/fisher.js';
import type { Dataset } from '../data/dataset.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { OptionError } from '../errors.js';
import { crossEntropy } from '../losses/cross-entropy.js';
import { huber } from '../losses/huber.js';
import { type LossWord, lossNames, lossOf } from '../losses/index.js';
import type { Loss } from '../losses/loss.js';
import { weightedMean } from '../losses/reduction.js';
import { mae } from '../metrics/mae.js';
import type { Metric } from '../metrics/metric.js';
import { mlp } from '../nn/zoo.js';
import { adam } from '../optimizers/adam.js';
import { cgfac } from '../optimizers/second-order/cgfac.js';
import { kfac } from '../optimizers/second-order/kfac.js';
import { sgd } from '../optimizers/sgd.js';
import { normalized } from '../optimizers/steps/normalized.js';
import { random } from '../random.js';
import { train } from './trainer.js';

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => engine.close());

const [size, features, outputs] = [96, 5, 3];

/** Targets that a linear function of the inputs explains, as the loss takes them. */
function drawn(word: LossWord): Dataset {
  const source = random(3, 'examples');
  const inputs = Float32Array.from({ length: size * features }, () => source.normal());
  const planes = Array.from({ length: features * outputs }, () => source.normal());
  const sums = Array.from({ length: size * outputs }, (_, i) =>
    planes
      .slice((i % outputs) * features, ((i % outputs) + 1) * features)
      .reduce((sum, w, k) => sum + w * (inputs[Math.floor(i / outputs) * features + k] ?? 0), 0),
  );
  const numbers: Partial<Record<LossWord, (x: number) => number>> = {
    'sigmoid-cross-entropy': (x) => Number(x > 0),
    'binary-focal': (x) => Number(x > 0),
    hinge: (x) => Math.sign(x),
    poisson: (x) => Math.floor(Math.exp(Math.min(2, x))),
  };
  const column = { name: 'drawn', size, inputs: { dtype: 'float32', shape: [features], data: inputs } } as const;
  if (lossOf(word).targets === 'values') {
    const data = Float32Array.from(sums, numbers[word] ?? ((x) => x));
    return { ...column, targets: { dtype: 'float32', shape: [outputs], data } };
  }
  const labels = Int32Array.from({ length: size }, (_, i) => {
    const row = sums.slice(i * outputs, (i + 1) * outputs);
    return row.indexOf(Math.max(...row));
  });
  return { ...column, targets: { dtype: 'int64', shape: [], data: labels } };
}

const model = (loss?: LossWord) => mlp({ sizes: [features, 8, loss === 'gaussian' ? 2 * outputs : outputs], seed: 2 });
const both = (set: Dataset) => ({ train: set, test: set });

describe.each(lossNames)('%s', (loss) => {
  it.each([
    ['adam', () => adam({ learningRate: 0.02 })],
    ['cgfac', () => cgfac()],
    ['normalized cgfac', () => cgfac({ step: normalized({ learningRate: 0.01 }) })],
    ['kfac by the targets of the data', () => kfac({ fisher: empirical() })],
  ] as const)('is lowered by %s', async (_, make) => {
    const { record, warnings } = await train(model(loss), {
      engine,
      data: both(drawn(loss)),
      loss,
      optimizer: make(),
      batchSize: 48,
      steps: 30,
    });
    const first = record.steps[0]?.loss ?? Number.NaN;
    expect(record.train.loss).toBeLessThan(first - 0.1 * Math.abs(first));
    expect(record.takenBack).toBeUndefined();
    const told = warnings.filter((warning) => warning.includes('has no likelihood'));
    const isCgfac = _.endsWith('cgfac');
    expect(told).toHaveLength(isCgfac && !lossOf(loss).likelihood ? 1 : 0);
  });
});

it.each([sampled(), exact()])('a loss without a likelihood has no $name Fisher', async (fisher) => {
  const options = { engine, data: both(drawn('huber')), loss: huber(), steps: 2, optimizer: kfac({ fisher }) };
  await expect(train(model(), options)).rejects.toThrow(OptionError);
  await expect(train(model(), options)).rejects.toThrow(
    `fisher ${fisher.name}() of kfac needs the likelihood of a loss, and huber has none: use empirical()`,
  );
});

/** log cosh(z − y), as someone may write it. */
const logCosh: Loss = {
  name: 'log-cosh',
  targets: 'values',
  targetType: (output) => output,
  value(b, output, targets, weights) {
    const size = b.abs(b.sub(output, targets));
    const each = b.sub(b.add(size, b.log(b.add(1, b.exp(b.mul(size, -2))))), Math.LN2);
    return weightedMean(b, each, weights);
  },
  metric: mae(),
  step: 'self-tuning',
};

/** The largest error of all: it takes the rows of the whole set. */
const worstError: Metric = {
  name: 'worstError',
  lowerIsBetter: true,
  rows: (b, { expected, given }) => ({ errors: b.abs(b.sub(expected, given)) }),
  value: ({ errors = [] }) => Math.max(...Array.from(errors)),
};

it('a loss and metrics of a user train, and are in the records', async () => {
  const { record } = await train(model(), {
    engine,
    data: both(drawn('mean-squared-error')),
    loss: logCosh,
    metrics: [mae(), worstError, 'r2'],
    optimizer: cgfac(),
    batchSize: 48,
    steps: 20,
  });
  expect(record.metric).toEqual({ name: 'meanAbsoluteError', lowerIsBetter: true });
  expect(record.otherMetrics?.map(({ name }) => name)).toEqual(['worstError', 'r2']);
  expect(record.train.r2).toBeGreaterThan(0.8);
  expect(record.train.worstError).toBeGreaterThan(record.train.meanAbsoluteError ?? Number.NaN);
  const [first, last] = [record.steps[0], record.steps.at(-1)];
  expect(Object.keys(first?.metrics ?? {})).toEqual(['meanAbsoluteError']);
  expect(last?.metrics.testR2).toBeCloseTo(record.test.r2 ?? Number.NaN, 12);
});

it('a run about a metric of the whole set has it where it is evaluated, and can race to it', async () => {
  const { record } = await train(model(), {
    engine,
    data: both(drawn('mean-squared-error')),
    metrics: [worstError, mae()],
    target: { metric: 'testMeanAbsoluteError', value: 0.5 },
    optimizer: adam({ learningRate: 0.02 }),
    steps: 40,
  });
  expect(record.metric.name).toBe('worstError');
  expect(record.steps[0]?.metrics.worstError).toBeUndefined();
  expect(record.steps.at(-1)?.metrics.trainWorstError).toBe(record.train.worstError);
  expect(record.toTarget?.steps).toBeGreaterThan(0);
});

it('metrics that do not fit the targets are refused before the first step', async () => {
  const data = both(drawn('softmax-cross-entropy'));
  const options = { engine, data, optimizer: adam(), steps: 1 };
  await expect(train(model(), { ...options, metrics: ['mae'] })).rejects.toThrow(/meanAbsoluteError is of numbers/);
  const steps: number[] = [];
  const late = {
    ...options,
    steps: 20,
    metrics: ['accuracy', 'mae'] as const,
    callbacks: { onStep: () => void steps.push(1) },
  };
  await expect(train(model(), late)).rejects.toThrow(/meanAbsoluteError is of numbers/);
  expect(steps).toEqual([]);
  await expect(train(model(), { ...options, metrics: ['acuracy' as 'accuracy'] })).rejects.toThrow(
    /did you mean 'accuracy'/,
  );
});

describe('weights', () => {
  const weights = Float32Array.from({ length: size }, (_, i) => (i % 3 === 0 ? 0 : 1 + (i % 2)));
  const column = { dtype: 'float32', shape: [], data: weights } as const;
  /** The same set with each example as often as its weight says. */
  const repeated = (set: Dataset): Dataset => {
    const rows = Array.from(weights, (weight, i) => new Array<number>(weight).fill(i)).flat();
    const take = <Values extends Float32Array | Int32Array>(data: Values, per: number, made: Values): Values => {
      for (const [to, from] of rows.entries()) made.set(data.subarray(from * per, (from + 1) * per), to * per);
      return made;
    };
    const { inputs, targets } = set;
    if (!('data' in inputs) || !(inputs.data instanceof Float32Array)) throw new Error('rows of numbers');
    const given = { ...inputs, data: take(inputs.data, features, new Float32Array(rows.length * features)) };
    const answers =
      targets.dtype === 'int64'
        ? { ...targets, data: take(targets.data, 1, new Int32Array(rows.length)) }
        : { ...targets, data: take(targets.data as Float32Array, outputs, new Float32Array(rows.length * outputs)) };
    return { ...set, size: rows.length, inputs: given as Dataset['inputs'], targets: answers as Dataset['targets'] };
  };

  it.each(['softmax-cross-entropy', 'mean-squared-error', 'huber', 'poisson'] as const)(
    'of whole numbers train %s as repetitions do',
    async (loss) => {
      const set = drawn(loss);
      const run = (data: Dataset) =>
        train(model(), {
          engine,
          data: both(data),
          loss,
          normalize: false,
          optimizer: sgd({ learningRate: 0.02 }),
          batchSize: 1000,
          steps: 5,
        });
      const [weighted, plain] = [await run({ ...set, weights: column }), await run(repeated(set))];
      for (const [k, step] of plain.record.steps.entries()) {
        expect(weighted.record.steps[k]?.loss).toBeCloseTo(step.loss, 5);
        const name = plain.record.metric.name;
        expect(weighted.record.steps[k]?.metrics[name]).toBeCloseTo(step.metrics[name] ?? Number.NaN, 4);
      }
      expect(weighted.record.train.loss).toBeCloseTo(plain.record.train.loss, 5);
    },
  );

  it('train second order too, batches in which nothing counts included', async () => {
    const sparse = { ...column, data: Float32Array.from(weights, (weight, i) => (i < size / 2 ? 0 : weight)) };
    const { record } = await train(model(), {
      engine,
      data: both({ ...drawn('softmax-cross-entropy'), weights: sparse }),
      loss: crossEntropy({ classWeights: [1, 2, 0.5], labelSmoothing: 0.05 }),
      optimizer: cgfac(),
      batchSize: 4,
      steps: 40,
    });
    expect(record.steps.every(({ loss }) => Number.isFinite(loss))).toBe(true);
    expect(record.steps.some(({ loss }) => loss === 0)).toBe(true);
    expect(record.train.accuracy).toBeGreaterThan(0.7);
  });
});
