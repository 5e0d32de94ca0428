// AdaMax (Kingma & Ba 2015, algorithm 2): Adam with the largest recent gradient in place of the root mean square.
import { checkKeys } from '../options.js';
import { type AdamOptions, adamKeys } from './adam.js';
import { type Chain, namedChain } from './chain.js';
import { addDecayedWeights } from './transforms/decay.js';
import { scaleByLearningRate } from './transforms/learning-rate.js';
import { average, checkedMoments, type MomentsOptions } from './transforms/moments.js';
import type { StepNumber, Transform } from './transforms/updates.js';

/**
 * Return AdaMax; its learning rate is 0.002 by default, its weight decay 0.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = adamax({ learningRate: 0.002 });
 */
export function adamax(options: AdamOptions = {}): Chain {
  checkKeys('adamax', options, adamKeys);
  const { learningRate = 2e-3, weightDecay = 0, ...moments } = options;
  return namedChain(
    'adamax',
    scaleByAdamax(moments),
    addDecayedWeights(weightDecay),
    scaleByLearningRate(learningRate),
  );
}

/**
 * Return the transform `s ← max(β₂s, |u| + ε); u ← m̂/s`, m̂ being the average of u without bias (ε inside, as PyTorch has it).
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * chain(scaleByAdamax(), scaleByLearningRate(0.002));
 */
export function scaleByAdamax(options: MomentsOptions = {}): Transform {
  const { beta1, beta2, epsilon } = checkedMoments('scaleByAdamax', options);
  const meanCorrection: StepNumber = { name: 'meanCorrection', at: (_, kept) => 1 - beta1 ** (kept + 1) };
  return ({ b, state }, updates) =>
    updates
      .map((update, name, { dims }) => ({
        numerator: state(`mean.${name}`, dims, (old) => average(b, old, update, beta1)),
        denominator: state(`largest.${name}`, dims, (old) => b.max(b.mul(old, beta2), b.add(b.abs(update), epsilon))),
      }))
      .over(meanCorrection);
}
