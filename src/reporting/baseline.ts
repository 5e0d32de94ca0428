// What a run came to beside the best answer that takes no learning: the commonest class, or the mean of the targets.

import { capitalized, formatMetric } from '../format.js';
import type { RunRecord } from '../training/run-record.js';
import { onSet } from './target.js';

interface BesideBaseline {
  readonly isBeaten: boolean;
  /** `always answering the commonest class gives 10.20 %` */
  readonly text: string;
  /** `always answering the commonest class (10.20 %)` */
  readonly bare: string;
  /** `Always answering the commonest class: test accuracy 10.20 %.` */
  readonly note: string;
}

/** Return how a run's main metric on the test set compares with the constant answer's; undefined if that is not known. */
export function againstBaseline({ baseline, metric, test }: RunRecord): BesideBaseline | undefined {
  const [own, theirs] = [test[metric.name], baseline?.test[metric.name]];
  if (baseline === undefined || own === undefined || theirs === undefined || !Number.isFinite(theirs)) return undefined;
  const always = `always answering the ${baseline.answer}`;
  const value = formatMetric(metric.name, theirs);
  const isBeaten = metric.lowerIsBetter ? own < theirs : own > theirs;
  return {
    isBeaten,
    text: `${always} gives ${value}`,
    bare: `${always} (${value})`,
    note: `${capitalized(always)}: ${onSet('test', metric.name)} ${value}.`,
  };
}
