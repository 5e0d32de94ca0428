// LAMB (You et al. 2020, arXiv 1904.00962, algorithm 2): Adam with rates of each parameter in proportion to its norm, for large
// batches.
import { checkedNumber, checkKeys, type OptionKeys } from '../options.js';
import { scaleByAdam } from './adam.js';
import { type Chain, namedChain } from './chain.js';
import type { Schedule } from './schedules.js';
import { addDecayedWeights } from './transforms/decay.js';
import { scaleByLearningRate } from './transforms/learning-rate.js';
import { type MomentsOptions, momentKeys } from './transforms/moments.js';
import { scaleByTrustRatio } from './transforms/trust-ratio.js';

export interface LambOptions extends MomentsOptions {
  /** η: each parameter changes by this share of its norm; 0.001 by default. */
  readonly learningRate?: Schedule;
  /** Weight decay w, inside the trust ratio; 0.01 by default. */
  readonly weightDecay?: Schedule;
  /** The largest norm of a parameter that counts; 10 by default. */
  readonly maximumNorm?: number;
}

const lambKeys: OptionKeys<LambOptions> = { ...momentKeys, learningRate: true, weightDecay: true, maximumNorm: true };

/**
 * Return LAMB; ε is 1e-6 by default.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = lamb({ learningRate: warmUp(100, linear(0.01, 0, 5000)) });
 */
export function lamb(options: LambOptions = {}): Chain {
  checkKeys('lamb', options, lambKeys);
  const { learningRate = 1e-3, weightDecay = 0.01, maximumNorm: maximum = 10, ...moments } = options;
  return namedChain(
    'lamb',
    scaleByAdam({ epsilon: 1e-6, ...moments }),
    addDecayedWeights(weightDecay),
    scaleByTrustRatio({ maximum: checkedNumber('maximumNorm', maximum, { above: 0 }) }),
    scaleByLearningRate(learningRate),
  );
}
