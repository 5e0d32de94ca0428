// The scheduled step around a known natural gradient: KL clip, momentum on steps, decoupled weight decay, schedules.
import { describe, expect, test } from 'vitest';
import {
  generate,
  type Matrix,
  minus,
  multiplied,
  plus,
  relativeError,
  scaled,
  trace,
  transposed,
} from '../../../test/support/dense.js';
import { type DenseNetwork, denseNetwork, examplesFor } from '../../../test/support/dense-network.js';
import { type Numbers, stepOnce } from '../../../test/support/optimizer-step.js';
import { manyExamples } from '../../../test/support/setting.js';
import type { LossWord } from '../../losses/index.js';
import { random } from '../../random.js';
import type { Optimizer } from '../optimizer.js';
import { cgfac } from '../second-order/cgfac.js';
import type { SecondOrderOptions } from '../second-order/second-order.js';

const network = denseNetwork([5, 4, 3], { outputsFirst: false, hasBias: true, activation: 'tanh', seed: 50 });
const bareOptions = { momentum: 0, klClip: 0, fisher: 'empirical' } as const;
const inner = (x: readonly Matrix[], y: readonly Matrix[]): number =>
  x.reduce((sum, part, i) => sum + trace(multiplied(transposed(part), y[i] ?? part)), 0);

/** The natural gradient of each step: what an optimizer without momentum, clip and decay subtracts at rate 1. */
function naturalGradients(make: (options: SecondOrderOptions) => Optimizer, damping: number) {
  const optimizer = make({ ...bareOptions, learningRate: 1, damping });
  return async (at: DenseNetwork, loss: LossWord, examples: ReturnType<typeof examplesFor>) => {
    const outcome = await stepOnce({
      network: at,
      loss,
      examples,
      optimizer,
      controller: optimizer.controller(manyExamples(loss)),
      step: 0,
    });
    const scale = loss === 'mean-squared-error' ? 3 / 2 : 1; // of the likelihood by the reported mean
    return {
      directions: at.layers.map((layer, i) => minus(layer, outcome.network.layers[i] ?? layer)),
      gradient: outcome.gradients.map((part) => scaled(part, scale)),
    };
  };
}

const batchAlone = (options: SecondOrderOptions): Optimizer => cgfac({ ...options, decay: 0, rank: 8 });

describe.each(['softmax-cross-entropy', 'mean-squared-error'] as const)('%s', (loss) => {
  test.each([
    ['a clip that binds', { klClip: 1e-4 }],
    ['a clip that does not', { klClip: 1e6 }],
    ['no clip', { klClip: 0 }],
    ['weight decay', { klClip: 1e-3, weightDecay: 0.1 }],
    ['momentum', { klClip: 1e-3, momentum: 0.7, weightDecay: 0.02 }],
  ] as const)('%s', async (name, options) => {
    const rates = (step: number) => 0.4 / (step + 1);
    const dampings = (step: number) => 0.1 * (step + 1);
    const optimizer = batchAlone({
      fisher: 'empirical',
      momentum: 0,
      ...options,
      learningRate: rates,
      damping: dampings,
    });
    const controller = optimizer.controller(manyExamples(loss));
    const source = random(51);
    let current = network;
    let state: Numbers = {};
    let velocity = network.layers.map(({ rows, columns }) => generate(rows, columns, () => 0));
    const clips: number[] = [];
    for (let step = 0; step < 3; step++) {
      const examples = examplesFor(current, loss, 6, source);
      const outcome = await stepOnce({ network: current, loss, examples, optimizer, controller, step, state });
      const { directions, gradient } = await naturalGradients(batchAlone, dampings(step))(current, loss, examples);
      const rate = rates(step);
      const clip =
        options.klClip > 0 ? Math.min(1, Math.sqrt(options.klClip / (rate ** 2 * inner(directions, gradient)))) : 1;
      clips.push(clip);
      const momentum = 'momentum' in options ? options.momentum : 0;
      const decay = 'weightDecay' in options ? options.weightDecay : 0;
      velocity = velocity.map((old, i) => plus(scaled(old, momentum), scaled(directions[i] ?? old, -rate * clip)));
      for (const [i, layer] of outcome.network.layers.entries()) {
        const expected = plus(scaled(current.layers[i] ?? layer, 1 - rate * decay), velocity[i] ?? layer);
        expect(relativeError(layer, expected)).toBeLessThan(1e-12);
      }
      expect(outcome.diagnostics.klClip).toBeCloseTo(clip, 10);
      expect(outcome.diagnostics.learningRate).toBeCloseTo(rate, 12);
      expect(outcome.diagnostics.damping).toBeCloseTo(dampings(step), 12);
      ({ network: current, state } = outcome);
    }
    if (name === 'a clip that binds') expect(Math.max(...clips)).toBeLessThan(1);
    if (name === 'a clip that does not') expect(clips).toEqual([1, 1, 1]);
  });
});
