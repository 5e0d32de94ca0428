// What is to be said of a run before its results are believed: whether it diverged, ended worse than it began, was
// stopped early, or took steps back.

import { formatCount, formatMeasured, formatSteps } from '../format.js';
import type { RunRecord } from './run-record.js';

/** In fewer steps than these, the noise of the batches may exceed what was learned. */
const fewSteps = 3;

/** Whether the loss stopped being finite for good: steps whose loss is not may be taken back, the last one too. */
export const hasDiverged = ({ train }: RunRecord): boolean => !Number.isFinite(train.loss);

/**
 * The loss before training (of the training set where it was evaluated, else of the first batch), if the loss on the training
 * set is higher in the end: no success, whatever else is measured. Undefined where it is not higher, where the run diverged,
 * and for runs of a step or two.
 */
export function lowerFirstLoss({ steps, train, start }: RunRecord): number | undefined {
  const first = start?.loss ?? steps[0]?.loss ?? Number.NaN;
  // Equal losses differ in the last digits of their sums.
  return steps.length >= fewSteps && train.loss > first + 1e-6 * Math.abs(first) ? first : undefined;
}

/** `ends worse than it began: …`, if it does. */
export function endsWorse(run: RunRecord): string | undefined {
  const first = lowerFirstLoss(run);
  if (first === undefined) return undefined;
  return `ends worse than it began: its training loss is ${formatMeasured(run.train.loss)}, and was ${formatMeasured(first)} at the start`;
}

/** Whether the results are those of a training that worked: finite, and better than at the start. */
export const isSound = (run: RunRecord): boolean =>
  !hasDiverged(run) && !run.takenBack && lowerFirstLoss(run) === undefined;

/** Steps that were taken back as they made the loss worse; undefined for optimizers that take none back. */
export function stepsTakenBack({ steps }: RunRecord): number | undefined {
  const measured = steps.flatMap(({ optimizer: { accepted } }) => (accepted === undefined ? [] : [accepted]));
  return measured.length === 0 ? undefined : measured.filter((accepted) => accepted === 0).length;
}

/** Steps done: `400 steps`, or `122 of 400 steps` if the run ended before its last one. */
export function stepsDone(run: RunRecord): string {
  return endedEarly(run) ? `${stepCount(run)} steps` : formatSteps(run.steps.at(-1)?.step ?? 0);
}

/** The same for a table: `400`, `122 of 400`. */
export function stepCount(run: RunRecord): string {
  const done = formatCount(run.steps.at(-1)?.step ?? 0);
  return endedEarly(run) ? `${done} of ${formatCount(run.planned ?? 0)}` : done;
}

/** One sentence for each thing to know about a run besides its results. */
export function remarks(run: RunRecord): string[] {
  const { name, steps } = run;
  const done = steps.at(-1)?.step ?? 0;
  const worse = endsWorse(run);
  const takenBack = stepsTakenBack(run) ?? 0;
  const found: string[] = [];
  if (hasDiverged(run)) {
    const where = done > 0 ? ` at step ${stepCount(run)}` : '';
    found.push(`${name} diverged${where}: its loss stopped being finite.`);
  } else if (endedEarly(run)) found.push(`${name} was stopped after ${stepsDone(run)}.`);
  if (worse !== undefined) found.push(`${name} ${worse}.`);
  if (run.takenBack)
    found.push(`${name} did not lower the loss on the training set: the model is kept as it was given.`);
  if (takenBack > 0) {
    const were = takenBack === 1 ? 'was' : 'were';
    found.push(`${formatCount(takenBack)} of ${formatSteps(done)} of ${name} ${were} taken back.`);
  }
  return found;
}

const endedEarly = ({ steps, planned }: RunRecord): boolean =>
  planned !== undefined && (steps.at(-1)?.step ?? 0) < planned;
