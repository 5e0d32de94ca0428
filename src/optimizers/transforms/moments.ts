// Moving averages of updates and of their squares: what Adam and its relatives share.
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { checkedNumber, checkKeys, type OptionKeys } from '../../options.js';

export interface MomentsOptions {
  /** Decay of the gradient's moving average; 0.9 by default. */
  readonly beta1?: number;
  /** Decay of the squared gradient's moving average; 0.999 by default. */
  readonly beta2?: number;
  /** Number added to the root; 1e-8 by default. */
  readonly epsilon?: number;
}

export const momentKeys: OptionKeys<MomentsOptions> = { beta1: true, beta2: true, epsilon: true };

/**
 * Return the options with their defaults.
 * @throws OptionError for unknown options and numbers out of range
 */
export function checkedMoments(of: string, options: MomentsOptions): Required<MomentsOptions> {
  checkKeys(of, options, momentKeys);
  return {
    beta1: checkedNumber('beta1', options.beta1 ?? 0.9, { atLeast: 0, below: 1 }),
    beta2: checkedNumber('beta2', options.beta2 ?? 0.999, { atLeast: 0, below: 1 }),
    epsilon: checkedNumber('epsilon', options.epsilon ?? 1e-8, { above: 0 }),
  };
}

/** Return β·average + (1 − β)·value. */
export const average = (b: Builder, old: Value, value: Value, decay: number): Value =>
  b.add(b.mul(old, decay), b.mul(value, 1 - decay));
