// The line about the weights of a file before the first step: whether they look trained, and what that means for the run.
import type { Optimizer } from '../optimizers/optimizer.js';
import type { StartingPoint } from '../training/starting-point.js';

const number = (value: number): string => value.toPrecision(3);

/** @param hasNewHead whether the last layer is new: the loss then shows nothing of the others */
export function startingLine(
  { loss, chance, examples, share }: StartingPoint,
  { name, iterateAveraging }: Pick<Optimizer, 'name' | 'iterateAveraging'>,
  hasNewHead: boolean,
): string {
  const found = `their loss on ${examples} training examples is ${number(loss)}, that of a constant output ${number(chance)}`;
  if (share < 1) {
    const meaning =
      iterateAveraging === undefined
        ? `${name} takes its usual steps: if the loss rises at first, take shorter ones`
        : 'the run goes on from them, with averages and default lengths of steps that keep what they know';
    return `The weights look trained: ${found}. So ${meaning}.`;
  }
  return hasNewHead
    ? `Behind the new last layer the loss does not show whether the other weights are trained: ${found}.`
    : `The weights do not look trained for these data: ${found}. So they are trained as new ones.`;
}
