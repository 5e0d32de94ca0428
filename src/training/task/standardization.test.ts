// Tables are trained standardized inside the model: the run does not depend on the units of columns and targets, and all
// that is reported and predicted is in the units of the data.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runOnnx } from '../../../test/support/onnx-models.js';
import { loadModel, saveModel } from '../../api/load-save.js';
import { type DataSplits, type Dataset, dataset, onlyInput } from '../../data/dataset.js';
import { slice } from '../../data/views.js';
import type { Engine } from '../../engine/engine.js';
import { nodeEngine } from '../../engine/node.js';
import { GraphError, OptionError } from '../../errors.js';
import { tensorFrom } from '../../graph/tensor.js';
import { lossOf } from '../../losses/index.js';
import { normalizationOf, withNormalization } from '../../model/edit/normalize.js';
import { targetNormalizationOf, withTargetNormalization } from '../../model/edit/target-normalization.js';
import type { Model } from '../../model/model.js';
import { mlp } from '../../nn/zoo.js';
import { adam } from '../../optimizers/adam.js';
import type { Optimizer } from '../../optimizers/optimizer.js';
import { cgfac } from '../../optimizers/second-order/cgfac.js';
import { kfac } from '../../optimizers/second-order/kfac.js';
import { sgd } from '../../optimizers/sgd.js';
import { random } from '../../random.js';
import { type TrainingResult, type TrainOptions, train } from '../trainer.js';
import { remarks } from '../verdict.js';
import { standardizedTask } from './standardization.js';

const [size, columns] = [64, 4];

/**
 * Inputs of mean 0 and deviation 1, and what is to be learned of them, also of about that size. Both that and its mean are
 * whole 64ths, so that also 100,000 more of them are float32 numbers: a mean that is rounded shifts the standardized
 * targets, and the smallest shift may turn a ReLU on or off.
 */
const features = new Float32Array(size * columns);
random(1, 'features').fillNormal(features);
const wholes = Array.from({ length: size }, (_, row) => {
  const [a = 0, b = 0, c = 0] = features.subarray(columns * row);
  return Math.round(64 * (Math.sin(a) + 0.5 * b * c));
});
const excess = wholes.reduce((sum, whole) => sum + whole, 0) % size;
const wanted = wholes.map((whole, row) => (whole - (row === 0 ? excess : 0)) / 64);

interface Change {
  /** What becomes of an element of a column. */
  readonly feature?: (value: number, column: number) => number;
  /** What becomes of the number to learn, one or several. */
  readonly target?: (value: number) => number | readonly number[];
}

function tableOf({ feature = (x) => x, target = (y) => y }: Change = {}): Dataset {
  const rows = wanted.map((y) => [target(y)].flat());
  const width = rows[0]?.length ?? 1;
  return dataset({
    name: 'table',
    size,
    inputs: { dtype: 'float32', shape: [columns], data: features.map((x, i) => feature(x, i % columns)) },
    targets: { dtype: 'float32', shape: [width], data: Float32Array.from(rows.flat()) },
  });
}

const splits = (set: Dataset): DataSplits => ({ train: set, test: set });
const network = (outputs = 1) => mlp({ sizes: [columns, 16, outputs], seed: 1 });

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => engine.close());

const optimizers: readonly (readonly [string, () => Optimizer])[] = [
  ['adam', () => adam({ learningRate: 0.01 })],
  ['kfac', () => kfac()],
  ['cgfac', () => cgfac()],
];

function run(set: Dataset, options: Partial<TrainOptions> = {}, model: Model = network()): Promise<TrainingResult> {
  const usual = {
    engine,
    optimizer: adam({ learningRate: 0.01 }),
    batchSize: 16,
    steps: 50,
    seed: 1,
    evaluateEvery: 25,
  };
  return train(model, { ...usual, data: splits(set), ...options });
}

/** What the file of a trained model predicts, run without cgfac. */
async function predictions({ model, parameters }: Pick<TrainingResult, 'model' | 'parameters'>, set: Dataset) {
  if (!('data' in set.inputs)) throw new Error('a table has one input');
  const input = tensorFrom('float32', [size, columns], Array.from(set.inputs.data as Float32Array));
  const { output } = await runOnnx(model.encode(parameters), { input });
  return Array.from<number | bigint, number>(output?.data ?? [], Number);
}

/** What storing a number as float32 loses at most. */
const rounding = (number: number): number => Math.abs(number) * 2 ** -24;

describe.each(optimizers)('%s', (_, optimizer) => {
  let result: TrainingResult;
  let predicted: readonly number[];
  beforeAll(async () => {
    result = await run(tableOf(), { optimizer: optimizer() });
    predicted = await predictions(result, tableOf());
    expect(result.record.train.loss).toBeLessThan(0.8 * (result.record.steps[0]?.loss ?? 0));
  });

  // Powers of two near 1e-6 … 1e6 change no digit of the targets: what differs is the method's.
  it.each([
    [-20, 0],
    [-20, -1e3],
    [-10, -1e3],
    [0, 3],
    [0, 1e5],
    [10, -1e3],
    [20, 3],
    [20, 1e5],
  ])('learns a·y + b as it learns y: a = 2^%d, b = %d·a', async (exponent, factor) => {
    const a = 2 ** exponent;
    const b = factor * a;
    const set = tableOf({ target: (y) => a * y + b });
    const other = await run(set, { optimizer: optimizer() });
    // The predictions are rounded to float32.
    const tolerance = 1e-3 + rounding(factor);
    for (const [row, y] of (await predictions(other, set)).entries()) {
      expect(Math.abs((y - b) / a - (predicted[row] ?? 0))).toBeLessThan(tolerance);
    }
    for (const [step, { loss, metrics }] of other.record.steps.entries()) {
      const expected = result.record.steps[step];
      expect(Math.abs(loss / a ** 2 / (expected?.loss ?? 0) - 1)).toBeLessThan(10 * tolerance);
      expect((metrics.squaredError ?? 0) / loss).toBeCloseTo(1, 6);
    }
    expect(Math.abs(other.record.test.loss / a ** 2 / result.record.test.loss - 1)).toBeLessThan(10 * tolerance);
  });

  it.each([
    ['times 1e-6', (x: number) => 1e-6 * x],
    ['times 1e6', (x: number) => 1e6 * x],
    ['times 1e-30', (x: number) => 1e-30 * x],
    ['times 1e30', (x: number) => 1e30 * x],
    ['shifted', (x: number) => x - 300],
    ['each in its unit', (x: number, column: number) => (x + column) * 10 ** (4 * column - 6)],
  ])('does not see the units of columns: %s', async (_unit, feature) => {
    const set = tableOf({ feature });
    const other = await run(set, { optimizer: optimizer() });
    for (const [row, y] of (await predictions(other, set)).entries()) {
      expect(Math.abs(y - (predicted[row] ?? 0))).toBeLessThan(1e-3);
    }
    expect(other.record.test.loss).toBeCloseTo(result.record.test.loss, 3);
  });
});

describe('a table', () => {
  it('is standardized by default; not where that is refused, and inputs only by given numbers', async () => {
    const set = tableOf({ target: (y) => 200_000 + 84_000 * y });
    const short = { steps: 1 };
    const { model } = await run(set, short);
    expect(normalizationOf(model)?.mean).toHaveLength(columns);
    const targets = targetNormalizationOf(model);
    expect(targets?.mean[0]).toBeCloseTo(200_000 + 84_000 * (wanted.reduce((sum, y) => sum + y, 0) / size), -1);
    const given = network();
    const bare = await run(set, { ...short, normalize: false }, given);
    expect(bare.model.graph.nodes).toHaveLength(given.graph.nodes.length);
    const by = { mean: [0], deviation: [2] };
    const partly = await run(set, { ...short, normalize: by });
    expect(normalizationOf(partly.model)).toEqual(by);
    expect(targetNormalizationOf(partly.model)).toBeUndefined();
  });

  it('reports the squared error of the file that it leaves, at every evaluation', async () => {
    const set = tableOf({ target: (y) => [1e4 * y - 5e4, 0.01 * y, 7] });
    const targets = set.targets.data;
    const result = await run(set, { steps: 20, target: { metric: 'squaredError', value: 4e7 } }, network(3));
    const predicted = await predictions(result, set);
    const sum = predicted.reduce((total, y, i) => total + (y - (targets[i] ?? 0)) ** 2, 0);
    const { train: whole, toTarget, steps } = result.record;
    expect(whole.squaredError).toBeCloseTo(sum / size, -2);
    expect((whole.squaredError ?? 0) / (sum / size)).toBeCloseTo(1, 4);
    expect(whole.loss / (sum / size / 3)).toBeCloseTo(1, 4);
    expect(steps.at(-1)?.metrics.testSquaredError).toBeCloseTo(whole.squaredError ?? 0, -2);
    expect(toTarget).not.toBeNull();
  });

  it('has its first loss in the units of its last one: what ends worse than it began is warned of', async () => {
    const set = tableOf({ target: (y) => 200_000 + 84_000 * y });
    const whole = { batchSize: size, steps: 4 };
    const still = await run(set, { ...whole, optimizer: sgd({ learningRate: 1e-12, momentum: 0 }) });
    for (const { loss } of still.record.steps) expect(loss / still.record.train.loss).toBeCloseTo(1, 5);
    expect(still.record.train.loss).toBeGreaterThan(1e9);
    expect(still.warnings).toEqual([]);
    const worse = await run(set, { ...whole, optimizer: adam({ learningRate: 3 }) });
    expect(worse.record.train.loss).toBeGreaterThan(still.record.train.loss);
    expect(worse.warnings).toEqual([
      expect.stringMatching(/^The run ends worse than it began: .*\. Take more steps\.$/),
    ]);
    expect(remarks(worse.record)).toEqual([expect.stringMatching(/^adam ends worse than it began: /)]);
    const longer = await run(set, { ...whole, steps: 10, optimizer: adam({ learningRate: 3 }) });
    expect(longer.warnings).toEqual([expect.stringMatching(/\. Lower the learning rate, or look at the data/)]);
  });

  it('gives columns of all scales equal weight, and a constant one none', async () => {
    const set = tableOf({ target: (y) => [1e4 * y, 0.01 * y, 7] });
    const predicted = await predictions(await run(set, { steps: 150 }, network(3)), set);
    for (const [column, scale] of [1e4, 0.01].entries()) {
      const errors = wanted.map((y, row) => (predicted[3 * row + column] ?? 0) / scale - y);
      expect(errors.reduce((sum, error) => sum + error ** 2, 0) / size).toBeLessThan(0.3);
    }
    for (let row = 0; row < size; row++) expect(predicted[3 * row + 2]).toBeCloseTo(7, 0);
  });

  it('may have constant columns and targets, and batches of one row', async () => {
    const set = tableOf({ feature: (x, column) => (column === 1 ? 1e9 : x), target: () => 3e8 });
    const { record, model, parameters } = await run(set, { batchSize: 1, steps: 30 });
    expect(record.train.loss).toBeLessThan(record.steps[0]?.loss ?? 0);
    for (const y of await predictions({ model, parameters }, set)) expect(Math.abs(y - 3e8)).toBeLessThan(100);
  });

  it('is left alone in models of files and such that normalize, and where the end has a range of its own', async () => {
    const set = tableOf();
    const data = splits(set);
    const by = { mean: [0], deviation: [2] };
    for (const model of [
      await loadModel(network().encode(new Map())),
      withNormalization(network(), by),
      withTargetNormalization(network(), by),
    ]) {
      expect(standardizedTask(model, data).model.graph).toBe(model.graph);
    }
    const file = standardizedTask(await loadModel(network().encode(new Map())), data, { normalize: true });
    expect(normalizationOf(file.model)).toBeDefined();
    expect(targetNormalizationOf(file.model)).toBeDefined();
    const shares = splits(tableOf({ target: (y) => 1 / (1 + Math.exp(-y)) }));
    const other = standardizedTask(network(), shares, { loss: 'sigmoid-cross-entropy' });
    expect(other.inputs).toBeDefined();
    expect(other.targets).toBeUndefined();
    expect(other.warnings).toEqual([]);
  });

  it('says that targets stay as they are, where the loss has no formula for other units', async () => {
    const { inUnits: _, ...rest } = lossOf('mean-squared-error');
    const own = { ...rest, name: 'own' };
    const told = /^The targets of 'table' are learned as they are, .*: the loss own has no inUnits\. /;
    expect((await run(tableOf(), { steps: 1, loss: own })).warnings).toEqual([expect.stringMatching(told)]);
    expect((await run(tableOf(), { steps: 1, loss: own, normalize: false })).warnings).toEqual([]);
    expect((await run(tableOf(), { steps: 1, loss: 'mean-squared-error' })).warnings).toEqual([]);
  });

  it('warns of columns whose digits float32 has lost, once for inputs and once for targets', async () => {
    const second = (x: number, column: number) => (column < 2 ? Math.fround(1.7e9 + 1000 * x) : x);
    const set = tableOf({ feature: second, target: (y) => 1e6 + 10 * y });
    const { warnings } = await run(set, { steps: 1 });
    expect(warnings).toEqual([
      expect.stringMatching(/^column 1 of the inputs of 'table' is 1700000000 ± \d+ \(and 1 more, from column 2 on\)/),
      expect.stringMatching(/^column 1 of the targets of 'table' is 1000000 ± \d/),
    ]);
    expect((await run(tableOf(), { steps: 1 })).warnings).toEqual([]);
    expect((await run(set, { steps: 1, normalize: false })).warnings).toEqual([]);
    const seconds = tableOf({ feature: (x, column) => (column === 2 ? 1.7e9 + column : x) });
    expect((await run(seconds, { steps: 1 })).warnings).toEqual([expect.stringMatching(/^column 3 .* in every row: /)]);
  });

  it('is refused where a number is missing', async () => {
    const broken = tableOf({ feature: (x, column) => (column === 2 ? Number.NaN : x) });
    await expect(run(broken)).rejects.toThrow(OptionError);
    await expect(run(broken)).rejects.toThrow(/the inputs of 'table' hold NaN in row 1, column 3/);
    await expect(run(tableOf({ target: () => Number.POSITIVE_INFINITY }))).rejects.toThrow(
      /the targets of 'table' hold Infinity in row 1, column 1/,
    );
  });

  it.each([true, false])('is refused where a number of either set is missing, normalize: %s', (normalize) => {
    const whole = tableOf();
    const second = (column: Dataset['targets'], width: number, value: number): Dataset['targets'] => {
      const data = Float32Array.from(column.data);
      data[2 * width - 1] = value;
      return { dtype: 'float32', shape: column.shape, data };
    };
    const inputs = { ...whole, name: 'broken', inputs: second(onlyInput(whole), columns, Number.NaN) };
    const targets = { ...whole, name: 'broken', targets: second(whole.targets, 1, Number.NEGATIVE_INFINITY) };
    const told = [
      [inputs, /the inputs of 'broken' hold NaN in row 2, column 4/],
      [targets, /the targets of 'broken' hold -Infinity in row 2, column 1/],
    ] as const;
    for (const [broken, message] of told) {
      for (const splits of [
        { train: whole, test: broken },
        { train: broken, test: whole },
      ]) {
        const standardize = () => standardizedTask(network(), splits, { normalize });
        expect(standardize).toThrow(OptionError);
        expect(standardize).toThrow(message);
      }
    }
    // Numbers after a part's last row are another part's.
    const first = slice(inputs, 0, 1);
    expect(() => standardizedTask(network(), { train: first, test: first }, { normalize })).not.toThrow();
  });
});

describe('the trained model', () => {
  it('is the one that is returned: the given one refuses its parameters', async () => {
    const given = network();
    const { parameters } = await run(tableOf(), { steps: 1 }, given);
    expect(() => given.with(parameters)).toThrow(GraphError);
    expect(() => given.with(parameters)).toThrow(/saveModel\(result\.model, path\)/);
  });

  it('is trained on from its file in the same units, without another normalization', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cgfac-standardization-'));
    try {
      const set = tableOf({ feature: (x) => 1e4 * x + 5e3, target: (y) => 1e-3 * y + 2 });
      const first = await run(set);
      const path = join(folder, 'model.onnx');
      await saveModel(first.model, path, { largestFile: 100 }); // with external data
      const file = await loadModel(path);
      expect([...file.parameters.keys()]).toEqual([...network().parameters.keys()]);
      expect(targetNormalizationOf(file)).toEqual(targetNormalizationOf(first.model));
      const still = sgd({ learningRate: 1e-12, momentum: 0 });
      const same = await run(set, { optimizer: still, steps: 1 }, file);
      expect(same.model.graph.nodes).toHaveLength(file.graph.nodes.length);
      expect(same.record.train.loss / first.record.train.loss).toBeCloseTo(1, 5);
      const further = await run(set, {}, file);
      expect(further.record.train.loss).toBeLessThan(first.record.train.loss);
      // Adam's steps are of the size of the standardized problem: steps of 0.01 on targets of ±0.001 would be none.
      expect(further.record.train.loss).toBeLessThan(1e-6);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
