// The flags that say when a run ends and which parameters it keeps: validation, early stopping, time, and the check that a model
// can learn a few examples by heart.
import { Option } from 'commander';
import type { DataSplits } from '../data/dataset.js';
import { sampled, withValidation } from '../data/split.js';
import { OptionError } from '../errors.js';
import { formatMeasured } from '../format.js';
import type { EarlyStopping, MonitorOptions } from '../training/monitor.js';
import type { RunRecord } from '../training/run-record.js';
import type { RunOptions } from '../training/trainer.js';
import { keptStep, whyStopped } from '../training/verdict.js';
import { duration } from './duration.js';
import { number } from './number.js';

export interface StoppingFlags {
  readonly validation?: number;
  readonly monitor?: string;
  readonly earlyStop?: EarlyStopping;
  readonly maxTime?: number;
  readonly overfit?: number;
}

/** Steps of a run on a few examples, if no number is given. */
export const overfitSteps = 200;

export const stoppingFlags = (): Option[] => [
  new Option(
    '--validation <share>',
    'hold out a share of the training data, of each class alike, by which the run is steered: model.onnx has the parameters with the lowest validation loss',
  ).argParser(number('--validation', { above: 0, below: 1 })),
  new Option(
    '--monitor <value>',
    'keep the parameters with the best value of an evaluation, e.g. val.accuracy (default: val.loss with --validation)',
  ),
  new Option(
    '--early-stop <patience[:min-delta]>',
    'end the run after so many evaluations in a row without an improvement (of at least min-delta)',
  ).argParser(earlyStop),
  new Option(
    '--max-time <time>',
    'end the run after a time, such as 90s, 30m or 1h30m; if it was resumed, of all its parts together',
  ).argParser(duration('--max-time')),
  new Option(
    '--overfit <n>',
    `check that the model can learn: train on n examples alone (${overfitSteps} steps unless you set them)`,
  )
    .argParser(number('--overfit', { atLeast: 1, integer: true }))
    .conflicts('validation'),
];

function earlyStop(text: string): EarlyStopping {
  const [patience = '', minDelta, ...more] = text.split(':');
  if (more.length > 0) {
    throw new OptionError(`--early-stop is '${text}'; write PATIENCE or PATIENCE:MIN_DELTA, such as 5 or 5:0.001`);
  }
  return {
    patience: number('the patience of --early-stop', { atLeast: 1, integer: true })(patience),
    ...(minDelta !== undefined && {
      minDelta: number('the smallest difference of --early-stop', { atLeast: 0 })(minDelta),
    }),
  };
}

/** Return the data of a run: with a validation set, or a few examples alone. */
export function steeredData(data: DataSplits, { validation, overfit }: StoppingFlags, seed: number): DataSplits {
  if (overfit !== undefined) return { ...data, train: sampled(data.train, overfit, seed) };
  return validation === undefined ? data : withValidation(data, { share: validation, seed });
}

/** Return what training takes of these flags. */
export const stoppingOptions = ({
  monitor,
  earlyStop,
  maxTime,
}: StoppingFlags): MonitorOptions & Pick<RunOptions, 'maxTime'> => ({
  ...(monitor !== undefined && { monitor }),
  ...(earlyStop && { earlyStopping: earlyStop }),
  ...(maxTime !== undefined && { maxTime }),
});

/** Return sentences on how a run ended: why so early, which parameters it keeps, whether it fits its few examples. */
export function endingLines(run: RunRecord, { overfit }: StoppingFlags): string[] {
  const kept = keptStep(run);
  const early = whyStopped(run);
  const lines = [
    ...(early === undefined ? [] : [`It ${early}.`]),
    ...(kept === undefined ? [] : [`The model ${kept}.`]),
  ];
  const first = run.steps[0]?.loss;
  if (overfit === undefined || first === undefined) return lines;
  const fits = run.train.loss < 0.1 * first;
  const meaning = fits
    ? 'the model and the optimizer can learn them'
    : 'they should be learned by heart: look at the data (cgfac data), the gradients (cgfac check), the loss, or take more steps';
  const examples = overfit === 1 ? 'the one example' : `the ${overfit} examples`;
  return [
    ...lines,
    `On ${examples} the loss went from ${formatMeasured(first)} to ${formatMeasured(run.train.loss)}: ${meaning}.`,
  ];
}
