// Sophia-G's estimate of the diagonal Hessian against a formula, when it is taken, and what it refuses.
import { expect, test } from 'vitest';
import type { Numbers } from '../../test/support/declared-step.js';
import { at } from '../../test/support/dense.js';
import { denseNetwork, examplesFor } from '../../test/support/dense-network.js';
import { signs, stepOnce } from '../../test/support/optimizer-step.js';
import { manyExamples } from '../../test/support/setting.js';
import { OptionError } from '../errors.js';
import { hinge } from '../losses/hinge.js';
import { mlp } from '../nn/zoo.js';
import { random } from '../random.js';
import { buildStep } from '../training/step-program.js';
import type { Optimizer } from './optimizer.js';
import { sophiaG } from './sophia.js';

/** In linear layers, with draws of ±1 for one example, the estimate has no variance. */
const network = denseNetwork([3, 2], { outputsFirst: false, hasBias: false, activation: 'linear', seed: 3 });
const examples = examplesFor(network, 'mean-squared-error', 1, random(4));

const stepped = (optimizer: Optimizer, step = 0, state: Numbers = {}) =>
  stepOnce({ network, loss: 'mean-squared-error', examples, optimizer, step, state, noise: signs(step) });

test('the estimate is the diagonal Hessian of the loss itself, in the units of the loss', async () => {
  const optimizer = sophiaG({ hessianInterval: 1, beta2: 0.9 });
  const { state } = await stepped(optimizer);
  // The mean of (z − y)² over two outputs has the second derivative x² by a weight.
  const inputs = [0, 1, 2].map((i) => at(examples.inputs, 0, i));
  const expected = inputs.flatMap((x) => [x, x]).map((x) => 0.1 * x * x);
  for (const [i, value] of expected.entries()) expect(state['hessian.layer0.weight']?.[i]).toBeCloseTo(value, 14);
});

test('it is taken every few steps, and kept in between', async () => {
  const optimizer = sophiaG({ hessianInterval: 3 });
  let state: Numbers = {};
  const kept: (readonly number[])[] = [];
  for (let step = 0; step < 6; step++) {
    const outcome = await stepped(optimizer, step, state);
    state = outcome.state;
    kept.push(outcome.state['hessian.layer0.weight'] ?? []);
  }
  expect(kept[1]).toEqual([0, 0, 0, 0, 0, 0]);
  expect(kept[2]?.every((x) => x > 0)).toBe(true);
  expect(kept[4]).toEqual(kept[2]);
  expect(kept[5]).not.toEqual(kept[2]);
});

test('steps without an estimate are signs, and none is longer than the rate', async () => {
  const optimizer = sophiaG({ learningRate: 0.01, weightDecay: 0 });
  const outcome = await stepped(optimizer);
  const [before, after, gradient] = [network.layers[0], outcome.network.layers[0], outcome.gradients[0]];
  for (let k = 0; k < 6; k++) {
    const change = (after?.data[k] ?? 0) - (before?.data[k] ?? 0);
    expect(change).toBeCloseTo(-0.01 * Math.sign(gradient?.data[k] ?? 0), 12);
  }
});

test('a loss without a likelihood is refused', () => {
  const loss = hinge();
  const build = () =>
    buildStep({
      model: mlp({ seed: 1, sizes: [3, 2] }),
      loss,
      metric: loss.metric,
      optimizer: sophiaG(),
      setting: manyExamples(loss),
      inputs: { dtype: 'float32', shape: [4, 3] },
      targets: loss.targetType({ dtype: 'float32', shape: [4, 2] }),
    });
  expect(build).toThrow(OptionError);
  expect(build).toThrow('sophiaG draws targets from the likelihood of a loss, and hinge has none');
});
