// Weights and second-order steps, end to end: whole weights are repetitions, a weight of 0 and an ignored label are absence.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exact } from '../curvature/fisher.js';
import type { Dataset } from '../data/dataset.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { crossEntropy } from '../losses/cross-entropy.js';
import type { LossWord } from '../losses/index.js';
import type { Loss } from '../losses/loss.js';
import type { Model } from '../model/model.js';
import { charTransformer } from '../nn/char-transformer.js';
import { Network } from '../nn/network.js';
import { mlp } from '../nn/zoo.js';
import type { Optimizer } from '../optimizers/optimizer.js';
import { cgfac } from '../optimizers/second-order/cgfac.js';
import { dense } from '../optimizers/second-order/factors.js';
import { kfac } from '../optimizers/second-order/kfac.js';
import { primal } from '../optimizers/second-order/primal.js';
import { scheduled } from '../optimizers/steps/scheduled.js';
import { random } from '../random.js';
import { train } from './trainer.js';

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => engine.close());

const size = 12;
const weights = Array.from({ length: size }, (_, i) => [0, 1, 3][i % 3] ?? 0);
const repeatedRows = weights.flatMap((weight, i) => new Array<number>(weight).fill(i));
const keptRows = weights.flatMap((weight, i) => (weight > 0 ? [i] : []));

/** An example of a set: numbers or tokens, and its label or labels. */
interface Kind {
  readonly model: Model;
  readonly input: { readonly dtype: 'float32' | 'int64'; readonly shape: readonly number[] };
  readonly target: { readonly dtype: 'float32' | 'int64'; readonly shape: readonly number[] };
}

const vocabulary = 5;
const pictures = (): Model => {
  const network = new Network('pictures', { seed: 4 });
  const x = network.activation(network.conv2d(network.input('image', [2, 5, 5]), 'one', 4, { kernel: 3 }), 'tanh');
  const y = network.activation(network.conv2d(x, 'two', 4, { kernel: 2, groups: 2 }), 'tanh');
  return network.model(network.dense(network.globalAveragePool(y), 'head', 3));
};
const kinds: Readonly<Record<string, Kind>> = {
  mlp: {
    model: mlp({ sizes: [6, 5, 3], seed: 2 }),
    input: { dtype: 'float32', shape: [6] },
    target: { dtype: 'int64', shape: [] },
  },
  regression: {
    model: mlp({ sizes: [6, 5, 2], seed: 2 }),
    input: { dtype: 'float32', shape: [6] },
    target: { dtype: 'float32', shape: [2] },
  },
  convolutions: {
    model: pictures(),
    input: { dtype: 'float32', shape: [2, 5, 5] },
    target: { dtype: 'int64', shape: [] },
  },
  transformer: {
    model: charTransformer({ vocabulary, context: 3, width: 4, layers: 1, heads: 2, seed: 3 }),
    input: { dtype: 'int64', shape: [3] },
    target: { dtype: 'int64', shape: [3] },
  },
};

const count = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1);

/** Rows of a drawn set; those of weight 0 have inputs that are `outlying` times as large. */
function rowsOf({ input, target }: Kind, rows: readonly number[], outlying = 1): Dataset {
  const source = random(7, 'rows');
  const drawn = ({ dtype, shape }: Kind['input'], scale: (row: number) => number, classes: number) => {
    const width = count(shape);
    const all = Array.from({ length: size * width }, (_, i) =>
      dtype === 'int64' ? source.integer(classes) : source.normal() * scale(Math.floor(i / width)),
    );
    const data = rows.flatMap((row) => all.slice(row * width, (row + 1) * width));
    return dtype === 'int64'
      ? { dtype, shape, data: Int32Array.from(data) }
      : { dtype, shape, data: Float32Array.from(data) };
  };
  const inputs = drawn(input, (row) => (weights[row] === 0 ? outlying : 1), vocabulary);
  return { name: 'drawn', size: rows.length, inputs, targets: drawn(target, () => 1, 3) };
}

const allRows = weights.map((_, i) => i);
const weighted = (set: Dataset): Dataset => ({
  ...set,
  weights: { dtype: 'float32', shape: [], data: Float32Array.from(weights) },
});

/** Damped so that iterative solves end where rounding does not show. */
const step = () => scheduled({ learningRate: 0.05, damping: 0.3, weightDecay: 0 });
const optimizers: Readonly<Record<string, () => Optimizer>> = {
  kfac: () => kfac({ fisher: exact(), curvatureRows: 1000, step: step() }),
  'cgfac with dense factors': () => cgfac({ fisher: exact(), curvatureRows: 1000, factors: dense(), step: step() }),
  'cgfac with rows of the batch': () =>
    cgfac({ fisher: exact(), curvatureRows: 1000, damping: primal(), step: step() }),
};

async function parametersAfter5(model: Model, set: Dataset, optimizer: Optimizer, loss?: Loss | LossWord) {
  const data = { train: set, test: set };
  const options = { engine, data, normalize: false, optimizer, batchSize: 1000, steps: 5, ...(loss && { loss }) };
  const { parameters, record } = await train(model, options);
  return { parameters, record };
}

/** The largest difference of parameters, and how far they came. */
async function difference(
  model: Model,
  make: () => Optimizer,
  sets: readonly [Dataset, Dataset],
  losses: readonly (Loss | undefined)[] = [],
) {
  const [one, other] = [
    await parametersAfter5(model, sets[0], make(), losses[0]),
    await parametersAfter5(model, sets[1], make(), losses[1] ?? losses[0]),
  ];
  let [largest, moved] = [0, 0];
  for (const [name, { data }] of one.parameters) {
    for (let i = 0; i < data.length; i++) {
      largest = Math.max(largest, Math.abs(Number(data[i]) - Number(other.parameters.get(name)?.data[i])));
      moved = Math.max(moved, Math.abs(Number(data[i]) - Number(model.parameters.get(name)?.constant?.data[i])));
    }
  }
  expect(moved).toBeGreaterThan(1e-2);
  return largest;
}

describe.each(Object.entries(optimizers))('%s', (_, make) => {
  it.each(Object.entries(kinds))('whole weights are repetitions: %s', async (_name, kind) => {
    const sets = [weighted(rowsOf(kind, allRows)), rowsOf(kind, repeatedRows)] as const;
    expect(await difference(kind.model, make, sets)).toBeLessThan(1e-5);
  });

  it('rows of weight 0 do not count, however large they are', async () => {
    const kind = kinds.mlp as Kind;
    const once = (set: Dataset, rows: readonly number[]): Dataset => ({
      ...set,
      weights: { dtype: 'float32', shape: [], data: Float32Array.from(rows, (row) => Math.min(1, weights[row] ?? 0)) },
    });
    const sets = [once(rowsOf(kind, allRows, 1e4), allRows), rowsOf(kind, keptRows)] as const;
    expect(await difference(kind.model, make, sets)).toBeLessThan(1e-5);
  });

  it('ignored rows do not count, and class weights weigh as those of examples', async () => {
    const kind = kinds.mlp as Kind;
    const all = rowsOf(kind, allRows, 1e4);
    const labels = Int32Array.from(all.targets.data as Int32Array, (label, i) => (weights[i] === 0 ? -100 : label));
    const ignored: Dataset = { ...all, targets: { dtype: 'int64', shape: [], data: labels } };
    const loss = crossEntropy({ ignoreIndex: -100 });
    expect(await difference(kind.model, make, [ignored, rowsOf(kind, keptRows)], [loss])).toBeLessThan(1e-5);
    const plain = rowsOf(kind, allRows);
    const own = [1, 3, 0.5];
    const byClass = Float32Array.from(plain.targets.data as Int32Array, (label) => own[label] ?? 0);
    const given: Dataset = { ...plain, weights: { dtype: 'float32', shape: [], data: byClass } };
    const losses = [crossEntropy(), crossEntropy({ classWeights: own })];
    expect(await difference(kind.model, make, [given, plain], losses)).toBeLessThan(1e-5);
  });

  it('ignored positions of a sequence count in no layer with a row for each position', async () => {
    // A layer for each position: what is ignored can be left out.
    const network = new Network('positions', { seed: 5 });
    const hidden = network.activation(network.dense(network.input('x', [3, 4]), 'one', 4), 'tanh');
    const kind: Kind = {
      model: network.model(network.dense(hidden, 'two', 3)),
      input: { dtype: 'float32', shape: [3, 4] },
      target: { dtype: 'int64', shape: [3] },
    };
    const set = rowsOf(kind, allRows);
    const labels = Int32Array.from(set.targets.data as Int32Array, (label, i) => (i % 3 === 1 ? -100 : label));
    const inputs = set.inputs as Dataset['inputs'] & { readonly data: Float32Array };
    const keep = (i: number): boolean => Math.floor(i / 4) % 3 !== 1;
    const padded: Dataset = {
      ...set,
      inputs: { dtype: 'float32', shape: [3, 4], data: inputs.data.map((x, i) => (keep(i) ? x : 100 * x)) },
      targets: { dtype: 'int64', shape: [3], data: labels },
    };
    const short = new Network('positions', { seed: 5 });
    const shortHidden = short.activation(short.dense(short.input('x', [2, 4]), 'one', 4), 'tanh');
    const shortModel = short.model(short.dense(shortHidden, 'two', 3));
    const without: Dataset = {
      ...set,
      inputs: { dtype: 'float32', shape: [2, 4], data: inputs.data.filter((_, i) => keep(i)) },
      targets: { dtype: 'int64', shape: [2], data: labels.filter((label) => label >= 0) },
    };
    const loss = crossEntropy({ ignoreIndex: -100 });
    const [one, other] = [
      await parametersAfter5(kind.model, padded, make(), loss),
      await parametersAfter5(shortModel, without, make(), loss),
    ];
    for (const [name, { data }] of one.parameters) {
      for (let i = 0; i < data.length; i++) {
        expect(Math.abs(Number(data[i]) - Number(other.parameters.get(name)?.data[i]))).toBeLessThan(1e-5);
      }
    }
  });
});
