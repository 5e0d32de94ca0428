// Hinge losses of targets 1 and −1, as in support vector machines.
import { accuracy } from '../metrics/accuracy.js';
import { checkedFlag, checkKeys } from '../options.js';
import { asOutput } from './elements.js';
import type { Loss } from './loss.js';
import { weightedMean } from './reduction.js';

export interface HingeOptions {
  /** Whether the loss is the square of the missing margin; false by default. */
  readonly squared?: boolean;
}

/**
 * Return the mean over all elements of max(0, 1 − y·z), or of its square, for targets y of 1 and −1 in the output's shape.
 * Second-order steps measure its curvature by the targets of the data.
 * @example
 * const loss = hinge({ squared: true });
 */
export function hinge(options: HingeOptions = {}): Loss {
  checkKeys('hinge', options, { squared: true });
  const squared = checkedFlag('squared', options.squared) ?? false;
  return {
    name: 'hinge',
    targets: 'values',
    expected: (b, output) => b.sign(output),
    targetType: asOutput,
    value(b, output, targets, weights) {
      const missed = b.relu(b.sub(1, b.mul(targets, output)));
      return weightedMean(b, squared ? b.square(missed) : missed, weights);
    },
    metric: accuracy(),
    step: 'self-tuning',
  };
}
