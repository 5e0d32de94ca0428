// LARS (You et al. 2017, arXiv 1708.03888, algorithm 1): momentum with rates of each parameter in proportion to its norm over that
// of its gradient, for large batches.
import { checkedNumber, checkKeys, type OptionKeys } from '../options.js';
import { type Chain, namedChain } from './chain.js';
import { checked } from './options.js';
import type { Schedule } from './schedules.js';
import { scaleByLearningRate } from './transforms/learning-rate.js';
import { scaleByMomentum } from './transforms/momentum.js';
import { norm, ratioOr1 } from './transforms/trust-ratio.js';
import type { Transform } from './transforms/updates.js';
import { tunedDecays } from './tuning.js';

export interface LayerRateOptions {
  /** c: each parameter changes by this share of its norm, times η; 0.001 by default. */
  readonly trustCoefficient?: number;
  /** L2 weight decay w, inside the trust ratio; 0 by default. */
  readonly weightDecay?: Schedule;
  /** Number added to the norm of the gradient; 1e-8 by default. */
  readonly epsilon?: number;
}

export interface LarsOptions extends LayerRateOptions {
  /** η; 1 by default. */
  readonly learningRate?: Schedule;
  /** μ in [0, 1); 0.9 by default. */
  readonly momentum?: Schedule;
}

const layerKeys: OptionKeys<LayerRateOptions> = { trustCoefficient: true, weightDecay: true, epsilon: true };
const keys: OptionKeys<LarsOptions> = { ...layerKeys, learningRate: true, momentum: true };

/**
 * Return LARS; its weight decay is 0.0005 by default.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = lars({ learningRate: warmUp(100, polynomial(8, 5000, 2)) });
 */
export function lars(options: LarsOptions = {}): Chain {
  checkKeys('lars', options, keys);
  const { learningRate = 1, momentum = 0.9, ...layer } = options;
  return namedChain(
    'lars',
    scaleByLars({ weightDecay: 5e-4, ...layer }),
    scaleByMomentum({ momentum }),
    scaleByLearningRate(learningRate),
  );
}

/**
 * Return the transform `u ← (u + wθ)·c‖θ‖/(‖u‖ + w‖θ‖ + ε)` of each parameter; the quotient is 1 where a norm is 0.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * chain(scaleByLars({ trustCoefficient: 0.01 }), scaleByMomentum(), scaleByLearningRate(1));
 */
export function scaleByLars(options: LayerRateOptions = {}): Transform {
  checkKeys('scaleByLars', options, layerKeys);
  const trust = checkedNumber('trustCoefficient', options.trustCoefficient ?? 1e-3, { above: 0 });
  const epsilon = checkedNumber('epsilon', options.epsilon ?? 1e-8, { above: 0 });
  const weightDecay = checked('weightDecay', options.weightDecay ?? 0, { atLeast: 0 });
  return (context, updates) => {
    const { b } = context;
    const decays = tunedDecays(context, weightDecay, () => true);
    return updates.map((update, name, parameter) => {
      const weight = decays.find(({ names }) => names.has(name))?.weight;
      const [own, length] = [norm(b, parameter), norm(b, update)];
      const whole = weight === undefined ? length : b.add(length, b.mul(own, weight));
      const decayed = weight === undefined ? update : b.add(update, b.mul(parameter, weight));
      return b.mul(decayed, ratioOr1(b, b.mul(own, trust), b.add(whole, epsilon), length));
    });
  };
}
