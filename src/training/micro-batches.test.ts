// Steps in micro-batches against steps in one piece: the same numbers but for the order of sums.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Stepped, type SteppedRun, stepped } from '../../test/support/step-run.js';
import { chooseOptimizer, optimizerNames } from '../cli/optimizers.js';
import { empirical, exact } from '../curvature/fisher.js';
import { type Dataset, dataset } from '../data/dataset.js';
import { slice } from '../data/views.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { elementCount, type TensorData, toNumbers } from '../graph/tensor.js';
import { crossEntropy } from '../losses/cross-entropy.js';
import { lossOf } from '../losses/index.js';
import { withTargetNormalization } from '../model/edit/target-normalization.js';
import type { Model } from '../model/model.js';
import { charTransformer } from '../nn/char-transformer.js';
import { Network } from '../nn/network.js';
import { adam } from '../optimizers/adam.js';
import type { Optimizer } from '../optimizers/optimizer.js';
import { cgfac } from '../optimizers/second-order/cgfac.js';
import { kfac } from '../optimizers/second-order/kfac.js';
import { sgd } from '../optimizers/sgd.js';
import { normalized } from '../optimizers/steps/normalized.js';
import { selfTuning } from '../optimizers/steps/self-tuning.js';
import { random } from '../random.js';
import { buildStep } from './step-program.js';
import { train } from './trainer.js';

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => engine.close());

const size = 24;
const source = random(5, 'examples');
const normal = (...shape: readonly number[]) => ({
  ...({ dtype: 'float32', shape } as const),
  data: Float32Array.from({ length: size * elementCount(shape) }, () => source.normal()),
});
const integers = (bound: number, ...shape: readonly number[]) => ({
  ...({ dtype: 'int64', shape } as const),
  data: Int32Array.from({ length: size * elementCount(shape) }, () => source.integer(bound)),
});
const setOf = (columns: Pick<Dataset, 'inputs' | 'targets' | 'weights'>): Dataset =>
  dataset({ name: 'drawn', size, ...columns });

const classes = setOf({ inputs: normal(6), targets: integers(3) });

/** A network with dropout, of which no layer mixes the examples. */
function dropping(outputs: number): Model {
  const network = new Network('dropping', { seed: 2 });
  const hidden = network.activation(network.dense(network.input('x', [6]), 'one', 8), 'tanh');
  return network.model(network.dense(network.dropout(hidden, 'drop', 0.25), 'two', outputs));
}

/** The largest difference of tensors, relative to the largest element of each. */
function difference(one: Stepped, other: Stepped): number {
  return Math.max(
    ...Object.entries(one.tensors).map(([name, tensor]) => {
      const [x, y] = [toNumbers(tensor), toNumbers(other.tensors[name] ?? tensor)];
      const scale = Math.max(...Array.from(x, Math.abs), 1e-6);
      return Math.max(...Array.from(x, (element, i) => Math.abs(element - (y[i] ?? Number.NaN)))) / scale;
    }),
  );
}

async function both(run: SteppedRun, accumulate = 3): Promise<readonly [Stepped, Stepped]> {
  return [await stepped(engine, run), await stepped(engine, run, accumulate)];
}

/** Losses and sums of the metric agree; return the largest difference of what the runs leave behind. */
async function distance(run: SteppedRun, accumulate = 3): Promise<number> {
  const [one, other] = await both(run, accumulate);
  const agree = (x: number, y = Number.NaN) => expect(Math.abs(y - x)).toBeLessThan(1e-5 * Math.max(Math.abs(x), 1));
  for (const [k, loss] of one.losses.entries()) agree(loss, other.losses[k]);
  for (const [k, sums] of one.sums.entries()) {
    for (const [name, values] of Object.entries(sums)) {
      for (const [i, value] of values.entries()) agree(value, other.sums[k]?.[name]?.[i]);
    }
  }
  return difference(one, other);
}

const setting = { loss: crossEntropy(), examples: size, batchSize: size, isTable: true, isPretrained: false };
const optimizers: Readonly<Record<string, () => Optimizer>> = {
  ...Object.fromEntries(optimizerNames.map((name) => [name, () => chooseOptimizer(name, {}, setting).optimizer])),
  'cgfac, self-tuning': () => cgfac({ step: selfTuning(), curvatureRows: 8 }),
  'cgfac, exact': () => cgfac({ step: normalized(), fisher: exact(), curvatureRows: 8 }),
  'kfac, empirical': () => kfac({ step: normalized(), fisher: empirical() }),
};

/** Roots and bases of singular matrices, and truncated solves, are no continuous functions: there only losses agree. */
const sensitive = ['hessian-free', 'shampoo', 'soap'];

describe('three micro-batches equal one batch', () => {
  it.each(Object.entries(optimizers))('%s', async (name, make) => {
    const run = { model: dropping(3), loss: crossEntropy(), data: classes, optimizer: make(), steps: 6 };
    const found = await distance(run);
    if (!sensitive.includes(name)) expect(found).toBeLessThan(1e-5);
  });
});

function pictures(): Model {
  const network = new Network('pictures', { seed: 4 });
  const x = network.activation(network.conv2d(network.input('image', [2, 5, 5]), 'one', 4, { kernel: 3 }), 'tanh');
  return network.model(network.dense(network.globalAveragePool(x), 'head', 3));
}

function recurrent(): Model {
  const network = new Network('recurrent', { seed: 4 });
  const { last } = network.gru(network.input('x', [5, 2]), 'layer', { hidden: 6 });
  return network.model(network.dense(last, 'head', 3));
}

function severalInputs(): Model {
  const network = new Network('several', { seed: 4 });
  const [x, y] = [network.input('x', [4]), network.input('y', [3])];
  const joined = network.activation(network.b.add(network.dense(x, 'one', 5), network.dense(y, 'two', 5)), 'tanh');
  return network.model(network.dense(joined, 'head', 2));
}

/** One micro-batch has few labels that count, another none. */
const someIgnored = { ...integers(3), data: Int32Array.from({ length: size }, (_, i) => (i < 11 ? -100 : i % 3)) };
const uneven = { ...normal(), data: Float32Array.from({ length: size }, (_, i) => [0, 1, 3, 0.5][i % 4] ?? 0) };
const kinds: Readonly<Record<string, Pick<SteppedRun, 'model' | 'loss' | 'data'>>> = {
  convolutions: {
    model: pictures(),
    loss: crossEntropy(),
    data: setOf({ inputs: normal(2, 5, 5), targets: integers(3) }),
  },
  'a recurrent layer': {
    model: recurrent(),
    loss: crossEntropy(),
    data: setOf({ inputs: normal(5, 2), targets: integers(3) }),
  },
  'a transformer': {
    model: charTransformer({ vocabulary: 5, context: 3, width: 4, layers: 1, heads: 2, seed: 3 }),
    loss: crossEntropy(),
    data: setOf({ inputs: integers(5, 3), targets: integers(5, 3) }),
  },
  'several inputs and a regression': {
    model: severalInputs(),
    loss: lossOf('mean-squared-error'),
    data: setOf({ inputs: { x: normal(4), y: normal(3) }, targets: normal(2) }),
  },
  'weights of examples': { model: dropping(3), loss: crossEntropy(), data: { ...classes, weights: uneven } },
  'ignored labels': {
    model: dropping(3),
    loss: crossEntropy({ ignoreIndex: -100 }),
    data: setOf({ inputs: classes.inputs, targets: someIgnored }),
  },
  'weights of classes, with ignored labels and weights of examples': {
    model: dropping(3),
    loss: crossEntropy({ ignoreIndex: -100, classWeights: [1, 3, 0.5] }),
    data: setOf({ inputs: classes.inputs, targets: someIgnored, weights: uneven }),
  },
  'a weighted regression': {
    model: dropping(2),
    loss: lossOf('mean-squared-error'),
    data: setOf({ inputs: normal(6), targets: normal(2), weights: uneven }),
  },
  'standardized targets': {
    model: withTargetNormalization(dropping(2), { mean: [3, -2], deviation: [2, 5] }),
    loss: lossOf('mean-squared-error'),
    data: setOf({ inputs: normal(6), targets: normal(2) }),
  },
};

describe.each(Object.entries(kinds))('%s', (_, kind) => {
  it.each(
    Object.entries({
      'first order': () => sgd({ learningRate: 0.1, momentum: 0.9 }),
      'normalized steps': () => cgfac({ step: normalized(), curvatureRows: 6 }),
      'self-tuning steps': () => kfac({ step: selfTuning(), curvatureRows: 6 }),
    }),
  )('%s', async (_name, make) => {
    expect(await distance({ ...kind, optimizer: make(), steps: 5 }, 4)).toBeLessThan(1e-5);
  });
});

describe('batch normalization', () => {
  const network = new Network('normalized', { seed: 2 });
  const hidden = network.activation(
    network.batchNorm(network.dense(network.input('x', [6]), 'one', 8), 'norm'),
    'tanh',
  );
  const run = {
    model: network.model(network.dense(hidden, 'two', 3)),
    ...{ loss: crossEntropy(), data: classes, optimizer: sgd({ learningRate: 0.1 }), steps: 1 },
  };

  it('normalizes by the micro-batch: gradients are the mean of those of steps of their own', async () => {
    const { tensors } = await stepped(engine, run, 3);
    const own = await Promise.all(
      [0, 8, 16].map((from) => stepped(engine, { ...run, data: slice(classes, from, from + 8) })),
    );
    for (const name of ['one.weight', 'norm.scale', 'two.bias']) {
      const of = (stepped: Stepped) => toNumbers(stepped.tensors[`parameter.${name}`] as TensorData);
      const parts = own.map(of);
      for (const [i, element] of toNumbers(tensors[`parameter.${name}`] as TensorData).entries()) {
        const mean = parts.reduce((sum, part) => sum + Number(part[i]), 0) / 3;
        expect(element).toBeCloseTo(mean, 6);
      }
    }
  });

  it('moves its running averages once a step, by mean and variance of all examples', async () => {
    const [one, other] = await both(run);
    for (const name of ['norm.mean', 'norm.variance']) {
      const [x, y] = [one, other].map(({ tensors }) => toNumbers(tensors[`statistic.${name}`] as TensorData));
      expect(x?.some((element) => Math.abs(element - 1) > 1e-3 && Math.abs(element) > 1e-3)).toBe(true);
      for (const [i, element] of (x ?? []).entries()) expect(y?.[i]).toBeCloseTo(element, 6);
    }
  });
});

describe('a run of the trainer', () => {
  const data = { train: classes, test: classes };
  const options = { engine, data, optimizer: adam(), steps: 4 };

  it('takes as many examples a step as one batch, in the same order', async () => {
    const model = dropping(3);
    const own = { ...options, engine, optimizer: kfac({ curvatureRows: 4 }), evaluateEvery: 2 };
    const [one, other] = [
      await train(model, { ...own, batchSize: 12 }),
      await train(model, { ...own, batchSize: 4, accumulate: 3 }),
    ];
    expect(other.record.batchSize).toBe(12);
    for (const [k, { epoch, loss, metrics }] of one.record.steps.entries()) {
      const step = other.record.steps[k];
      expect(step?.epoch).toBe(epoch);
      expect(step?.loss).toBeCloseTo(loss, 5);
      for (const [name, value] of Object.entries(metrics)) expect(step?.metrics[name]).toBeCloseTo(value, 5);
    }
    expect(other.warnings).toEqual(one.warnings);
  });

  it('fits the micro-batch to a small training set', async () => {
    const { record } = await train(dropping(3), { ...options, engine, accumulate: 5 });
    expect(record.batchSize).toBe(25); // all 24 examples, and a row of weight 0
  });

  it('says that memory is not that of a micro-batch if the curvature is measured on more examples', async () => {
    const own = { ...options, engine, optimizer: kfac({ curvatureRows: 12 }), batchSize: 4, accumulate: 3 };
    const { warnings } = await train(dropping(3), own);
    expect(
      warnings.filter((warning) => warning.includes('12 examples at once, more than a micro-batch of 4')),
    ).toHaveLength(1);
  });

  it('names the first tensor that is not finite, inside the micro-batches', async () => {
    const network = new Network('overflowing', { seed: 2 });
    const hidden = network.b.exp(network.b.mul(network.dense(network.input('x', [6]), 'one', 8), 1000));
    const model = network.model(network.dense(hidden, 'two', 3));
    const messageOf = async (accumulate: number): Promise<string> => {
      const own = { ...options, engine, batchSize: 12 / accumulate, accumulate };
      const error = await train(model, own).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      return String(error);
    };
    const whole = await messageOf(1);
    expect(whole).toContain("the first tensor that is not finite is 'exp', computed by a Exp node");
    expect(await messageOf(3)).toBe(whole);
  });

  it.each([
    [0, /accumulate is 0; it must be/],
    [2.5, /accumulate is 2.5/],
    [25, /accumulate is 25, and the training set has 24 examples/],
  ])('refuses %s micro-batches', async (accumulate, message) => {
    await expect(train(dropping(3), { ...options, engine, accumulate })).rejects.toThrow(message);
  });
});

it('computes the outputs of the whole batch only if something reads them', () => {
  const outputsOf = (optimizer: Optimizer): (readonly number[])[] => {
    const step = buildStep({
      ...{ model: dropping(3), loss: crossEntropy(), metric: crossEntropy().metric, optimizer, accumulate: 3 },
      ...{ setting, inputs: { dtype: 'float32', shape: [24, 6] }, targets: { dtype: 'int64', shape: [24] } },
    });
    const scans = step.graph.nodes.filter(({ op }) => op === 'Scan');
    expect(scans).toHaveLength(1);
    return scans.flatMap(({ outputs }) => outputs.map(({ dims }) => dims));
  };
  const reading: Optimizer = {
    name: 'reading',
    build({ b, forward, parameters, gradients }) {
      const size = b.mean(b.abs(forward.output));
      return new Map([...parameters].map(([name, p]) => [name, b.sub(p, b.mul(gradients.get(name) ?? p, size))]));
    },
  };
  expect(outputsOf(sgd())).not.toContainEqual([3, 8, 3]);
  expect(outputsOf(reading)).toContainEqual([3, 8, 3]);
});
