// Stochastic gradient descent with momentum, as PyTorch defines it: v ← μv + g; θ ← θ − η·v (Nesterov: η·(g + μv)).
import type { Value } from '../graph/graph.js';
import { elementCount } from '../graph/tensor.js';
import { checkedFlag, checkKeys, type OptionKeys } from '../options.js';
import type { Optimizer, StepContext } from './optimizer.js';
import { checked, isSome, numberOf, type Schedule } from './options.js';

export interface SgdOptions {
  /**
   * η. By default 0.1 to classify (softmax cross-entropy), and 0.002 times the outputs of an example for losses that are
   * means over them, whose gradients are as much smaller.
   */
  readonly learningRate?: Schedule;
  /** μ in [0, 1); 0.9 by default. */
  readonly momentum?: Schedule;
  readonly nesterov?: boolean;
  /** Decoupled: θ ← θ − η·w·θ. */
  readonly weightDecay?: Schedule;
}

const keys: OptionKeys<SgdOptions> = { learningRate: true, momentum: true, nesterov: true, weightDecay: true };

/**
 * Stochastic gradient descent with momentum.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = sgd({ learningRate: (step) => 0.1 / (1 + step / 1000), nesterov: true });
 */
export function sgd(options: SgdOptions = {}): Optimizer {
  checkKeys('sgd', options, keys);
  const nesterov = checkedFlag('nesterov', options.nesterov) ?? false;
  const learningRate =
    options.learningRate === undefined ? undefined : checked('learningRate', options.learningRate, { above: 0 });
  const momentum = checked('momentum', options.momentum ?? 0.9, { atLeast: 0, below: 1 });
  const weightDecay = checked('weightDecay', options.weightDecay ?? 0, { atLeast: 0 });
  return {
    name: 'sgd',
    build(context) {
      const { b, parameters, gradients, scalar, state, report } = context;
      const rate = scalar('learningRate', learningRate ?? usualRate(context));
      const [past, decay] = [numberOf(context, 'momentum', momentum), numberOf(context, 'weightDecay', weightDecay)];
      report('learningRate', rate);
      const updated = new Map<string, Value>();
      for (const [name, parameter] of parameters) {
        const gradient = gradients.get(name);
        if (!gradient) continue;
        let direction = gradient;
        if (isSome(momentum)) {
          const velocity = state(`velocity.${name}`, parameter.dims, (old) => b.add(b.mul(old, past), gradient));
          direction = nesterov ? b.add(gradient, b.mul(velocity, past)) : velocity;
        }
        const kept = isSome(weightDecay) ? b.mul(parameter, b.sub(1, b.mul(rate, decay))) : parameter;
        updated.set(name, b.sub(kept, b.mul(direction, rate)));
      }
      return updated;
    },
    remedy: () => 'Lower the learning rate',
  };
}

/**
 * Learning rates with momentum 0.9, for losses as sums over an example's outputs. Found by
 * `cgfac compare mlp --steps 250 --optimizers sgd:learning-rate=0.01,sgd:learning-rate=0.03,…` (0.01 to 0.3: best 0.1) and
 * `cgfac compare autoencoder --data 'digits?train=8000&test=500' --steps 100 --optimizers sgd:learning-rate=0.39,…` (0.39
 * to 78, which is 0.0005 to 0.1 as a sum: alike up to 0.005, worse beyond 0.01).
 */
function usualRate({ setting, forward: { targets } }: StepContext): number {
  if (setting.loss === 'softmax-cross-entropy') return 0.1;
  return 0.002 * (elementCount(targets.dims) / (targets.dims[0] ?? 1));
}
