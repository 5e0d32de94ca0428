// The scheduled step around a known natural gradient: KL clip, momentum on steps, decoupled weight decay, schedules.
import { describe, expect, test } from 'vitest';
import type { Numbers } from '../../../test/support/declared-step.js';
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
import { stepOnce } from '../../../test/support/optimizer-step.js';
import { empirical } from '../../curvature/fisher.js';
import type { LossWord } from '../../losses/index.js';
import { random } from '../../random.js';
import type { Optimizer } from '../optimizer.js';
import { at } from '../schedules.js';
import { cgfac } from '../second-order/cgfac.js';
import { sketches } from '../second-order/factors.js';
import { type ScheduledOptions, scheduled } from './scheduled.js';

const network = denseNetwork([5, 4, 3], { outputsFirst: false, hasBias: true, activation: 'tanh', seed: 50 });
/** Of this batch alone. */
const stepping = (options: ScheduledOptions): Optimizer =>
  cgfac({ step: scheduled(options), fisher: empirical(), factors: sketches({ decay: 0, rank: 8 }) });
const inner = (x: readonly Matrix[], y: readonly Matrix[]): number =>
  x.reduce((sum, part, i) => sum + trace(multiplied(transposed(part), y[i] ?? part)), 0);

/** The natural gradient of each step: what an optimizer without momentum, clip and decay subtracts at rate 1. */
function naturalGradients(damping: number) {
  const optimizer = stepping({ momentum: 0, klClip: 0, learningRate: 1, damping });
  return async (at: DenseNetwork, loss: LossWord, examples: ReturnType<typeof examplesFor>) => {
    const outcome = await stepOnce({
      network: at,
      loss,
      examples,
      optimizer,
      step: 0,
    });
    const scale = loss === 'mean-squared-error' ? 3 / 2 : 1; // of the likelihood by the reported mean
    return {
      directions: at.layers.map((layer, i) => minus(layer, outcome.network.layers[i] ?? layer)),
      gradient: outcome.gradients.map((part) => scaled(part, scale)),
    };
  };
}

describe.each(['softmax-cross-entropy', 'mean-squared-error'] as const)('%s', (loss) => {
  test.each([
    ['a clip that binds', { klClip: 1e-4 }],
    ['a clip that does not', { klClip: 1e6 }],
    ['no clip', { klClip: 0 }],
    ['weight decay', { klClip: 1e-3, weightDecay: 0.1 }],
    ['momentum', { klClip: 1e-3, momentum: 0.7, weightDecay: 0.02 }],
    [
      'schedules of all numbers',
      {
        klClip: (step: number) => 1e-4 * (step + 1),
        momentum: (step: number) => 0.3 * step,
        weightDecay: (step: number) => 0.02 * (step + 1),
      },
    ],
  ] as const)('%s', async (name, options) => {
    const rates = (step: number) => 0.4 / (step + 1);
    const dampings = (step: number) => 0.1 * (step + 1);
    const optimizer = stepping({
      momentum: 0,
      ...options,
      learningRate: rates,
      damping: dampings,
    });
    const source = random(51);
    let current = network;
    let state: Numbers = {};
    let velocity = network.layers.map(({ rows, columns }) => generate(rows, columns, () => 0));
    const clips: number[] = [];
    for (let step = 0; step < 3; step++) {
      const examples = examplesFor(current, loss, 6, source);
      const outcome = await stepOnce({ network: current, loss, examples, optimizer, step, state });
      const { directions, gradient } = await naturalGradients(dampings(step))(current, loss, examples);
      const rate = rates(step);
      const bound = at(options.klClip, step);
      const clip = bound > 0 ? Math.min(1, Math.sqrt(bound / (rate ** 2 * inner(directions, gradient)))) : 1;
      clips.push(clip);
      const momentum = at('momentum' in options ? options.momentum : 0, step);
      const decay = at('weightDecay' in options ? options.weightDecay : 0, step);
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
