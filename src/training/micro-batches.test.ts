// Steps in micro-batches against steps in one piece: the same numbers but for the order of sums.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Stepped, type SteppedRun, stepped } from '../../test/support/step-run.js';
import { chooseOptimizer, optimizerNames } from '../cli/optimizers.js';
import { empirical, exact } from '../curvature/fisher.js';
import { type Dataset, dataset } from '../data/dataset.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { toNumbers } from '../graph/tensor.js';
import { crossEntropy } from '../losses/cross-entropy.js';
import type { Model } from '../model/model.js';
import { Network } from '../nn/network.js';
import type { Optimizer } from '../optimizers/optimizer.js';
import { cgfac } from '../optimizers/second-order/cgfac.js';
import { kfac } from '../optimizers/second-order/kfac.js';
import { normalized } from '../optimizers/steps/normalized.js';
import { selfTuning } from '../optimizers/steps/self-tuning.js';
import { random } from '../random.js';

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => engine.close());

/** 24 examples of 6 numbers, with labels of 3 classes or 2 numbers as targets. */
function drawn(targets: 'labels' | 'values', shape: readonly number[] = [6]): Dataset {
  const source = random(5, 'examples');
  const fill = (length: number, draw: () => number) => Array.from({ length }, draw);
  const width = shape.reduce((x, y) => x * y, 1);
  return dataset({
    name: 'drawn',
    size: 24,
    inputs: { dtype: 'float32', shape, data: Float32Array.from(fill(24 * width, () => source.normal())) },
    targets:
      targets === 'labels'
        ? { dtype: 'int64', shape: [], data: Int32Array.from(fill(24, () => source.integer(3))) }
        : { dtype: 'float32', shape: [2], data: Float32Array.from(fill(48, () => source.normal())) },
  });
}

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

const setting = { loss: crossEntropy(), examples: 24, batchSize: 24, isTable: true, isPretrained: false };
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
    const run = { model: dropping(3), loss: crossEntropy(), data: drawn('labels'), optimizer: make(), steps: 6 };
    const found = await distance(run);
    if (!sensitive.includes(name)) expect(found).toBeLessThan(1e-5);
  });
});
