// Momentum: a decaying sum of past updates.
import { OptionError } from '../../errors.js';
import type { Value } from '../../graph/graph.js';
import { checkedFlag, checkKeys, type OptionKeys } from '../../options.js';
import { checked, isSome, numberOf } from '../options.js';
import type { Schedule } from '../schedules.js';
import type { Transform } from './updates.js';

export interface MomentumOptions {
  /** μ in [0, 1); 0.9 by default. */
  readonly momentum?: Schedule;
  /** Whether to use `u + μv` instead of v (Sutskever et al. 2013); false by default. */
  readonly nesterov?: boolean;
}

const keys: OptionKeys<MomentumOptions> = { momentum: true, nesterov: true };

/**
 * Return the transform `v ← μv + u; u ← v`, PyTorch's momentum.
 * @throws OptionError for unknown options, numbers out of range, and nesterov without momentum
 * @example
 * chain(scaleByMomentum({ momentum: 0.9, nesterov: true }), scaleByLearningRate(0.1));
 */
export function scaleByMomentum(options: MomentumOptions = {}): Transform {
  checkKeys('scaleByMomentum', options, keys);
  const momentum = checked('momentum', options.momentum ?? 0.9, { atLeast: 0, below: 1 });
  const nesterov = checkedNesterov(options.nesterov, momentum) ?? false;
  return (context, updates) => {
    if (!isSome(momentum)) return updates;
    const { b, state } = context;
    const kept = numberOf(context, 'momentum', momentum);
    return updates.map((update, name, { dims }): Value => {
      const velocity = state(`velocity.${name}`, dims, (old) => b.add(b.mul(old, kept), update));
      return nesterov ? b.add(update, b.mul(velocity, kept)) : velocity;
    });
  };
}

/**
 * Whether to look ahead, or undefined if it is not given.
 * @throws OptionError if it is no flag, or asked for without momentum
 */
export function checkedNesterov(nesterov: boolean | undefined, momentum: Schedule): boolean | undefined {
  if (checkedFlag('nesterov', nesterov) !== true || isSome(momentum)) return nesterov;
  throw new OptionError('nesterov has no effect without momentum; leave it out, or give a momentum above 0');
}
