// Labels outside the classes: they would count as rows without loss.
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
  `but the labels of ${classes} classes are 0 to ${classes - 1}; leave such rows out, or let the loss ignore them: ` +
  'crossEntropy({ ignoreIndex: -100 })';
