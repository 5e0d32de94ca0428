// RMSprop (Tieleman & Hinton 2012, lecture 6.5), centered by Graves (2013, arXiv 1308.0850, equations 38 to 40), as PyTorch.
import { checkedFlag, checkedNumber, checkKeys, type OptionKeys } from '../options.js';
import { type Chain, namedChain } from './chain.js';
import type { Schedule } from './schedules.js';
import { addDecayedWeights } from './transforms/decay.js';
import { scaleByLearningRate } from './transforms/learning-rate.js';
import { average } from './transforms/moments.js';
import { scaleByMomentum } from './transforms/momentum.js';
import type { Transform } from './transforms/updates.js';

export interface RmsOptions {
  /** Weight α of the past in the average of squares; 0.99 by default. */
  readonly decay?: number;
  /** Number added to the root; 1e-8 by default. */
  readonly epsilon?: number;
  /** Whether to divide by the deviation of the gradient instead of its root mean square; false by default. */
  readonly centered?: boolean;
}

export interface RmspropOptions extends RmsOptions {
  /** η; 0.01 by default. */
  readonly learningRate?: Schedule;
  /** μ in [0, 1); 0 by default. */
  readonly momentum?: Schedule;
  /** Decoupled weight decay w: θ ← θ − η·w·θ; 0 by default. */
  readonly weightDecay?: Schedule;
}

const rmsKeys: OptionKeys<RmsOptions> = { decay: true, epsilon: true, centered: true };
const keys: OptionKeys<RmspropOptions> = { ...rmsKeys, learningRate: true, momentum: true, weightDecay: true };

/**
 * Return RMSprop.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = rmsprop({ learningRate: 0.001, momentum: 0.9 });
 */
export function rmsprop(options: RmspropOptions = {}): Chain {
  checkKeys('rmsprop', options, keys);
  const { learningRate = 0.01, momentum = 0, weightDecay = 0, ...rms } = options;
  return namedChain(
    'rmsprop',
    scaleByRms(rms),
    scaleByMomentum({ momentum }),
    addDecayedWeights(weightDecay),
    scaleByLearningRate(learningRate),
  );
}

/**
 * Return the transform `s ← αs + (1 − α)u²; u ← u/(√s + ε)`; if it is centered, the square of the average of u is subtracted
 * from s.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * chain(scaleByRms({ decay: 0.9 }), scaleByLearningRate(0.001));
 */
export function scaleByRms(options: RmsOptions = {}): Transform {
  checkKeys('scaleByRms', options, rmsKeys);
  const decay = checkedNumber('decay', options.decay ?? 0.99, { atLeast: 0, below: 1 });
  const epsilon = checkedNumber('epsilon', options.epsilon ?? 1e-8, { above: 0 });
  const centered = checkedFlag('centered', options.centered) ?? false;
  return ({ b, state }, updates) =>
    updates.map((update, name, { dims }) => {
      const square = state(`square.${name}`, dims, (old) => average(b, old, b.square(update), decay));
      const spread = centered
        ? b.sub(square, b.square(state(`mean.${name}`, dims, (old) => average(b, old, update, decay))))
        : square;
      return { numerator: update, denominator: b.add(b.sqrt(centered ? b.max(spread, 0) : spread), epsilon) };
    });
}
