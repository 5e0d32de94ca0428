// Huber's loss: quadratic in small errors, linear in large ones.
import { mae } from '../metrics/mae.js';
import { checkedNumber, checkKeys } from '../options.js';
import { asOutput } from './elements.js';
import type { Loss } from './loss.js';
import { weightedMean } from './reduction.js';

export interface HuberOptions {
  /** δ, the largest error with a quadratic loss, in the units of the targets; 1 by default. */
  readonly delta?: number;
}

/**
 * Return the mean over all elements of ½r² if |r| ≤ δ, else δ·(|r| − ½δ), for errors r = z − y; equal to PyTorch's
 * `huber_loss`. Second-order steps measure its curvature by the targets of the data.
 * @throws OptionError for a δ that is not positive
 * @example
 * const loss = huber({ delta: 0.5 });
 */
export function huber(options: HuberOptions = {}): Loss {
  checkKeys('huber', options, { delta: true });
  const delta = checkedNumber('delta', options.delta ?? 1, { above: 0 });
  return {
    name: 'huber',
    targets: 'values',
    targetType: asOutput,
    value(b, output, targets, weights) {
      const size = b.abs(b.sub(output, targets));
      const near = b.min(size, delta);
      // m·(|r| − ½m) with m = min(|r|, δ)
      return weightedMean(b, b.mul(near, b.sub(size, b.mul(near, 0.5))), weights);
    },
    metric: mae(),
    step: 'self-tuning',
  };
}
