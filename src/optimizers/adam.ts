// Adam (Kingma & Ba 2015, algorithm 1) and AdamW (Loshchilov & Hutter 2019, algorithm 2: decoupled weight decay).
import { checkKeys, type OptionKeys } from '../options.js';
import { type Chain, namedChain } from './chain.js';
import type { Schedule } from './schedules.js';
import { addDecayedWeights } from './transforms/decay.js';
import { scaleByLearningRate } from './transforms/learning-rate.js';
import { average, checkedMoments, type MomentsOptions, momentKeys } from './transforms/moments.js';
import type { StepNumber, Transform } from './transforms/updates.js';

export interface AdamOptions extends MomentsOptions {
  /** η; 0.001 by default. */
  readonly learningRate?: Schedule;
  /** Decoupled weight decay w: θ ← θ − η·w·θ; 0 for `adam`, 0.01 for `adamw`. */
  readonly weightDecay?: Schedule;
}

export const adamKeys: OptionKeys<AdamOptions> = { ...momentKeys, learningRate: true, weightDecay: true };

/**
 * Return Adam.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = adam({ learningRate: 0.003 });
 */
export const adam = (options: AdamOptions = {}): Chain => adamNamed('adam', options, 0);

/**
 * Return AdamW: Adam with decoupled weight decay.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = adamw({ learningRate: warmUp(100, cosine(0.001, 5000)), weightDecay: 0.1 });
 */
export const adamw = (options: AdamOptions = {}): Chain => adamNamed('adamw', options, 0.01);

function adamNamed(name: string, options: AdamOptions, usualDecay: number): Chain {
  checkKeys(name, options, adamKeys);
  const { learningRate = 1e-3, weightDecay = usualDecay, ...moments } = options;
  return namedChain(name, scaleByAdam(moments), addDecayedWeights(weightDecay), scaleByLearningRate(learningRate));
}

/**
 * Return the transform `u ← m̂/(√v̂ + ε)`, m̂ and v̂ being the averages of u and u² without bias.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * chain(clipByGlobalNorm(1), scaleByAdam({ beta2: 0.99 }), scaleByLearningRate(0.001));
 */
export function scaleByAdam(options: MomentsOptions = {}): Transform {
  const { beta1, beta2, epsilon } = checkedMoments('scaleByAdam', options);
  // The bias corrections are scalars: they join the rate and the root, not the tensors.
  const meanCorrection: StepNumber = { name: 'meanCorrection', at: (_, kept) => 1 - beta1 ** (kept + 1) };
  return ({ b, scalar, state }, updates) => {
    const squareCorrection = scalar('squareCorrection', (_, kept) => 1 / Math.sqrt(1 - beta2 ** (kept + 1)));
    return updates
      .map((update, name, { dims }) => {
        // Without momentum the mean is the update itself: no state.
        const numerator = beta1 === 0 ? update : state(`mean.${name}`, dims, (old) => average(b, old, update, beta1));
        const square = state(`square.${name}`, dims, (old) => average(b, old, b.square(update), beta2));
        return { numerator, denominator: b.add(b.mul(b.sqrt(square), squareCorrection), epsilon) };
      })
      .over(meanCorrection);
  };
}
