// An optimizer of a user's own, from public parts alone: Lion in 20 lines, as an optimizer and as a transform of a chain.
import { expect, test } from 'vitest';
import {
  addDecayedWeights,
  chain,
  cosine,
  lion,
  type Optimizer,
  type Schedule,
  scaleByLearningRate,
  type Transform,
} from '../src/index.js';
import { drawnDigits, lenet, nodeEngine, train } from '../src/node.js';
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
