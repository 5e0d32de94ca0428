// Hinge losses of targets 1 and −1: margins that are kept cost nothing (support vector machines).
import { accuracy } from '../metrics/accuracy.js';
import { checkedFlag, checkKeys } from '../options.js';
import { asOutput } from './elements.js';
import type { Loss } from './loss.js';
import { weightedMean } from './reduction.js';

export interface HingeOptions {
  /** Whether the margins that are missed count by their square; false by default. */
  readonly squared?: boolean;
}

/**
 * The mean over all elements of max(0, 1 − y·z) for targets y of 1 and −1 in the output's shape, or of its square.
 * Second-order steps take it by the targets of the data.
 * @example
 * const loss = hinge({ squared: true });
 */
export function hinge(options: HingeOptions = {}): Loss {
  checkKeys('hinge', options, { squared: true });
  const squared = checkedFlag('squared', options.squared) ?? false;
  return {
    name: 'hinge',
    targets: 'values',
    targetRange: { only: [-1, 1] },
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
