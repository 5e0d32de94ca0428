// Warnings at the end of a run.
import type { RunRecord } from './run-record.js';
import { endsWorse } from './verdict.js';

/**
 * Return a warning if the loss or a metric of a set is not finite.
 * @param set how a sentence names the set: `the test set`
 */
export function notFinite(values: Readonly<Record<string, unknown>>, set: string): string[] {
  const names = Object.keys(values).filter(
    (name) => typeof values[name] === 'number' && !Number.isFinite(values[name]),
  );
  if (names.length === 0) return [];
  return [
    `On ${set} no finite number comes out for: ${names.join(', ')}. Look at its targets and weights: if all labels are ignored, all weights are 0 or all examples are of one class, there may be nothing to measure.`,
  ];
}

/**
 * Return warnings about a run that did not lower the loss, or that ends in no finite numbers on its test set.
 * @param remedy the change of the optimizer that may help, to begin a sentence
 */
export function warningsOf(record: RunRecord, remedy: string | undefined): string[] {
  return [...warningsOfLoss(record, remedy), ...notFinite({ ...record.test }, 'the test set')];
}

function warningsOfLoss(record: RunRecord, remedy: string | undefined): string[] {
  if (record.takenBack) {
    return [
      `The run did not lower the loss on the training set: the model is kept as it was given. ${remedy ?? 'Take shorter steps'}, or look at the data (cgfac data): they may hold nothing that this model can learn.`,
    ];
  }
  const worse = endsWorse(record);
  if (worse === undefined) return [];
  const way =
    record.steps.length < 10
      ? 'Take more steps'
      : `${remedy ?? 'Take shorter steps'}, or look at the data (cgfac data)`;
  return [`The run ${worse}. ${way}.`];
}
