// RAdam (Liu et al. 2020, arXiv 1908.03265, algorithm 2): Adam that uses its average of squares once it is reliable.
import { checkKeys } from '../options.js';
import { type AdamOptions, adamKeys } from './adam.js';
import { type Chain, namedChain } from './chain.js';
import { addDecayedWeights } from './transforms/decay.js';
import { scaleByLearningRate } from './transforms/learning-rate.js';
import { average, checkedMoments, type MomentsOptions } from './transforms/moments.js';
import type { Transform } from './transforms/updates.js';

/**
 * Return RAdam; its learning rate is 0.001 by default, its weight decay 0.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = radam({ learningRate: 0.003 });
 */
export function radam(options: AdamOptions = {}): Chain {
  checkKeys('radam', options, adamKeys);
  const { learningRate = 1e-3, weightDecay = 0, ...moments } = options;
  return namedChain('radam', scaleByRadam(moments), addDecayedWeights(weightDecay), scaleByLearningRate(learningRate));
}

/**
 * Return the transform `u ← r·m̂/√v̂` once the average of squares is as reliable as one of more than 5 squares, and `u ← m̂`
 * before.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * chain(scaleByRadam(), scaleByLearningRate(0.003));
 */
export function scaleByRadam(options: MomentsOptions = {}): Transform {
  const { beta1, beta2, epsilon } = checkedMoments('scaleByRadam', options);
  /** r²·(1 − β₂ᵗ), or undefined if the length ρₜ of the average is at most 5. */
  const rectified = (t: number): number | undefined => {
    const most = 2 / (1 - beta2) - 1;
    const length = most - (2 * t * beta2 ** t) / (1 - beta2 ** t);
    if (length <= 5) return undefined;
    return ((1 - beta2 ** t) * (length - 4) * (length - 2) * most) / ((most - 4) * (most - 2) * length);
  };
  const rectification = {
    name: 'rectification',
    at: (_: number, kept: number) => Math.sqrt(rectified(kept + 1) ?? 1) / (1 - beta1 ** (kept + 1)),
  };
  return ({ b, scalar, state }, updates) => {
    // The denominator is √v + ε in rectified steps, and 0·√v + 1 before.
    const rootShare = scalar('rootShare', (_, kept) => (rectified(kept + 1) === undefined ? 0 : 1));
    const rest = scalar('rootRest', (_, kept) => (rectified(kept + 1) === undefined ? 1 : epsilon));
    return updates
      .map((update, name, { dims }) => {
        const numerator = state(`mean.${name}`, dims, (old) => average(b, old, update, beta1));
        const square = state(`square.${name}`, dims, (old) => average(b, old, b.square(update), beta2));
        return { numerator, denominator: b.add(b.mul(b.sqrt(square), rootShare), rest) };
      })
      .times(rectification);
  };
}
