// Remarks on a run beside its results: whether it diverged, ended worse than it began, was stopped early, or took steps back.
import { formatCount, formatMeasured, formatMetric, formatSteps, words } from '../format.js';
import type { StopReason } from './callbacks.js';
import type { RunRecord } from './run-record.js';

/** In fewer steps the noise of the batches may exceed the progress. */
const fewSteps = 3;

/** Return whether the final loss is not finite: steps without a finite loss can be taken back. */
export const hasDiverged = ({ train }: RunRecord): boolean => !Number.isFinite(train.loss);

/**
 * Return the loss before training (of the training set if it was evaluated, else of the first batch), if the final loss on the
 * training set is higher. Undefined if it is not higher, if the run diverged, and for runs of one or two steps.
 */
export function lowerFirstLoss({ steps, train, start }: RunRecord): number | undefined {
  const first = start?.loss ?? steps[0]?.loss ?? Number.NaN;
  // Equal losses differ in the last digits of their sums.
  return steps.length >= fewSteps && train.loss > first + 1e-6 * Math.abs(first) ? first : undefined;
}

/** Return `ends worse than it began: …`; undefined if the run did not. */
export function endsWorse(run: RunRecord): string | undefined {
  const first = lowerFirstLoss(run);
  if (first === undefined) return undefined;
  return `ends worse than it began: its training loss is ${formatMeasured(run.train.loss)}, and was ${formatMeasured(first)} at the start`;
}

/** Return whether the training worked: its loss is finite and not higher than at the start. */
export const isSound = (run: RunRecord): boolean =>
  !hasDiverged(run) && !run.takenBack && lowerFirstLoss(run) === undefined;

/** Return `400 steps`, or `122 of 400 steps` if the run ended early. */
export function stepsDone(run: RunRecord): string {
  return endedEarly(run) ? `${stepCount(run)} steps` : formatSteps(run.steps.at(-1)?.step ?? 0);
}

/** Return the same for a table: `400`, `122 of 400`. */
export function stepCount(run: RunRecord): string {
  const done = formatCount(run.steps.at(-1)?.step ?? 0);
  return endedEarly(run) ? `${done} of ${formatCount(run.planned ?? 0)}` : done;
}

/** Return sentences about a run beside its results. */
export function remarks(run: RunRecord): string[] {
  const { name, steps } = run;
  const done = steps.at(-1)?.step ?? 0;
  const worse = endsWorse(run);
  const takenBack = run.rejected ?? 0;
  const found: string[] = [];
  if (hasDiverged(run)) {
    const where = done > 0 ? ` at step ${stepCount(run)}` : '';
    found.push(`${name} diverged${where}: its loss stopped being finite.`);
  }
  const early = whyStopped(run);
  if (early !== undefined) found.push(`${name} ${early}.`);
  const kept = keptStep(run);
  if (kept !== undefined) found.push(`${name} ${kept}.`);
  if (worse !== undefined) found.push(`${name} ${worse}.`);
  if (run.takenBack)
    found.push(`${name} did not lower the loss on the training set: the model is kept as it was given.`);
  if (takenBack > 0) {
    const were = takenBack === 1 ? 'was' : 'were';
    found.push(`${formatCount(takenBack)} of ${formatSteps(done)} of ${name} ${were} taken back.`);
  }
  return found;
}

const reasons: Readonly<Record<StopReason, string>> = {
  finished: '',
  interrupted: '',
  error: '',
  time: ': its time was up',
  'early stopping': ', since it no longer improved',
  callback: ' by a callback',
};

/** Return `was stopped after 30 of 200 steps, …`; undefined if a run took all its steps, or diverged. */
export function whyStopped(run: RunRecord): string | undefined {
  if (hasDiverged(run) || !endedEarly(run)) return undefined;
  return `was stopped after ${stepsDone(run)}${reasons[run.stopped ?? 'finished']}`;
}

/** Return `has the parameters of step 60, …`; undefined if those of the last step are kept. */
export function keptStep({ best, steps }: RunRecord): string | undefined {
  if (best === undefined) return undefined;
  const { step, metric, value } = best;
  const which = step === steps.at(-1)?.step ? 'the last step' : `step ${formatCount(step)}`;
  return `has the parameters of ${which}, which had the best ${words(metric)} (${formatMetric(metric, value)})`;
}

const endedEarly = ({ steps, planned }: RunRecord): boolean =>
  planned !== undefined && (steps.at(-1)?.step ?? 0) < planned;
