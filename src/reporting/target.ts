// A target: a metric, the set on which it is evaluated, and its value.

import { formatTarget, words } from '../format.js';
import type { Experiment } from '../training/run-record.js';

export type SplitName = 'train' | 'test';

/**
 * The parts of a target: `testAccuracy` is the accuracy on the test set; `accuracy` and `trainAccuracy` are that on the
 * training set.
 */
export interface Goal {
  readonly set: SplitName;
  /** `accuracy`, `squaredError`, `loss` */
  readonly metric: string;
  readonly value: number;
  /** `training accuracy 97 %`, with a space that does not break before the value */
  readonly text: string;
}

/** Return the goal of an experiment, if it has one. */
export function goalOf({ target }: Pick<Experiment, 'target'>): Goal | undefined {
  if (target === undefined) return undefined;
  const [, prefix, rest = ''] = /^(train|test)([A-Z].*)$/.exec(target.metric) ?? [];
  const set = prefix === 'test' ? 'test' : 'train';
  const metric = prefix === undefined ? target.metric : rest.slice(0, 1).toLowerCase() + rest.slice(1);
  const text = `${onSet(set, metric)}\u00a0${formatTarget(metric, target.value)}`;
  return { set, metric, value: target.value, text };
}

/** `training squared error`, `test loss` */
export const onSet = (set: SplitName, metric: string): string =>
  `${set === 'train' ? 'training' : 'test'} ${words(metric)}`;
