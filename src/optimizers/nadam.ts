// NAdam (Dozat 2016, Incorporating Nesterov momentum into Adam), with the momentum schedule of PyTorch.
import { checkedNumber, checkKeys, type OptionKeys } from '../options.js';
import { type AdamOptions, adamKeys } from './adam.js';
import { type Chain, namedChain } from './chain.js';
import { addDecayedWeights } from './transforms/decay.js';
import { scaleByLearningRate } from './transforms/learning-rate.js';
import { average, checkedMoments, type MomentsOptions } from './transforms/moments.js';
import type { Transform } from './transforms/updates.js';

export interface NadamOptions extends AdamOptions {
  /** ψ of the momentum μₜ = β₁·(1 − 0.96^(ψt)/2) at step t, counted from 1; 0.004 by default. */
  readonly momentumDecay?: number;
}

const keys: OptionKeys<NadamOptions> = { ...adamKeys, momentumDecay: true };

/**
 * Return NAdam; its learning rate is 0.002 by default, its weight decay 0.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = nadam({ learningRate: 0.002 });
 */
export function nadam(options: NadamOptions = {}): Chain {
  checkKeys('nadam', options, keys);
  const { learningRate = 2e-3, weightDecay = 0, momentumDecay, ...moments } = options;
  return namedChain(
    'nadam',
    scaleByNadam(moments, momentumDecay),
    addDecayedWeights(weightDecay),
    scaleByLearningRate(learningRate),
  );
}

/**
 * Return the transform `u ← (μₜ₊₁/(1 − Πₜ₊₁)·m + (1 − μₜ)/(1 − Πₜ)·u)/(√v̂ + ε)`, Πₜ being the product of the first t
 * momenta μ.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * chain(scaleByNadam(), scaleByLearningRate(0.002));
 */
export function scaleByNadam(options: MomentsOptions = {}, momentumDecay = 0.004): Transform {
  const { beta1, beta2, epsilon } = checkedMoments('scaleByNadam', options);
  checkedNumber('momentumDecay', momentumDecay, { atLeast: 0 });
  const momentum = (t: number): number => beta1 * (1 - 0.5 * 0.96 ** (t * momentumDecay));
  const products = [1];
  const product = (t: number): number => {
    for (let i = products.length; i <= t; i++) products.push((products[i - 1] ?? 1) * momentum(i));
    return products[t] ?? 0;
  };
  return ({ b, scalar, state }, updates) => {
    const ownShare = scalar('gradientShare', (_, kept) => (1 - momentum(kept + 1)) / (1 - product(kept + 1)));
    const meanShare = scalar('meanShare', (_, kept) => momentum(kept + 2) / (1 - product(kept + 2)));
    const squareCorrection = scalar('squareCorrection', (_, kept) => 1 / Math.sqrt(1 - beta2 ** (kept + 1)));
    return updates.map((update, name, { dims }) => {
      const mean = state(`mean.${name}`, dims, (old) => average(b, old, update, beta1));
      const square = state(`square.${name}`, dims, (old) => average(b, old, b.square(update), beta2));
      const numerator = b.add(b.mul(update, ownShare), b.mul(mean, meanShare));
      return { numerator, denominator: b.add(b.mul(b.sqrt(square), squareCorrection), epsilon) };
    });
  };
}
