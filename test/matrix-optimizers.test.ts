// Optimizers that treat matrices as matrices train a network with kernels, matrices and vectors; their states are what they say.
import { afterAll, expect, test } from 'vitest';
import { drawnDigits } from '../src/data/digits/digits.js';
import { nodeEngine } from '../src/engine/node.js';
import { elementCount } from '../src/graph/tensor.js';
import { Network } from '../src/nn/network.js';
import type { Optimizer } from '../src/optimizers/optimizer.js';
import { psgdKron } from '../src/optimizers/psgd-kron.js';
import { shampoo } from '../src/optimizers/shampoo.js';
import { soap } from '../src/optimizers/soap.js';
import { train } from '../src/training/trainer.js';

const engine = nodeEngine({ worker: false, threads: 1 });
afterAll(async () => (await engine).close());

const network = new Network('small', { seed: 1 });
const pooled = network.maxPool2d(network.input('input', [1, 28, 28]), { kernel: 4 });
const features = network.b.relu(network.conv2d(pooled, 'conv', 6, { kernel: 3 }));
const model = network.model(network.dense(network.b.op('Flatten', [features]), 'fc', 10));

/** Both sides of each parameter as a matrix; one of a vector. */
const sides = [...model.parameters.values()].map(({ dims: [first = 1, ...others] }) =>
  others.length === 0 ? [first] : [first, elementCount(others)],
);
const all = sides.reduce((sum, dims) => sum + elementCount(dims), 0);
const squares = (count: (dims: readonly number[]) => boolean): number =>
  sides
    .filter(count)
    .flatMap((dims) => dims.map((size) => size ** 2))
    .reduce((x, y) => x + y, 0);

const vectors = sides.filter(({ length }) => length === 1).reduce((sum, dims) => sum + elementCount(dims), 0);

/** Optimizers with the elements of their states. */
const cases: readonly (readonly [string, Optimizer, number])[] = [
  ['shampoo', shampoo({ learningRate: 0.01 }), 3 * all + 2 * squares(() => true)],
  ['soap', soap({ learningRate: 0.01 }), 2 * all + 2 * squares(({ length }) => length > 1)],
  ['psgd-kron', psgdKron({ learningRate: 0.01 }), all + squares(({ length }) => length > 1) + vectors],
];

test.each(cases)('%s', async (name, optimizer, elements) => {
  const data = drawnDigits({ trainSize: 256, testSize: 32, seed: 1 });
  const { record } = await train(model, {
    engine: await engine,
    data,
    optimizer,
    batchSize: 64,
    steps: 25,
    seed: 1,
    evaluateEvery: 25,
  });
  const [first, last] = [record.steps[0], record.steps.at(-1)];
  expect(last?.loss, name).toBeLessThan(0.75 * (first?.loss ?? 0));
  expect(record.stateBytes).toBe(4 * elements);
});
