// Schedules as the command line writes them: a number, or a name and its numbers, `cosine:0.1:1000`.
import { OptionError } from '../errors.js';
import {
  constant,
  cosine,
  cosineWithRestarts,
  exponential,
  inverseRoot,
  linear,
  multiStep,
  oneCycle,
  piecewise,
  polynomial,
  type Schedule,
  step,
  warmUp,
} from '../optimizers/schedules.js';
import { didYouMean } from '../suggest.js';

interface Kind {
  /** The form of what follows the name, for help and messages. */
  readonly usage: string;
  /** A description for help. */
  readonly summary: string;
  /** Return the schedule of the parts after the name, or undefined if they do not have the form of `usage`. */
  readonly read: (parts: readonly string[]) => Schedule | undefined;
}

/** A kind that takes from `least` to `most` numbers. */
const ofNumbers = (
  [least, most]: readonly [number, number],
  usage: string,
  summary: string,
  create: (...numbers: number[]) => Schedule,
): Kind => ({
  usage,
  summary,
  read(parts) {
    const numbers = numbersOf(parts);
    return numbers && numbers.length >= least && numbers.length <= most ? create(...numbers) : undefined;
  },
});

const kinds: Readonly<Record<string, Kind>> = {
  constant: ofNumbers([1, 1], 'VALUE', 'the same at every step', constant),
  step: ofNumbers([3, 3], 'INITIAL:FACTOR:STEPS', 'multiplied by FACTOR every STEPS steps', step),
  'multi-step': {
    usage: 'INITIAL:FACTOR:STEP[:STEP…]',
    summary: 'multiplied by FACTOR at each STEP',
    read(parts) {
      const [initial, factor, ...milestones] = numbersOf(parts) ?? [];
      if (initial === undefined || factor === undefined || milestones.length === 0) return undefined;
      return multiStep(initial, factor, milestones);
    },
  },
  piecewise: {
    usage: 'VALUE[:STEP:VALUE…]',
    summary: 'the next VALUE from each STEP on',
    read(parts) {
      const numbers = numbersOf(['0', ...parts]);
      if (!numbers || numbers.length % 2 === 1) return undefined;
      return piecewise(numbers.flatMap((from, i) => (i % 2 === 0 ? [[from, numbers[i + 1] ?? from] as const] : [])));
    },
  },
  exponential: ofNumbers(
    [2, 3],
    'INITIAL:FACTOR[:STEPS]',
    'decays smoothly, by FACTOR in STEPS steps (default: 1)',
    exponential,
  ),
  linear: ofNumbers([3, 3], 'INITIAL:END:STEPS', 'linear from INITIAL to END', linear),
  polynomial: ofNumbers([2, 4], 'INITIAL:STEPS[:POWER[:END]]', 'END + (INITIAL − END)·(1 − k/STEPS)^POWER', polynomial),
  cosine: ofNumbers([2, 3], 'PEAK:STEPS[:END]', 'half a cosine from PEAK down to END', cosine),
  'cosine-with-restarts': ofNumbers(
    [2, 4],
    'PEAK:STEPS[:GROWTH[:END]]',
    'repeated half cosines, each GROWTH times as long as the one before',
    cosineWithRestarts,
  ),
  'one-cycle': {
    usage: 'PEAK:STEPS[:RISE[:INITIAL[:END]]][:linear][:three-phase]',
    summary: 'rises to PEAK during the fraction RISE of the steps, then falls to END',
    read(parts) {
      const words = parts.filter((part) => part === 'linear' || part === 'three-phase');
      const numbers = numbersOf(parts.slice(0, parts.length - words.length));
      const [peak, steps, rise, initial, end, ...more] = numbers ?? [];
      if (peak === undefined || steps === undefined || more.length > 0) return undefined;
      return oneCycle(peak, steps, {
        ...(rise !== undefined && { rise }),
        ...(initial !== undefined && { initial }),
        ...(end !== undefined && { end }),
        curve: words.includes('linear') ? 'linear' : 'cosine',
        threePhase: words.includes('three-phase'),
      });
    },
  },
  'inverse-root': ofNumbers([1, 2], 'PEAK[:STEPS]', 'PEAK/√(1 + k/STEPS); STEPS is 100 by default', inverseRoot),
  'warm-up': {
    usage: 'STEPS[:INITIAL]:SCHEDULE',
    summary: 'rises linearly to a number or to the start of another schedule, which then begins',
    read([steps = '', ...others]) {
      const [count] = numbersOf([steps]) ?? [];
      const [initial] = others.length > 1 ? (numbersOf(others.slice(0, 1)) ?? []) : [];
      if (count === undefined || others.length === 0) return undefined;
      return warmUp(count, scheduleOf(initial === undefined ? others : others.slice(1)), initial);
    },
  },
};

/** Return the parts as numbers; undefined if one is not a number. */
export function numbersOf(parts: readonly string[]): readonly number[] | undefined {
  const numbers = parts.map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  return numbers.some(Number.isNaN) ? undefined : numbers;
}

const scheduleNames: readonly string[] = Object.keys(kinds);

/** Return the text about schedules for --help. */
export function scheduleHelp(): string {
  const lines = Object.entries(kinds).map(([name, { usage, summary }]) => `  ${name}:${usage}\n      ${summary}`);
  return [
    'Schedules for learning rates, weight decay, damping, momentum and clipping; k is the step, from 0',
    ...lines,
  ].join('\n');
}

/**
 * Read a number or a schedule.
 * @param what its name in messages: `--learning-rate`
 * @throws OptionError for an unknown schedule, and for numbers that it does not take
 */
export function readSchedule(what: string, text: string): Schedule {
  try {
    return scheduleOf(text.split(':'));
  } catch (error) {
    if (error instanceof OptionError) throw new OptionError(`${what} is '${text}': ${error.message}`, { cause: error });
    throw error;
  }
}

/** Return whether a text begins with the name of a schedule: the parts after it are then its own. */
export const isSchedule = (text: string): boolean => Object.hasOwn(kinds, text.split(':')[0] ?? '');

function scheduleOf([name = '', ...parts]: readonly string[]): Schedule {
  if (parts.length === 0 && name.toLowerCase() === 'nan') return Number.NaN; // for its user to refuse, by name and range
  const [number] = numbersOf([name]) ?? [];
  if (number !== undefined) {
    if (parts.length === 0) return number;
    throw new OptionError(`'${parts.join(':')}' follows the number ${name}; a schedule begins with its name`);
  }
  const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
  if (!kind) {
    throw new OptionError(
      `'${name}' is neither a number nor a schedule${didYouMean(name, scheduleNames)}; the schedules are ${scheduleNames.join(', ')}`,
    );
  }
  const schedule = kind.read(parts);
  if (schedule === undefined) throw new OptionError(`write ${name}:${kind.usage}`);
  return schedule;
}
