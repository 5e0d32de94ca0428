// Recurrent networks learn to remember, by optimizers of first and second order, with the same bits on one thread and two.
import { expect, test } from 'vitest';
import { dataset } from '../src/data/dataset.js';
import { nodeEngine } from '../src/engine/node.js';
import { webEngine } from '../src/engine/web.js';
import { Network } from '../src/nn/network.js';
import { adam } from '../src/optimizers/adam.js';
import type { Optimizer } from '../src/optimizers/optimizer.js';
import { cgfac } from '../src/optimizers/second-order/cgfac.js';
import { kfac } from '../src/optimizers/second-order/kfac.js';
import { normalized } from '../src/optimizers/steps/normalized.js';
import { selfTuning } from '../src/optimizers/steps/self-tuning.js';
import { random } from '../src/random.js';
import { train } from '../src/training/trainer.js';

const length = 8;

/** Sequences of signs; the class is the sign at the first position, which the others say nothing of. */
function memory(size: number, seed: number) {
  const source = random(seed, 'memory');
  const data = Float32Array.from({ length: size * length }, () => (source.uniform() < 0.5 ? -1 : 1));
  return dataset({
    name: 'memory',
    size,
    inputs: { dtype: 'float32', shape: [length, 1], data },
    targets: {
      dtype: 'int64',
      shape: [],
      data: Int32Array.from({ length: size }, (_, i) => Number(data[i * length] === 1)),
    },
    classes: ['minus', 'plus'],
  });
}

const data = { train: memory(256, 1), test: memory(128, 2) };

function model(kind: 'lstm' | 'gru' | 'rnn', direction: 'forward' | 'bidirectional' = 'forward') {
  const network = new Network(kind, { seed: 4 });
  const { last } = network[kind](network.input('x', [length, 1]), 'layer', { hidden: 12, direction });
  return network.model(network.dense(last, 'head', 2));
}

/** The default's rate is for longer runs. */
const quick = normalized({ learningRate: 0.005 });
const optimizers: readonly (readonly [string, () => Optimizer])[] = [
  ['adam', () => adam({ learningRate: 0.02 })],
  ['kfac', () => kfac({ step: quick })],
  ['cgfac', () => cgfac({ step: quick })],
  ['cgfac, self-tuning', () => cgfac({ step: selfTuning() })],
];

test.each(optimizers)('an LSTM remembers the first of eight signs: %s', async (_, optimizer) => {
  const engine = await nodeEngine({ worker: false, threads: 1 });
  try {
    const { record } = await train(model('lstm'), {
      ...{ engine, data, optimizer: optimizer(), batchSize: 64, steps: 60, seed: 3 },
    });
    expect(record.steps[0]?.loss).toBeGreaterThan(0.6);
    expect(record.test.loss).toBeLessThan(0.3);
  } finally {
    await engine.close();
  }
});

test.each([
  ['a GRU of both directions', () => model('gru', 'bidirectional')],
  ['an RNN', () => model('rnn')],
])('%s learns by cgfac, with the same bits on two threads', async (_, make) => {
  const outcomes = [];
  for (const threads of [1, 2]) {
    const engine = await nodeEngine({ worker: false, threads });
    try {
      const { parameters, record } = await train(make(), {
        ...{ engine, data, optimizer: cgfac({ step: quick }), batchSize: 64, steps: 20, seed: 3 },
      });
      expect(record.test.loss).toBeLessThan(0.9 * (record.steps[0]?.loss ?? 0));
      outcomes.push({ parameters, losses: record.steps.map(({ loss }) => loss), test: record.test });
    } finally {
      await engine.close();
    }
  }
  expect(outcomes[1]).toEqual(outcomes[0]);
});

test('a GRU learns on wasm what it learns natively', async () => {
  const losses = [];
  for (const engine of [
    await nodeEngine({ worker: false, threads: 1 }),
    await webEngine({ provider: 'wasm', threads: 1 }),
  ]) {
    const options = { engine, data, optimizer: cgfac({ step: quick }), batchSize: 64, steps: 3, seed: 3 };
    losses.push((await train(model('gru', 'bidirectional'), options)).record.test.loss);
    await engine.close();
  }
  const [native = Number.NaN, wasm = Number.NaN] = losses;
  expect(Math.abs(wasm / native - 1)).toBeLessThan(1e-4);
});
