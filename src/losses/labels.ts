// Targets of classes that are none: labels outside, which would count as rows without loss, and shares that are no probabilities.
import type { Loss } from './loss.js';

/** The position of the first label that is none of the classes 0, 1, … and not the one that the loss ignores; -1 if there is none. */
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

/** The rest of a message that begins with the label. */
export const labelError = (classes: number): string =>
  classes === 0
    ? 'but the output has no classes: its last axis is empty'
    : `but the labels of ${classes} classes are 0 to ${classes - 1}; leave such rows out, or let the loss ignore them: ` +
      'crossEntropy({ ignoreIndex: -100 })';

/** How far a row of probabilities may be from the sum 1, as float32 and files round them. */
const roundedSum = 1e-3;

/** The first row of numbers that are no probabilities of the classes: negative, or not of the sum 1; -1 if there is none. */
export function wrongProbabilities(shares: ArrayLike<number | bigint>, classes: number): number {
  for (let start = 0; start < shares.length; start += classes) {
    let sum = 0;
    for (let i = start; i < start + classes; i++) sum += Number(shares[i]) >= 0 ? Number(shares[i]) : Number.NaN;
    if (!(Math.abs(sum - 1) <= roundedSum)) return start / classes;
  }
  return -1;
}

/** The rest of a message that says in which row they are. */
export const probabilitiesError = (classes: number): string =>
  `are no probabilities of ${classes} classes: they must be at least 0 and sum to 1; or give labels as integers`;
