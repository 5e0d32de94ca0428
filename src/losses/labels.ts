// Checks of the targets of classes: labels outside the classes, which would have no loss, and rows that are no probabilities.
import type { Loss } from './loss.js';

/** Return the position of the first label outside the classes that the loss does not ignore; -1 if there is none. */
export const wrongLabel = (
  labels: ArrayLike<number | bigint>,
  classes: number,
  { ignoredLabel }: Pick<Loss, 'ignoredLabel'>,
): number => {
  for (let i = 0; i < labels.length; i++) {
    const label = Number(labels[i]);
    if (!(label >= 0 && label < classes) && label !== ignoredLabel) return i;
  }
  return -1;
};

/** Return the rest of a message that begins with the label. */
export const labelError = (classes: number): string =>
  classes === 0
    ? 'but the output has no classes: its last axis is empty'
    : `but the labels of ${classes} classes are 0 to ${classes - 1}; leave such rows out, or let the loss ignore them: ` +
      'crossEntropy({ ignoreIndex: -100 })';

/** Largest deviation of the sum of a row of probabilities from 1, for rounding in float32 and in files. */
const roundedSum = 1e-3;

/** Return the first row that is no probabilities of the classes (a negative number, or a sum other than 1); -1 if there is none. */
export function wrongProbabilities(shares: ArrayLike<number | bigint>, classes: number): number {
  for (let start = 0; start < shares.length; start += classes) {
    let sum = 0;
    for (let i = start; i < start + classes; i++) sum += Number(shares[i]) >= 0 ? Number(shares[i]) : Number.NaN;
    if (!(Math.abs(sum - 1) <= roundedSum)) return start / classes;
  }
  return -1;
}

/** Return the rest of a message that begins with the row. */
export const probabilitiesError = (classes: number): string =>
  `are no probabilities of ${classes} classes: they must be at least 0 and sum to 1; or give labels as integers`;
