// The flags that steer a run: schedules by name, warm-up, plateaus, clipping, groups of parameters, what is kept of the weights.
import { Option } from 'commander';
import { OptionError } from '../errors.js';
import { type Group, type GroupOptions, type OwnNumber, parameterGroups } from '../optimizers/groups.js';
import { layerwiseDecay } from '../optimizers/layer-decay.js';
import type { Optimizer, Setting } from '../optimizers/optimizer.js';
import { type PlateauOptions, reduceOnPlateau } from '../optimizers/plateau.js';
import type { Schedule } from '../optimizers/schedules.js';
import { refusal, withLearningRate } from '../optimizers/tuning.js';
import { type UnfreezingOptions, unfreezing } from '../optimizers/unfreezing.js';
import { checkedNumber } from '../options.js';
import { didYouMean } from '../suggest.js';
import { evaluatedValue, splitNames } from '../training/evaluation/splits.js';
import type { LearningTask } from '../training/task/task.js';
import { runMetrics } from '../training/trainer.js';
import { exponentialAverage, iterateAverage, lastIterate, type WeightAverage } from '../training/weight-average.js';
import { listSchema, reads } from './flag-schema.js';
import type { RunFlags } from './flags.js';
import { type OptionKinds, readOptions } from './named-options.js';
import { number, schedule } from './number.js';
import { isSchedule } from './schedules.js';
import { readShape, type Shape, shaped, shapeHelp } from './shaped-schedules.js';

/** The values of these flags. */
export interface SteeringFlags {
  readonly schedule?: ChosenSchedule;
  readonly warmUp?: number;
  readonly clipNorm?: Schedule;
  readonly clipValue?: Schedule;
  readonly group?: readonly Group[];
  readonly layerDecay?: number;
  readonly average?: WeightAverage;
  readonly unfreezeAfter?: number;
}

/** A shape over the run, or a rate that falls on plateaus. */
type ChosenSchedule =
  | { readonly text: string; readonly shape: Shape }
  | { readonly text: string; readonly plateau: PlateauOptions };

/** Return the flags, in the order of the help. */
export const steeringFlags = (): Option[] => [
  new Option(
    '--schedule <name>',
    `how the learning rate changes over the run, one of\n${shapeHelp().join('\n')}\n  reduce-on-plateau[:OPTION=VALUE…]\n      multiplied by factor (default: 0.1) when a value has not improved for patience (10) looks; monitor=VALUE\n      names it (default: the validation loss, or the loss of the batches of each epoch), and there are\n      threshold (0.0001), cooldown (0), minimum (0)`,
  ).argParser(readSchedule),
  new Option('--warm-up <n>', 'steps at the start in which the learning rate rises to its first value').argParser(
    number('--warm-up', { atLeast: 1, integer: true }),
  ),
  new Option(
    '--clip-norm <x>',
    'cut the gradient to this norm, of all parameters together, before the optimizer sees it',
  ).argParser(schedule('--clip-norm', { above: 0 })),
  new Option('--clip-value <x>', 'cut each element of the gradient to −x … x').argParser(
    schedule('--clip-value', { above: 0 }),
  ),
  new Option(
    '--group <glob:option=value>',
    "train the parameters whose names match otherwise: 'head.*:learning-rate=10x' or '*.bias:learning-rate=2x,weight-decay=0'; repeatable, the first that matches counts",
  ).argParser(reads(listSchema(), (text: string, before: readonly Group[] = []) => [...before, readGroup(text)])),
  new Option(
    '--layer-decay <x>',
    'factor on the learning rate of a layer for each layer between it and the output, e.g. 0.8',
  ).argParser(number('--layer-decay', { above: 0, atMost: 1 })),
  new Option(
    '--average <kind>',
    'what is kept of the weights: iterate[:0.99] (an average of the last ninth of the run), ema[:0.999] or none, the last ones (default: what the optimizer averages)',
  ).argParser(readAverage),
  new Option(
    '--unfreeze-after <epochs>',
    'train what --freeze and --train leave out, or all but the new head of --new-head, too, after so many epochs',
  ).argParser(number('--unfreeze-after', { above: 0 })),
];

const plateauKinds: OptionKinds = {
  factor: 'number',
  patience: 'number',
  threshold: 'number',
  cooldown: 'number',
  minimum: 'number',
  every: 'count',
};

function readSchedule(text: string): ChosenSchedule {
  const [name, ...parts] = text.split(':');
  if (name !== 'reduce-on-plateau') return { text, shape: readShape(text) };
  return { text, plateau: plateauOptions(text, parts) };
}

/** The name of a value is no number: it is taken out before the others are read. */
function plateauOptions(text: string, parts: readonly string[]): PlateauOptions {
  const watched = parts.filter((part) => part.startsWith('monitor='));
  if (watched.length > 1) throw new OptionError(`--schedule '${text}': monitor is given twice; give it once`);
  const others = parts.filter((part) => !watched.includes(part));
  const monitor = watched[0]?.slice('monitor='.length);
  const read = readOptions(`--schedule '${text}'`, others, plateauKinds) as PlateauOptions;
  return { ...read, ...(monitor !== undefined && { monitor }) };
}

/** Read `GLOB:option=value,option=value`. */
function readGroup(text: string): Group {
  const write = `write GLOB:learning-rate=10x, or GLOB:learning-rate=0.1x,weight-decay=0`;
  const [, glob, list] = /^(.+):([a-z-]+=.*)$/s.exec(text) ?? [];
  if (glob === undefined || list === undefined) throw new OptionError(`--group is '${text}'; ${write}`);
  const options: { learningRate?: OwnNumber; weightDecay?: OwnNumber } = {};
  for (const part of list.split(',')) {
    const [key = '', value = ''] = part.split('=').map((each) => each.trim());
    const name = ({ 'learning-rate': 'learningRate', 'weight-decay': 'weightDecay' } as const)[key];
    if (name === undefined) {
      const known = ['learning-rate', 'weight-decay'];
      throw new OptionError(`--group '${text}': unknown option '${key}'${didYouMean(key, known)}; ${write}`);
    }
    if (options[name] !== undefined) throw new OptionError(`--group '${text}': ${key} is given twice; give it once`);
    options[name] = readOwnNumber(`--group '${text}': ${key}`, value);
  }
  return [glob, options satisfies GroupOptions];
}

/** Read `0.01`, or a factor `10x`. */
function readOwnNumber(what: string, text: string): OwnNumber {
  const isFactor = text.endsWith('x');
  const digits = isFactor ? text.slice(0, -1) : text;
  const value = digits.trim() === '' ? Number.NaN : Number(digits);
  if (Number.isNaN(value)) throw new OptionError(`${what} is '${text}'; give a number, or a factor such as 10x`);
  checkedNumber(what, value, { atLeast: 0 });
  return isFactor ? { times: value } : value;
}

function readAverage(text: string): WeightAverage {
  const [kind = '', digits, ...more] = text.split(':');
  const averages = { iterate: iterateAverage, ema: exponentialAverage, none: lastIterate } as const;
  const make = Object.hasOwn(averages, kind) ? averages[kind as keyof typeof averages] : undefined; // it is one of them
  if (!make || more.length > 0 || (kind === 'none' && digits !== undefined)) {
    throw new OptionError(
      `--average is '${text}'${didYouMean(kind, Object.keys(averages))}; write iterate, iterate:0.99, ema, ema:0.999 or none`,
    );
  }
  return digits === undefined ? make() : make(number(`--average ${kind}`, { above: 0, below: 1 })(digits));
}

/** A run as it is planned, for the flags that steer its optimizer. */
interface SteeredRun {
  readonly task: LearningTask;
  readonly total: number;
  readonly setting: Setting;
  readonly flags: RunFlags;
  readonly unfreezing?: UnfreezingOptions;
}

/**
 * Return an optimizer with a run's schedule and groups.
 * @param spec its text on the command line
 * @param isOneOfSeveral leave out the schedule if the optimizer has no learning rate: others may have one
 * @throws OptionError for flags without an effect on it
 */
export function steered(optimizer: Optimizer, spec: string, run: SteeredRun, isOneOfSeveral = false): Optimizer {
  const { group, average, layerDecay } = run.flags;
  if (average && /:iterate-averaging=/.test(spec)) {
    throw new OptionError(`optimizer '${spec}' and --average both say what is averaged; give it once`);
  }
  const inParts = run.unfreezing ? unfreezing(optimizer, run.unfreezing) : optimizer;
  const layered = layerDecay === undefined ? inParts : layerwiseDecay(inParts, layerDecay);
  const grouped = group ? parameterGroups(layered, group) : layered;
  const { flags, setting, total } = run;
  if (!flags.schedule && flags.warmUp === undefined) return grouped;
  const reason = optimizer.rateless?.(setting);
  if (reason !== undefined) {
    if (isOneOfSeveral) return grouped;
    throw new OptionError(refusal(spec, flags.schedule ? '--schedule' : '--warm-up', reason));
  }
  const { schedule: chosen, warmUp: warming } = flags;
  if (chosen && 'shape' in chosen) {
    refuseTwoSchedules(spec, flags);
    if (warming !== undefined && chosen.text.startsWith('one-cycle')) {
      throw new OptionError(`--warm-up has no effect: '${chosen.text}' rises by itself; change its share RISE`);
    }
    return withLearningRate(grouped, (peak) => shaped(chosen.shape, peak, total, warming));
  }
  const warmed =
    warming === undefined ? grouped : withLearningRate(grouped, (peak, own) => shaped(() => own, peak, total, warming));
  return chosen ? reduceOnPlateau(warmed, watched(chosen.plateau, run)) : warmed;
}

/** @throws OptionError if the learning rate is a schedule already */
function refuseTwoSchedules(spec: string, { learningRate, schedule: chosen }: RunFlags): void {
  const [, own = ''] = /:learning-rate=([^:]*)/.exec(spec) ?? [];
  if (typeof learningRate !== 'function' && !isSchedule(own)) return;
  const given = typeof learningRate === 'function' ? `--learning-rate '${learningRate}'` : `optimizer '${spec}'`;
  throw new OptionError(
    `${given} and --schedule '${chosen?.text}' both give a schedule: give the learning rate as a number`,
  );
}

/** The options of a plateau with the name of what is watched in the records. */
function watched(options: PlateauOptions, { task, flags }: SteeredRun): PlateauOptions {
  const { monitor, ...others } = options;
  if (monitor === undefined && (!task.data.validation || others.every !== undefined)) return options;
  if (monitor === 'loss') return options;
  const splits = splitNames.filter((split) => task.data[split] !== undefined);
  const value = evaluatedValue('monitor', monitor ?? 'validationLoss', runMetrics(task, flags), splits);
  return { ...others, monitor: value.key, mode: value.lowerIsBetter ? 'min' : 'max' };
}
