// AdaDelta (Zeiler 2012, arXiv 1212.5701, algorithm 1): steps in the units of the parameters, as PyTorch.
import { checkedNumber, checkKeys, type OptionKeys } from '../options.js';
import { type Chain, namedChain } from './chain.js';
import type { Schedule } from './schedules.js';
import { addDecayedWeights } from './transforms/decay.js';
import { scaleByLearningRate } from './transforms/learning-rate.js';
import { average } from './transforms/moments.js';
import type { Transform } from './transforms/updates.js';

export interface DeltaOptions {
  /** Weight ρ of the past in both averages of squares; 0.9 by default. */
  readonly decay?: number;
  /** Number added under the roots, from which steps grow; 1e-6 by default. */
  readonly epsilon?: number;
}

export interface AdadeltaOptions extends DeltaOptions {
  /** η: a factor on the steps; 1 by default. */
  readonly learningRate?: Schedule;
  /** Decoupled weight decay w: θ ← θ − η·w·θ; 0 by default. */
  readonly weightDecay?: Schedule;
}

const deltaKeys: OptionKeys<DeltaOptions> = { decay: true, epsilon: true };
const keys: OptionKeys<AdadeltaOptions> = { ...deltaKeys, learningRate: true, weightDecay: true };

/**
 * Return AdaDelta, which begins with short steps.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = adadelta({ decay: 0.95 });
 */
export function adadelta(options: AdadeltaOptions = {}): Chain {
  checkKeys('adadelta', options, keys);
  const { learningRate = 1, weightDecay = 0, ...delta } = options;
  return namedChain(
    'adadelta',
    scaleByAdadelta(delta),
    addDecayedWeights(weightDecay),
    scaleByLearningRate(learningRate),
  );
}

/**
 * Return the transform `s ← ρs + (1 − ρ)u²; u ← u·√(d + ε)/√(s + ε); d ← ρd + (1 − ρ)u²`.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * chain(clipByGlobalNorm(1), scaleByAdadelta(), scaleByLearningRate(1));
 */
export function scaleByAdadelta(options: DeltaOptions = {}): Transform {
  checkKeys('scaleByAdadelta', options, deltaKeys);
  const decay = checkedNumber('decay', options.decay ?? 0.9, { atLeast: 0, below: 1 });
  const epsilon = checkedNumber('epsilon', options.epsilon ?? 1e-6, { above: 0 });
  return ({ b, state }, updates) =>
    updates.map((update, name, { dims }) => {
      const square = state(`square.${name}`, dims, (old) => average(b, old, b.square(update), decay));
      let step = update;
      state(`step.${name}`, dims, (old) => {
        step = b.mul(update, b.sqrt(b.div(b.add(old, epsilon), b.add(square, epsilon))));
        return average(b, old, b.square(step), decay);
      });
      return step;
    });
}
