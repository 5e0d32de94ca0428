// Warnings at the end of a run.
import type { RunRecord } from './run-record.js';
import { endsWorse } from './verdict.js';

/**
 * Return warnings about a run that did not lower the loss.
 * @param remedy the change of the optimizer that may help, to begin a sentence
 */
export function warningsOf(record: RunRecord, remedy: string | undefined): string[] {
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
