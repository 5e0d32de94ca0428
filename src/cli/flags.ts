// The flags that several commands share, read strictly: a number is in its range, or a message says what it must be.
import { Option } from 'commander';
import type { Augmentation } from '../data/augment.js';
import type { ClassWeights } from '../data/class-weights.js';
import { dataKinds } from '../data/spec.js';
import { OptionError } from '../errors.js';
import { lossNames, lossOf } from '../losses/index.js';
import type { Loss } from '../losses/loss.js';
import { metricNames, metricsOf } from '../metrics/index.js';
import type { Metric } from '../metrics/metric.js';
import type { Schedule } from '../optimizers/schedules.js';
import { mostSteps, mostThreads } from '../options.js';
import { debugFlag } from './debug-flag.js';
import { listSchema, reads } from './flag-schema.js';
import { readOptions } from './named-options.js';
import { count, number, schedule } from './number.js';
import { type LogFlags, logFlags } from './run-logs.js';
import { type SteeringFlags, steeringFlags } from './steering-flags.js';
import { type StoppingFlags, stoppingFlags } from './stopping-flags.js';

/** Collect a flag that may be given several times. */
const repeated = reads(listSchema(), (text: string, before: readonly string[] = []): string[] => [...before, text]);

/** The values of the shared flags. */
export interface RunFlags extends StoppingFlags, SteeringFlags, LogFlags {
  readonly data: string;
  readonly steps?: number;
  readonly epochs?: number;
  readonly batchSize?: number | 'auto';
  readonly accumulate?: number;
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
  readonly classWeights?: ClassWeights;
  readonly oversample?: boolean;
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
      'examples per batch; at most the training set; or auto, for one optimizer: the largest power of two that fits into memory and is still faster an example (default: 500 for autoencoders, otherwise 128)',
    ).argParser((text) => (text === 'auto' ? text : number('--batch-size', count)(text))),
    new Option(
      '--accumulate <k>',
      'take k batches in a step, one after the other: the step of one batch k times as large, in the memory of one (default: 1)',
    ).argParser(number('--accumulate', count)),
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
    ).argParser(reads(listSchema(','), (text: string) => metricsOf(text.split(',').map((word) => word.trim())))),
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
    ...steeringFlags(),
    new Option(
      '--normalize',
      'standardize inputs inside the model, per channel, and the targets of a regression; model.onnx then takes and predicts values in the units of the data (default: for tables, unless the model is a file)',
    ),
    new Option('--no-normalize', 'do not standardize tables'),
    new Option(
      '--augment <list>',
      'vary the training examples, e.g. flip,crop=4. Pictures: flip (left to right), crop=N (shift by up to N pixels), rotate=DEGREES, colour=X (brightness, contrast, saturation by 1 ± X), erase=P (hide a rectangle with probability P), fill=X (what comes from outside; 0), cutmix=ALPHA. Numbers: noise=X (in deviations of the column), mixup=ALPHA',
    ).argParser(reads(listSchema(','), augmentation)),
    new Option(
      '--class-weights <list>',
      "how much the training examples of each class count: 'balanced' (all classes alike) or NAME=WEIGHT,…",
    ).argParser(reads(listSchema(','), classWeights)),
    new Option(
      '--oversample',
      'repeat the training examples of smaller classes in each epoch, until all classes have as many',
    ).conflicts('classWeights'),
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
    ...logFlags(),
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

function augmentation(text: string): Augmentation {
  const parts = text.split(',').map((part) => part.trim());
  const numbers = ['rotate', 'colour', 'erase', 'fill', 'noise', 'mixup', 'cutmix'];
  const kinds = {
    flip: 'boolean',
    crop: 'count',
    ...Object.fromEntries(numbers.map((name) => [name, 'number'])),
  } as const;
  return readOptions(`--augment '${text}'`, parts, kinds);
}

function classWeights(text: string): ClassWeights {
  if (text === 'balanced') return text;
  const weights = new Map<string, number>();
  for (const part of text.split(',').map((each) => each.trim())) {
    const at = part.lastIndexOf('=');
    const name = part.slice(0, at);
    if (at < 1) throw new OptionError(`--class-weights is '${text}'; write balanced, or NAME=WEIGHT,NAME=WEIGHT`);
    if (weights.has(name)) throw new OptionError(`--class-weights: '${name}' is given twice; give it once`);
    weights.set(name, number(`--class-weights: the weight of '${name}'`, { atLeast: 0 })(part.slice(at + 1)));
  }
  return Object.fromEntries(weights);
}

/** Read `metric=value`. */
export function target(text: string): { metric: string; value: number } {
  const [, metric, value] = /^([A-Za-z][A-Za-z0-9-]*)=(.+)$/.exec(text) ?? [];
  if (metric === undefined || value === undefined) {
    throw new OptionError(`--target is '${text}'; write METRIC=VALUE, such as squaredError=6 or testAccuracy=0.98`);
  }
  return { metric, value: number('--target', {})(value) };
}
