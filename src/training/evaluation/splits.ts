// The sets that a run is evaluated on, and the names of their values: `trainLoss`, `validationAccuracy`, `testLoss`.
import type { DataSplits } from '../../data/dataset.js';
import { OptionError } from '../../errors.js';
import { metricWordOf } from '../../metrics/index.js';
import type { Metric } from '../../metrics/metric.js';
import type { Evaluation } from '../run-record.js';

export const splitNames = ['train', 'validation', 'test'] as const;
export type Split = (typeof splitNames)[number];

/** Return the names of the sets that there are. */
export const splitsOf = (data: DataSplits): Split[] => splitNames.filter((split) => data[split] !== undefined);

/** Other names of a set in front of a metric: `val.loss`. */
const synonyms: Readonly<Record<Split, readonly string[]>> = {
  train: ['train'],
  validation: ['validation', 'val'],
  test: ['test'],
};

/** A value of an evaluation: a metric or the loss, on a set. */
export interface EvaluatedValue {
  readonly split: Split;
  /** The name in the steps' records. */
  readonly key: string;
  readonly lowerIsBetter: boolean;
}

/** Return the name of a set's value in the steps' records. */
const keyOf = (split: Split, name: string): string => `${split}${name[0]?.toUpperCase()}${name.slice(1)}`;

/** Return an evaluation by the names of its values in the steps' records. */
export const named = (split: Split, evaluation: Evaluation): Record<string, number> =>
  Object.fromEntries(Object.entries(evaluation).map(([name, value]) => [keyOf(split, name), value]));

/**
 * Return the value of a name: that in the records, or the set and the metric's name or word with a point or a hyphen between
 * (`val.loss`, `test-roc-auc`); a bare name is that of the training set.
 * @param what the option, for messages
 * @param splits the sets that are evaluated
 * @throws OptionError that lists the known names
 */
export function evaluatedValue(
  what: string,
  wanted: string,
  metrics: readonly Metric[],
  splits: readonly Split[],
): EvaluatedValue {
  const loss = { name: 'loss', lowerIsBetter: true };
  for (const split of splitNames) {
    for (const { name, lowerIsBetter } of [...metrics, loss]) {
      const key = keyOf(split, name);
      const word = metricWordOf(name) ?? name;
      const accepted = synonyms[split].flatMap((set) =>
        [name, word].flatMap((each) => [
          `${set}${each[0]?.toUpperCase()}${each.slice(1)}`,
          `${set}-${each}`,
          `${set}.${each}`,
        ]),
      );
      if (split === 'train') accepted.push(name, word);
      if (!accepted.includes(wanted)) continue;
      if (splits.includes(split)) return { split, key, lowerIsBetter };
      throw new OptionError(
        `${what} is '${wanted}', and there is no ${split} set: hold out a part of the training set (validation: 0.1, on the command line --validation 0.1)`,
      );
    }
  }
  const known = [...metrics.map(({ name }) => name), 'loss'];
  const others = splits.filter((split) => split !== 'train');
  const names = [...known, ...others.flatMap((split) => known.map((name) => keyOf(split, name)))];
  const words = metrics.flatMap(({ name }) => {
    const word = metricWordOf(name);
    return word === undefined || word === name ? [] : [`${word} is ${name}`];
  });
  const also = words.length > 0 ? ` (${words.join(', ')})` : '';
  throw new OptionError(`unknown ${what} '${wanted}'; choose one of ${names.join(', ')}${also}`);
}
