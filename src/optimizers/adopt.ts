// ADOPT (Taniguchi et al. 2024, arXiv 2411.02853, algorithm 2 with clipping): Adam whose gradient is divided by the average of the
// squares before it. As its authors' program: the first step measures squares and moves nothing.
import { checkKeys } from '../options.js';
import { type AdamOptions, adamKeys } from './adam.js';
import { type Chain, namedChain } from './chain.js';
import { addDecayedWeights } from './transforms/decay.js';
import { scaleByLearningRate } from './transforms/learning-rate.js';
import { average, checkedMoments, type MomentsOptions } from './transforms/moments.js';
import type { StepNumber, Transform } from './transforms/updates.js';

const usual = { beta2: 0.9999, epsilon: 1e-6 } as const;

/**
 * Return ADOPT; its learning rate is 0.001 by default, β₂ 0.9999, ε 1e-6, its weight decay 0.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = adopt({ learningRate: 0.003, weightDecay: 0.01 });
 */
export function adopt(options: AdamOptions = {}): Chain {
  checkKeys('adopt', options, adamKeys);
  const { learningRate = 1e-3, weightDecay = 0, ...moments } = options;
  return namedChain(
    'adopt',
    scaleByAdopt(moments),
    addDecayedWeights(weightDecay),
    scaleByLearningRate(learningRate),
    (_, updates) => updates.times(isBegun), // nor do weights decay in the first step
  );
}

const isBegun: StepNumber = { name: 'isBegun', at: (_, kept) => (kept === 0 ? 0 : 1) };

/**
 * Return the transform `m ← β₁m + (1 − β₁)·clip(u/max(√v, ε), k^¼); u ← m; v ← β₂v + (1 − β₂)u²` at the kept step k = 0, 1, …;
 * v begins as the first u².
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * chain(scaleByAdopt(), scaleByLearningRate(0.001));
 */
export function scaleByAdopt(options: MomentsOptions = {}): Transform {
  const { beta1, beta2, epsilon } = checkedMoments('scaleByAdopt', { ...usual, ...options });
  return ({ b, scalar, state }, updates) => {
    const bound = scalar('clip', (_, kept) => kept ** 0.25);
    const keep = scalar('squareKeep', (_, kept) => (kept === 0 ? 0 : beta2));
    const take = scalar('squareTake', (_, kept) => (kept === 0 ? 1 : 1 - beta2));
    const floor = b.neg(bound);
    return updates.map((update, name, { dims }) => {
      let clipped = update;
      state(`square.${name}`, dims, (old) => {
        clipped = b.min(b.max(b.div(update, b.max(b.sqrt(old), epsilon)), floor), bound);
        return b.add(b.mul(old, keep), b.mul(b.square(update), take));
      });
      return state(`mean.${name}`, dims, (old) => average(b, old, clipped, beta1));
    });
  };
}
