// Schedules: learning rates and other numbers that change from step to step, each a function of the step counted from 0.
import { OptionError } from '../errors.js';
import {
  checkedCount,
  checkedFlag,
  checkedNumber,
  checkedWord,
  checkKeys,
  described,
  type OptionKeys,
  type Range,
} from '../options.js';

/** A constant, or a function of the step counted from 0. */
export type Schedule = number | ((step: number) => number);

/** A schedule whose text and JSON are the words of the command line for it: `cosine:0.1:1000`. */
export interface NamedSchedule {
  (step: number): number;
  toString(): string;
  toJSON(): string;
}

/** Return the number of a schedule at a step. */
export const at = (schedule: Schedule, step: number): number =>
  typeof schedule === 'number' ? schedule : schedule(step);

/**
 * Return the schedule that is the same number at every step.
 * @throws OptionError if the number is negative or not finite
 * @example
 * constant(0.1)(1000); // 0.1
 */
export function constant(value: number): NamedSchedule {
  level('value', value);
  return named('constant', [value], () => value);
}

/**
 * Return the schedule `initial · factor^⌊k/every⌋`.
 * @throws OptionError if a number is out of range
 * @example
 * adamw({ learningRate: step(0.1, 0.5, 1000) }); // halved every 1000 steps
 */
export function step(initial: number, factor: number, every: number): NamedSchedule {
  level('initial', initial);
  checkedNumber('factor', factor, positive);
  checkedCount('every', every);
  return named('step', [initial, factor, every], (k) => initial * factor ** Math.floor(k / every));
}

/**
 * Return the schedule that is multiplied by `factor` at each milestone; a milestone that is given twice counts twice.
 * @param milestones steps in ascending order
 * @throws OptionError if a number is out of range, or a milestone is before the previous one
 * @example
 * sgd({ learningRate: multiStep(0.1, 0.1, [3000, 6000]) });
 */
export function multiStep(initial: number, factor: number, milestones: readonly number[]): NamedSchedule {
  level('initial', initial);
  checkedNumber('factor', factor, positive);
  ascending('milestones', milestones, (earlier, later) => earlier <= later);
  return named(
    'multi-step',
    [initial, factor, ...milestones],
    (k) => initial * factor ** milestones.filter((milestone) => milestone <= k).length,
  );
}

/**
 * Return the schedule of given values, each beginning at its step: `[[0, 0.1], [1000, 0.01]]`.
 * @throws OptionError if a number is out of range, the first step is not 0, or a step is not after the previous one
 * @example
 * sgd({ learningRate: piecewise([[0, 0.1], [1000, 0.03], [2000, 0.01]]) });
 */
export function piecewise(pieces: readonly (readonly [step: number, value: number])[]): NamedSchedule {
  list('pieces', pieces);
  const starts = pieces.map(([start]) => start);
  ascending('steps', starts, (earlier, later) => earlier < later);
  if (starts[0] !== 0) throw new OptionError(`the first piece starts at step ${starts[0]}; it must start at step 0`);
  for (const [, value] of pieces) level('value', value);
  const [, ...later] = pieces.flat();
  return named('piecewise', later, (k) => pieces.findLast(([start]) => start <= k)?.[1] ?? Number.NaN);
}

/**
 * Return the schedule `initial · factor^(k/every)`.
 * @throws OptionError if a number is out of range
 * @example
 * adam({ learningRate: exponential(0.01, 0.5, 1000) }); // halves smoothly every 1000 steps
 */
export function exponential(initial: number, factor: number, every = 1): NamedSchedule {
  level('initial', initial);
  checkedNumber('factor', factor, positive);
  checkedCount('every', every);
  return named('exponential', [initial, factor, every], (k) => initial * factor ** (k / every));
}

/**
 * Return the schedule that changes linearly from `initial` to `end` in `steps` steps, and stays there.
 * @throws OptionError if a number is out of range
 * @example
 * adamw({ learningRate: linear(0.001, 0, 5000) });
 */
export function linear(initial: number, end: number, steps: number): NamedSchedule {
  return passage('linear', [initial, end, steps], { initial, end, steps, curve: straight });
}

/**
 * Return the schedule `end + (initial − end)·(1 − k/steps)^power`, which stays at `end`.
 * @throws OptionError if a number is out of range
 * @example
 * sgd({ learningRate: polynomial(0.1, 5000, 2) });
 */
export function polynomial(initial: number, steps: number, power = 1, end = 0): NamedSchedule {
  checkedNumber('power', power, positive);
  const curve = (progress: number): number => (1 - progress) ** power;
  return passage('polynomial', [initial, steps, power, end], { initial, end, steps, curve });
}

/**
 * Return the schedule `end + (peak − end)·(1 + cos(π·k/steps))/2`, which stays at `end` (Loshchilov & Hutter 2017, SGDR,
 * arXiv 1608.03983, equation 5, without restarts).
 * @throws OptionError if a number is out of range
 * @example
 * adamw({ learningRate: warmUp(100, cosine(0.001, 5000)) });
 */
export function cosine(peak: number, steps: number, end = 0): NamedSchedule {
  level('peak', peak);
  return passage('cosine', [peak, steps, end], { initial: peak, end, steps, curve: halfCosine });
}

/**
 * Return cosines one after the other (SGDR, arXiv 1608.03983, equation 5): the first takes `steps` steps from `peak` to
 * `end`, each later one `growth` times as many as the one before.
 * @throws OptionError if a number is out of range
 * @example
 * sgd({ learningRate: cosineWithRestarts(0.1, 1000, 2) }); // restarts at steps 1000, 3000, 7000, …
 */
export function cosineWithRestarts(peak: number, steps: number, growth = 1, end = 0): NamedSchedule {
  level('peak', peak);
  level('end', end);
  checkedCount('steps', steps);
  checkedCount('growth', growth);
  return named('cosine-with-restarts', [peak, steps, growth, end], (k) => {
    let [past, length] = [growth === 1 ? k % steps : k, steps];
    for (; past >= length; length *= growth) past -= length;
    return between(peak, end, halfCosine(past / length));
  });
}

export interface OneCycleOptions {
  /** Share of the steps in which the rate rises to the peak; 0.3 by default. */
  readonly rise?: number;
  /** The number at step 0; a 25th of the peak by default. */
  readonly initial?: number;
  /** The number at the last step; a ten-thousandth of `initial` by default. */
  readonly end?: number;
  /** The curve of each phase: `cosine` by default. */
  readonly curve?: 'cosine' | 'linear';
  /** Whether the number falls to `initial` as fast as it rose, and to `end` in the steps that remain; false by default. */
  readonly threePhase?: boolean;
}

const oneCycleKeys: OptionKeys<OneCycleOptions> = {
  rise: true,
  initial: true,
  end: true,
  curve: true,
  threePhase: true,
};

/**
 * Return the schedule that rises from `initial` to `peak` and falls to `end` in `steps` steps (Smith & Topin 2018,
 * arXiv 1708.07120), with the phases of PyTorch's OneCycleLR.
 * @throws OptionError for unknown options, a number out of range, or a phase without a step
 * @example
 * sgd({ learningRate: oneCycle(0.5, 2000), momentum: 0.9 });
 */
export function oneCycle(peak: number, steps: number, options: OneCycleOptions = {}): NamedSchedule {
  checkKeys('oneCycle', options, oneCycleKeys);
  level('peak', peak);
  checkedCount('steps', steps);
  const rise = checkedNumber('rise', options.rise ?? 0.3, { above: 0, below: 1 });
  const initial = level('initial', options.initial ?? peak / 25);
  const end = level('end', options.end ?? initial / 1e4);
  const curve = checkedWord('curve', options.curve, ['cosine', 'linear']) ?? 'cosine';
  const threePhase = checkedFlag('threePhase', options.threePhase) ?? false;
  const top = rise * steps - 1;
  const points = [
    { step: 0, value: initial },
    { step: top, value: peak },
    ...(threePhase ? [{ step: 2 * top, value: initial }] : []),
    { step: steps - 1, value: end },
  ];
  const phases = points.slice(1).map((to, i) => ({ from: points[i] ?? to, to }));
  const empty = phases.find(({ from, to }) => to.step <= from.step);
  if (empty) {
    throw new OptionError(
      `a phase of oneCycle ends at step ${empty.to.step} and starts at step ${empty.from.step}: ` +
        `give more than ${steps} steps, or a rise other than ${rise}`,
    );
  }
  const shape = curve === 'cosine' ? halfCosine : straight;
  const words = [...(curve === 'linear' ? ['linear'] : []), ...(threePhase ? ['three-phase'] : [])];
  return named('one-cycle', [peak, steps, rise, initial, end, ...words], (k) => {
    const phase = phases.find(({ to }) => k <= to.step);
    if (!phase) return end;
    const { from, to } = phase;
    return between(from.value, to.value, shape((k - from.step) / (to.step - from.step)));
  });
}

/**
 * Return the schedule `peak/√(1 + k/steps)`: averages of the iterates converge with it, whatever the length of the run.
 * @param steps the step at which the number is peak/√2
 * @throws OptionError if a number is out of range
 * @example
 * adam({ learningRate: inverseRoot(0.003) });
 */
export function inverseRoot(peak: number, steps = 100): NamedSchedule {
  level('peak', peak);
  checkedCount('steps', steps);
  return named('inverse-root', [peak, steps], (k) => peak / Math.sqrt(1 + k / steps));
}

/**
 * Return a schedule with a warm-up before it: a straight line, in `steps` steps, to the first number of the schedule, which
 * then begins.
 * @param initial the number at step 0; by default one step of a line from 0, so that the first step is not 0
 * @throws OptionError if a number is out of range
 * @example
 * adamw({ learningRate: warmUp(100, cosine(0.001, 5000)) });
 */
export function warmUp(steps: number, schedule: Schedule, initial?: number): NamedSchedule {
  checkedCount('steps', steps);
  const given: unknown = schedule;
  if (typeof given !== 'number' && typeof given !== 'function') {
    throw new OptionError(
      `the schedule after the warm-up is ${described(given)}; give a number, or a schedule such as cosine(0.001, 5000)`,
    );
  }
  const first = level('the schedule at its start', at(schedule, 0));
  const start = initial === undefined ? first / (steps + 1) : level('initial', initial);
  return named('warm-up', [steps, ...(initial === undefined ? [] : [initial]), textOf(schedule)], (k) =>
    k < steps ? start + ((first - start) * k) / steps : at(schedule, k - steps),
  );
}

/** A schedule in the words of the command line; for a function without words, its name. */
const textOf = (schedule: Schedule): string =>
  typeof schedule === 'function' && !('toJSON' in schedule) ? schedule.name || 'function' : String(schedule);

/** A change from one number to another in a number of steps. */
interface Passage {
  readonly initial: number;
  readonly end: number;
  readonly steps: number;
  readonly curve: (progress: number) => number;
}

function passage(name: string, words: readonly number[], { initial, end, steps, curve }: Passage): NamedSchedule {
  level('initial', initial);
  level('end', end);
  checkedCount('steps', steps);
  return named(name, words, (k) => (k < steps ? between(initial, end, curve(k / steps)) : end));
}

/** @param share of `from`: 1 gives `from`, 0 gives `to` */
const between = (from: number, to: number, share: number): number => to + (from - to) * share;
const straight = (progress: number): number => 1 - progress;
const halfCosine = (progress: number): number => (1 + Math.cos(Math.PI * progress)) / 2;

const positive: Range = { above: 0 };
/** The numbers of schedules are rates, weights and dampings: none is negative. */
const level = (name: string, value: number): number => checkedNumber(name, value, { atLeast: 0 });

function list(name: string, given: unknown): void {
  if (Array.isArray(given) && given.length > 0) return;
  throw new OptionError(`${name} is ${described(given)}; give an array of at least one`);
}

function ascending(name: string, steps: readonly number[], inOrder: (earlier: number, later: number) => boolean): void {
  list(name, steps);
  for (const [i, later] of steps.entries()) {
    checkedNumber(`${name}[${i}]`, later, { atLeast: 0, integer: true });
    const earlier = steps[i - 1];
    if (earlier === undefined || inOrder(earlier, later)) continue;
    throw new OptionError(`${name}: step ${later} stands after step ${earlier}; give them in ascending order`);
  }
}

function named(name: string, words: readonly (number | string)[], numberAt: (step: number) => number): NamedSchedule {
  const text = [name, ...words].join(':');
  const schedule = (k: number): number => numberAt(checkedNumber(`the step of ${text}`, k, { atLeast: 0 }));
  // Messages show the function's name.
  return Object.defineProperties(Object.assign(schedule, { toString: () => text, toJSON: () => text }), {
    name: { value: text },
  });
}
