// Adan (Xie et al. 2022, arXiv 2208.06677, algorithm 1): Adam with Nesterov's momentum as an average of gradient differences. As
// its authors' program, whose decays β are 1 − the paper's.
import { checkedNumber, checkKeys, type OptionKeys } from '../options.js';
import { type Chain, namedChain } from './chain.js';
import { checked, isSome } from './options.js';
import { at, type Schedule } from './schedules.js';
import { addDecayedWeights } from './transforms/decay.js';
import { scaleByLearningRate } from './transforms/learning-rate.js';
import { average } from './transforms/moments.js';
import type { StepNumber, Transform } from './transforms/updates.js';
import { tunedDecay, tunedRate, tunedShare } from './tuning.js';

export interface AdanMoments {
  /** Decay of the average of gradients; 0.98 by default. */
  readonly beta1?: number;
  /** Decay of the average of differences of gradients; 0.92 by default. */
  readonly beta2?: number;
  /** Decay of the average of squares; 0.99 by default. */
  readonly beta3?: number;
  /** Number added to the root; 1e-8 by default. */
  readonly epsilon?: number;
}

export interface AdanOptions extends AdanMoments {
  /** η; 0.001 by default. */
  readonly learningRate?: Schedule;
  /** Proximal weight decay w: θ ← (θ − η·u)/(1 + η·w); 0 by default. */
  readonly weightDecay?: Schedule;
}

const momentKeys: OptionKeys<AdanMoments> = { beta1: true, beta2: true, beta3: true, epsilon: true };
const keys: OptionKeys<AdanOptions> = { ...momentKeys, learningRate: true, weightDecay: true };

/**
 * Return Adan.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = adan({ learningRate: warmUp(100, cosine(0.003, 5000)), weightDecay: 0.02 });
 */
export function adan(options: AdanOptions = {}): Chain {
  checkKeys('adan', options, keys);
  const { learningRate = 1e-3, weightDecay = 0, ...moments } = options;
  return namedChain(
    'adan',
    scaleByAdan(moments),
    addDecayedWeights(weightDecay),
    scaleByLearningRate(learningRate),
    proximal(learningRate, weightDecay),
  );
}

/** (θ − η·u)/(1 + η·w) = θ − η·(u + w·θ)/(1 + η·w) */
function proximal(learningRate: Schedule, weightDecay: Schedule): Transform {
  return (context, updates) => {
    if (!isSome(weightDecay) && !context.tuning) return updates;
    const rate = tunedRate(context, learningRate);
    const numbers = new Map<string, StepNumber>();
    return updates.over((parameter) => {
      const share = tunedShare(context, parameter, learningRate);
      const decay = checked('weightDecay', tunedDecay(context, parameter, weightDecay), { atLeast: 0 });
      const own = share === 1 && decay === weightDecay;
      const name = own ? 'proximal' : `proximal.${parameter}`;
      const number = numbers.get(name) ?? { name, at: (step) => 1 + share * at(rate, step) * at(decay, step) };
      numbers.set(name, number);
      return number;
    });
  };
}

/**
 * Return the transform `u ← (m̂ + β₂·d̂)/(√n̂ + ε)`, averages of the update g, of its difference Δ from that of the step before,
 * which is 0 at first, and of `(g + β₂Δ)²`.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * chain(clipByGlobalNorm(1), scaleByAdan(), addDecayedWeights(0.02), scaleByLearningRate(0.001));
 */
export function scaleByAdan(options: AdanMoments = {}): Transform {
  checkKeys('scaleByAdan', options, momentKeys);
  const share = (name: 'beta1' | 'beta2' | 'beta3', usual: number) =>
    checkedNumber(name, options[name] ?? usual, { atLeast: 0, below: 1 });
  const [beta1, beta2, beta3] = [share('beta1', 0.98), share('beta2', 0.92), share('beta3', 0.99)];
  const epsilon = checkedNumber('epsilon', options.epsilon ?? 1e-8, { above: 0 });
  return ({ b, scalar, state }, updates) => {
    const hasBefore = scalar('hasGradient', (_, kept) => (kept === 0 ? 0 : 1));
    const meanShare = scalar('meanShare', (_, kept) => 1 / (1 - beta1 ** (kept + 1)));
    const differenceShare = scalar('differenceShare', (_, kept) => beta2 / (1 - beta2 ** (kept + 1)));
    const squareCorrection = scalar('squareCorrection', (_, kept) => 1 / Math.sqrt(1 - beta3 ** (kept + 1)));
    return updates.map((update, name, { dims }) => {
      let difference = update;
      state(`gradient.${name}`, dims, (old) => {
        difference = b.mul(b.sub(update, old), hasBefore);
        return update;
      });
      const mean = state(`mean.${name}`, dims, (old) => average(b, old, update, beta1));
      const drift = state(`difference.${name}`, dims, (old) => average(b, old, difference, beta2));
      const ahead = b.add(update, b.mul(difference, beta2));
      const square = state(`square.${name}`, dims, (old) => average(b, old, b.square(ahead), beta3));
      return {
        numerator: b.add(b.mul(mean, meanShare), b.mul(drift, differenceShare)),
        denominator: b.add(b.mul(b.sqrt(square), squareCorrection), epsilon),
      };
    });
  };
}
