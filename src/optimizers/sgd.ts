// Stochastic gradient descent with momentum, as PyTorch defines it: v ← μv + g; θ ← θ − η·v (Nesterov: η·(g + μv)).
import { checkedFlag, checkKeys, type OptionKeys } from '../options.js';
import { type Optimizer, scheduled } from './optimizer.js';
import { at, checked, refuseSchedules, type Schedule } from './options.js';

export interface SgdOptions {
  /** η; 0.01 by default. */
  readonly learningRate?: Schedule;
  /** μ in [0, 1); 0.9 by default. */
  readonly momentum?: number;
  readonly nesterov?: boolean;
  /** Decoupled: θ ← θ − η·w·θ. */
  readonly weightDecay?: number;
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
  refuseSchedules(options, ['learningRate']);
  const nesterov = checkedFlag('nesterov', options.nesterov) ?? false;
  const learningRate = checked('learningRate', options.learningRate ?? 0.01, { above: 0 });
  const momentum = checked('momentum', options.momentum ?? 0.9, { atLeast: 0, below: 1 });
  const weightDecay = checked('weightDecay', options.weightDecay ?? 0, { atLeast: 0 });
  return {
    name: 'sgd',
    build({ b, parameters, gradients, scalar, state }) {
      const rate = scalar('learningRate');
      const states = new Map();
      const updated = new Map();
      for (const [name, parameter] of parameters) {
        const gradient = gradients.get(name);
        if (!gradient) continue;
        let direction = gradient;
        if (momentum > 0) {
          const velocity = b.add(b.mul(state(`velocity.${name}`, parameter.dims), momentum), gradient);
          states.set(`velocity.${name}`, velocity);
          direction = nesterov ? b.add(gradient, b.mul(velocity, momentum)) : velocity;
        }
        const kept = weightDecay > 0 ? b.mul(parameter, b.sub(1, b.mul(rate, weightDecay))) : parameter;
        updated.set(name, b.sub(kept, b.mul(direction, rate)));
      }
      return { parameters: updated, state: states, diagnostics: new Map([['learningRate', rate]]) };
    },
    remedy: () => 'Lower the learning rate',
    controller: () => scheduled((step) => ({ learningRate: at(learningRate, step) })),
  };
}
