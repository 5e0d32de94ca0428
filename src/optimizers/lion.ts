// Lion (Chen et al. 2023, arXiv 2302.06675, algorithm 2): the sign of a momentum, and one state a parameter.
import { checkedFlag, checkedNumber, checkKeys, type OptionKeys } from '../options.js';
import { type Chain, namedChain } from './chain.js';
import type { Schedule } from './schedules.js';
import { addDecayedWeights } from './transforms/decay.js';
import { scaleByLearningRate } from './transforms/learning-rate.js';
import { average } from './transforms/moments.js';
import { cautious } from './transforms/sign.js';
import type { Transform } from './transforms/updates.js';

export interface LionBetas {
  /** Weight of the momentum beside the gradient in the direction; 0.9 by default. */
  readonly beta1?: number;
  /** Decay of the momentum; 0.99 by default. */
  readonly beta2?: number;
}

export interface LionOptions extends LionBetas {
  /** η: every element changes by it; 0.0001 by default. */
  readonly learningRate?: Schedule;
  /** Decoupled weight decay w: θ ← θ − η·w·θ; 0 by default. */
  readonly weightDecay?: Schedule;
  /** Whether to change only the elements whose direction agrees with the gradient; false by default. See `cautious`. */
  readonly cautious?: boolean;
}

const betaKeys: OptionKeys<LionBetas> = { beta1: true, beta2: true };
const keys: OptionKeys<LionOptions> = { ...betaKeys, learningRate: true, weightDecay: true, cautious: true };

/**
 * Return Lion. Its learning rates are 3 to 10 times smaller than Adam's, its weight decay as many times larger.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = lion({ learningRate: cosine(3e-4, 5000), weightDecay: 0.5 });
 */
export function lion(options: LionOptions = {}): Chain {
  checkKeys('lion', options, keys);
  const { learningRate = 1e-4, weightDecay = 0, cautious: isCautious, ...betas } = options;
  return namedChain(
    'lion',
    scaleByLion(betas),
    ...(checkedFlag('cautious', isCautious) ? [cautious()] : []),
    addDecayedWeights(weightDecay),
    scaleByLearningRate(learningRate),
  );
}

/**
 * Return the transform `u ← sign(β₁m + (1 − β₁)u)`, with the momentum `m ← β₂m + (1 − β₂)u` of the steps before.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * chain(clipByGlobalNorm(1), scaleByLion(), scaleByLearningRate(0.0003));
 */
export function scaleByLion(options: LionBetas = {}): Transform {
  checkKeys('scaleByLion', options, betaKeys);
  const beta1 = checkedNumber('beta1', options.beta1 ?? 0.9, { atLeast: 0, below: 1 });
  const beta2 = checkedNumber('beta2', options.beta2 ?? 0.99, { atLeast: 0, below: 1 });
  return ({ b, state }, updates) =>
    updates.map((update, name, { dims }) => {
      let direction = update;
      state(`momentum.${name}`, dims, (old) => {
        direction = b.sign(average(b, old, update, beta1));
        return average(b, old, update, beta2);
      });
      return direction;
    });
}
