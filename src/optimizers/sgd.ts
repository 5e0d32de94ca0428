// Stochastic gradient descent with momentum, as PyTorch defines it: v ← μv + g; θ ← θ − η·v (Nesterov: η·(g + μv)).
import { elementCount } from '../graph/tensor.js';
import { checkKeys, type OptionKeys } from '../options.js';
import { type Chain, namedChain } from './chain.js';
import type { Schedule } from './schedules.js';
import { addDecayedWeights } from './transforms/decay.js';
import { scaleByLearningRate } from './transforms/learning-rate.js';
import { type MomentumOptions, scaleByMomentum } from './transforms/momentum.js';
import type { Transform } from './transforms/updates.js';

export interface SgdOptions extends MomentumOptions {
  /**
   * η. By default 0.1 for labels, and 0.002 times the outputs of an example for losses that are means over the outputs, since
   * their gradients are smaller by that number.
   */
  readonly learningRate?: Schedule;
  /** Decoupled: θ ← θ − η·w·θ; 0 by default. */
  readonly weightDecay?: Schedule;
}

const keys: OptionKeys<SgdOptions> = { learningRate: true, momentum: true, nesterov: true, weightDecay: true };

/**
 * Return stochastic gradient descent.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = sgd({ learningRate: oneCycle(0.5, 2000), nesterov: true });
 */
export function sgd(options: SgdOptions = {}): Chain {
  checkKeys('sgd', options, keys);
  const { learningRate, weightDecay = 0, ...momentum } = options;
  return namedChain(
    'sgd',
    scaleByMomentum(momentum),
    addDecayedWeights(weightDecay),
    learningRate === undefined ? scaleByUsualRate : scaleByLearningRate(learningRate),
  );
}

/**
 * Learning rates with momentum 0.9, for losses as sums over an example's outputs. Found by
 * `cgfac compare mlp --steps 250 --optimizers sgd:learning-rate=0.01,sgd:learning-rate=0.03,…` (0.01 to 0.3: best 0.1) and
 * `cgfac compare autoencoder --data 'digits?train=8000&test=500' --steps 100 --optimizers sgd:learning-rate=0.39,…` (0.39
 * to 78, which is 0.0005 to 0.1 as a sum: alike up to 0.005, worse beyond 0.01).
 */
const scaleByUsualRate: Transform = (context, updates) => {
  const { setting, forward } = context;
  const outputs = elementCount(forward.targets.dims) / (forward.targets.dims[0] ?? 1);
  const rate = setting.loss.targets === 'labels' ? 0.1 : 0.002 * outputs;
  return scaleByLearningRate(rate)(context, updates);
};
