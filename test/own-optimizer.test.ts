// Optimizers of a user's own, from public parts alone: Lion in 20 lines, as an optimizer and as a transform of a chain, and
// Muon, whose matrices are another optimizer's than the rest.
import { expect, test } from 'vitest';
import {
  adamw,
  addDecayedWeights,
  type Builder,
  chain,
  cosine,
  isMatrix,
  lion,
  muon,
  type Optimizer,
  partition,
  type Schedule,
  scaleByLearningRate,
  type Transform,
  type Value,
} from '../src/index.js';
import { drawnDigits, lenet, mlp, nodeEngine, train } from '../src/node.js';
import { largestDifference, replayed, traceNamed } from './support/optimizer-trace.js';

const average = 0.9;
const memory = 0.99;

const ownLion = (learningRate: Schedule, weightDecay: number): Optimizer => ({
  name: 'own-lion',
  build({ b, parameters, gradients, scalar, state, report }) {
    const rate = scalar('learningRate', learningRate);
    report('learningRate', rate);
    const next = new Map(parameters);
    for (const [name, parameter] of parameters) {
      const gradient = gradients.get(name);
      if (!gradient) continue;
      let direction = gradient;
      state(`momentum.${name}`, parameter.dims, (old) => {
        direction = b.sign(b.add(b.mul(old, average), b.mul(gradient, 1 - average)));
        return b.add(b.mul(old, memory), b.mul(gradient, 1 - memory));
      });
      const kept = b.mul(parameter, b.sub(1, b.mul(rate, weightDecay)));
      next.set(name, b.sub(kept, b.mul(direction, rate)));
    }
    return next;
  },
});

const scaleByOwnLion: Transform = ({ b, state }, updates) =>
  updates.map((update, name, { dims }) => {
    let direction = update;
    state(`momentum.${name}`, dims, (old) => {
      direction = b.sign(b.add(b.mul(old, average), b.mul(update, 1 - average)));
      return b.add(b.mul(old, memory), b.mul(update, 1 - memory));
    });
    return direction;
  });

const optimizers: Readonly<Record<string, (learningRate: Schedule, weightDecay: number) => Optimizer>> = {
  'an optimizer': ownLion,
  'a transform': (learningRate, weightDecay) =>
    chain(scaleByOwnLion, addDecayedWeights(weightDecay), scaleByLearningRate(learningRate)),
};

for (const [name, make] of Object.entries(optimizers)) {
  test(`${name} of one's own follows the trace of Lion`, async () => {
    const trace = traceNamed('lion-mlp');
    expect(largestDifference(trace, await replayed(trace, make(0.003, 0.1), 'float64'))).toBeLessThan(1e-13);
  });

  test(`${name} of one's own trains as lion() does, bit for bit`, async () => {
    const data = drawnDigits({ trainSize: 100, testSize: 20, seed: 1 });
    const trained = async (optimizer: Optimizer) => {
      const engine = await nodeEngine({ threads: 1 });
      const result = await train(lenet({ seed: 1 }), { engine, data, optimizer, steps: 3, batchSize: 20, seed: 1 });
      await engine.close();
      return result.parameters;
    };
    const learningRate = cosine(0.001, 3);
    const own = await trained(make(learningRate, 0.1));
    expect(own).toEqual(await trained(lion({ learningRate, weightDecay: 0.1 })));
  });
}

/** X ← aX + (bA + cA²)X with A = XXᵀ, five times. */
function orthogonal(b: Builder, matrix: Value): Value {
  let x = b.div(matrix, b.add(b.sqrt(b.sum(b.square(matrix))), 1e-7));
  for (let i = 0; i < 5; i++) {
    const a = b.matmul(x, b.transpose(x));
    const polynomial = b.add(b.mul(a, -4.775), b.mul(b.matmul(a, a), 2.0315));
    x = b.add(b.mul(x, 3.4445), b.matmul(polynomial, x));
  }
  return x;
}

const scaleByOwnMuon: Transform = ({ b, state }, updates) =>
  updates.map((update, name, { dims: [inputs = 1, outputs = 1] }) => {
    const mean = state(`momentum.${name}`, [inputs, outputs], (old) =>
      b.add(b.mul(old, 0.95), b.mul(update, 1 - 0.95)),
    );
    const ahead = b.add(b.mul(update, 1 - 0.95), b.mul(mean, 0.95));
    return b.mul(orthogonal(b, ahead), Math.sqrt(Math.max(1, outputs / inputs)));
  });

test("Muon of one's own trains as muon() does", async () => {
  const data = drawnDigits({ trainSize: 100, testSize: 20, seed: 1 });
  const rest = adamw({ learningRate: 0.001 });
  const own = partition([
    [isMatrix, chain(scaleByOwnMuon, scaleByLearningRate(0.02))],
    ['*', rest],
  ]);
  const model = mlp({ sizes: [784, 20, 10], seed: 1 });
  const [found, expected] = await Promise.all(
    [own, muon({ learningRate: 0.02, rest })].map(async (optimizer) => {
      const { parameters } = await train(model, { data, optimizer, steps: 4, batchSize: 20, seed: 1, threads: 1 });
      return parameters;
    }),
  );
  for (const [name, { data: elements }] of expected ?? []) {
    const moved = Array.from(elements as Float32Array, (element, i) =>
      Math.abs(element - Number(model.parameters.get(name)?.constant?.data[i])),
    );
    expect(Math.max(...moved), name).toBeGreaterThan(1e-3);
    for (const [i, element] of Array.from(elements as Float32Array).entries()) {
      expect(Number(found?.get(name)?.data[i]), name).toBeCloseTo(element, 5);
    }
  }
});
