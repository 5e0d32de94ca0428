// The flags that several commands share, read strictly: a number is in its range, or a message says what it must be.
import { Option } from 'commander';
import type { Augmentation } from '../data/augment.js';
import { dataKinds } from '../data/spec.js';
import { OptionError } from '../errors.js';
import { lossNames, lossOf } from '../losses/index.js';
import type { Loss } from '../losses/loss.js';
import { metricNames, metricsOf } from '../metrics/index.js';
import type { Metric } from '../metrics/metric.js';
import type { Schedule } from '../optimizers/schedules.js';
import { checkedNumber, mostSteps, mostThreads, type Range } from '../options.js';
import { readOptions } from './named-options.js';
import { count, number } from './number.js';
import { readSchedule } from './schedules.js';
import { type StoppingFlags, stoppingFlags } from './stopping-flags.js';

/** Return a reader of a flag's number or schedule. */
const schedule =
  (flag: string, range: Range): ((text: string) => Schedule) =>
  (text) => {
    const value = readSchedule(flag, text);
    return typeof value === 'number' ? checkedNumber(flag, value, range) : value;
  };

/** Collect a flag that may be given several times. */
const repeated = (text: string, before: readonly string[] = []): string[] => [...before, text];

/** The values of the shared flags. */
export interface RunFlags extends StoppingFlags {
  readonly data: string;
  readonly steps?: number;
  readonly epochs?: number;
  readonly batchSize?: number;
  readonly learningRate?: Schedule;
  readonly damping?: Schedule;
  readonly rank?: number;
  readonly loss?: Loss;
  readonly metrics?: readonly Metric[];
  readonly evaluateEvery?: number;
  readonly evaluationExamples?: number;
  readonly target?: { readonly metric: string; readonly value: number };
  readonly normalize?: boolean;
  readonly augment?: Augmentation;
  readonly seed: number;
  readonly threads?: number;
  readonly out?: string;
  readonly overwrite?: boolean;
  readonly json?: boolean;
  readonly train?: readonly string[];
  readonly freeze?: readonly string[];
  readonly newHead?: number;
  readonly lora?: number;
}

const dataFlag = (): Option =>
  new Option('--data <spec>', `the data set, one of\n${dataKinds().join('\n')}`).default('digits');

/** Return the flags of `train` and `compare`, in the order of the help. */
export function runFlags(): Option[] {
  return [
    dataFlag(),
    new Option('--steps <n>', 'number of optimizer steps')
      .argParser(number('--steps', { ...count, atMost: mostSteps }))
      .conflicts('epochs'),
    new Option(
      '--epochs <n>',
      'passes over the training data (default: 5; for text, enough to show each character 5 times)',
    ).argParser(number('--epochs', { above: 0 })),
    new Option(
      '--batch-size <n>',
      'examples per step; at most the training set (default: 500 for autoencoders, otherwise 128)',
    ).argParser(number('--batch-size', count)),
    new Option(
      '--learning-rate <x>',
      'learning rate, a number or a schedule; cgfac and kfac choose their own unless you set one, which selects scheduled steps',
    ).argParser(schedule('--learning-rate', { above: 0 })),
    new Option(
      '--damping <x>',
      'damping of cgfac and kfac: relative for normalized steps, the initial λ for self-tuning steps',
    ).argParser(schedule('--damping', { above: 0 })),
    new Option('--rank <r>', 'number of rows R that cgfac keeps for each Kronecker factor').argParser(
      number('--rank', count),
    ),
    new Option(
      '--diagnostics',
      'report what second-order optimizers do in each layer: in metrics.jsonl and report.html',
    ),
    lossFlag('chosen from the model and the data'),
    new Option(
      '--metrics <list>',
      `metrics to report, separated by commas: ${metricNames.join(', ')} (default: the metric of the loss)`,
    ).argParser((text) => metricsOf(text.split(',').map((word) => word.trim()))),
    new Option(
      '--target <metric=value>',
      'report when a metric first reaches a value, e.g. squaredError=6 or testAccuracy=0.98',
    ).argParser(target),
    new Option('--evaluate-every <n>', 'steps between evaluations (default: a tenth of the run)').argParser(
      number('--evaluate-every', count),
    ),
    new Option(
      '--evaluation-examples <n>',
      'examples of each set to use for evaluations during training (default: 5000; for text, 500)',
    ).argParser(number('--evaluation-examples', count)),
    ...stoppingFlags(),
    new Option(
      '--normalize',
      'standardize inputs inside the model, per channel, and the targets of a regression; model.onnx then takes and predicts values in the units of the data (default: for tables, unless the model is a file)',
    ),
    new Option('--no-normalize', 'do not standardize tables'),
    new Option(
      '--augment <list>',
      'vary pictures during training: flip (left to right), crop=N (shift by up to N pixels, filling with 0), or flip,crop=N',
    ).argParser(augmentation),
    new Option('--seed <n>', 'seed for the initial parameters, the order of the examples, and all other random numbers')
      .argParser(number('--seed', { atLeast: 0, integer: true }))
      .default(0),
    new Option('--threads <n>', 'number of threads (default: all cores)').argParser(
      number('--threads', { ...count, atMost: mostThreads }),
    ),
    new Option('--train <glob>', "train only the parameters whose names match, e.g. 'head.*'; repeatable").argParser(
      repeated,
    ),
    new Option('--freeze <glob>', 'do not train the parameters whose names match; repeatable').argParser(repeated),
    new Option('--new-head <n>', 'replace the last layer with a new one for n classes').argParser(
      number('--new-head', count),
    ),
    new Option(
      '--lora <r>',
      'train low-rank adapters of rank r on the dense layers; they are merged into model.onnx',
    ).argParser(number('--lora', count)),
    outFlag('model.onnx, metrics.jsonl and report.html', 'runs/…'),
    overwriteFlag(),
    new Option('--json', 'print the result as one JSON object on the last line'),
    debugFlag(),
  ];
}

export const outFlag = (files: string, usual: string): Option =>
  new Option('--out <dir>', `folder for ${files} (default: ${usual}, numbered if it already holds a run)`);

export const overwriteFlag = (): Option =>
  new Option('--overwrite', 'replace the run in the folder; other files in it stay');

export const lossFlag = (otherwise: string): Option =>
  new Option('--loss <name>', `the loss: ${lossNames.join(', ')} (default: ${otherwise})`).argParser((text) =>
    lossOf(text),
  );

export const debugFlag = (): Option => new Option('--debug', 'show the stack trace of an error');

function augmentation(text: string): Augmentation {
  const parts = text.split(',').map((part) => part.trim());
  return readOptions(`--augment '${text}'`, parts, { flip: 'boolean', crop: 'count' });
}

/** Read `metric=value`. */
export function target(text: string): { metric: string; value: number } {
  const [, metric, value] = /^([A-Za-z][A-Za-z0-9-]*)=(.+)$/.exec(text) ?? [];
  if (metric === undefined || value === undefined) {
    throw new OptionError(`--target is '${text}'; write METRIC=VALUE, such as squaredError=6 or testAccuracy=0.98`);
  }
  return { metric, value: number('--target', {})(value) };
}
