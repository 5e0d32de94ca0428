// Schedules by name alone, `--schedule cosine`: their peak is the optimizer's learning rate, their length that of the run.
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
import { numbersOf } from './schedules.js';

/** Makes the learning rate of a run from its peak and the number of its steps. */
export type Shape = (peak: number, steps: number) => Schedule;

interface ShapeKind {
  readonly usage: string;
  readonly summary: string;
  /** The least and most numbers behind the name. */
  readonly takes: readonly [number, number];
  readonly make: (peak: number, steps: number, ...numbers: readonly number[]) => Schedule;
}

const kinds: Readonly<Record<string, ShapeKind>> = {
  constant: { usage: '', summary: 'the same at every step', takes: [0, 0], make: constant },
  linear: {
    usage: '[:END]',
    summary: 'straight down to END times the learning rate (default: 0)',
    takes: [0, 1],
    make: (peak, steps, end = 0) => linear(peak, end * peak, steps),
  },
  cosine: {
    usage: '[:END]',
    summary: 'half a cosine down to END times the learning rate (default: 0)',
    takes: [0, 1],
    make: (peak, steps, end = 0) => cosine(peak, steps, end * peak),
  },
  'cosine-with-restarts': {
    usage: '[:STEPS[:GROWTH]]',
    summary: 'half cosines of STEPS steps (default: a quarter of the run), each GROWTH times as long as the one before',
    takes: [0, 2],
    make: (peak, steps, length = Math.ceil(steps / 4), growth = 1) => cosineWithRestarts(peak, length, growth),
  },
  polynomial: {
    usage: '[:POWER[:END]]',
    summary: 'down with a power of the steps that are left (default: 1)',
    takes: [0, 2],
    make: (peak, steps, power = 1, end = 0) => polynomial(peak, steps, power, end * peak),
  },
  exponential: {
    usage: '[:FACTOR[:STEPS]]',
    summary: 'decays by FACTOR (default: 0.01) in STEPS steps (default: the run)',
    takes: [0, 2],
    make: (peak, steps, factor = 0.01, every = steps) => exponential(peak, factor, every),
  },
  step: {
    usage: '[:FACTOR[:STEPS]]',
    summary: 'multiplied by FACTOR (default: 0.1) every STEPS steps (default: a third of the run)',
    takes: [0, 2],
    make: (peak, steps, factor = 0.1, every = Math.ceil(steps / 3)) => step(peak, factor, every),
  },
  'multi-step': {
    usage: '[:FACTOR[:STEP…]]',
    summary: 'multiplied by FACTOR (default: 0.1) at each STEP (default: at half and at three quarters of the run)',
    takes: [0, Number.POSITIVE_INFINITY],
    make: (peak, steps, factor = 0.1, ...at) =>
      multiStep(peak, factor, at.length > 0 ? at : [Math.ceil(steps / 2), Math.ceil((3 * steps) / 4)]),
  },
  piecewise: {
    usage: ':STEP:FACTOR[:STEP:FACTOR…]',
    summary: 'from each STEP on FACTOR times the learning rate',
    takes: [2, Number.POSITIVE_INFINITY],
    make(peak, _, ...numbers) {
      const pieces = numbers.flatMap((from, i) => (i % 2 === 0 ? [[from, peak * (numbers[i + 1] ?? 1)] as const] : []));
      return piecewise([[0, peak], ...pieces]);
    },
  },
  'one-cycle': {
    usage: '[:RISE]',
    summary: 'rises to the learning rate during the share RISE of the run (default: 0.3), then falls',
    takes: [0, 1],
    make: (peak, steps, rise = 0.3) => oneCycle(peak, steps, { rise }),
  },
  'inverse-root': {
    usage: '[:STEPS]',
    summary: 'divided by √(1 + k/STEPS) at step k (default: 100)',
    takes: [0, 1],
    make: (peak, _, steps = 100) => inverseRoot(peak, steps),
  },
};

export const shapeNames: readonly string[] = Object.keys(kinds);

/** Return the lines about them for --help. */
export const shapeHelp = (): readonly string[] =>
  Object.entries(kinds).map(([name, { usage, summary }]) => `  ${name}${usage}\n      ${summary}`);

/**
 * Read the name of a schedule with its numbers.
 * @param text e.g. `cosine` or `step:0.5:100`
 * @throws OptionError for an unknown name, and for numbers that it does not take
 */
export function readShape(text: string): Shape {
  const [name = '', ...parts] = text.split(':');
  const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
  if (!kind) {
    const names = [...shapeNames, 'reduce-on-plateau'];
    throw new OptionError(
      `--schedule is '${text}', which begins with no schedule${didYouMean(name, names)}; choose one of ${names.join(', ')}`,
    );
  }
  const numbers = numbersOf(parts);
  const [least, most] = kind.takes;
  if (!numbers || numbers.length < least || numbers.length > most || (name === 'piecewise' && numbers.length % 2 > 0)) {
    throw new OptionError(
      `--schedule is '${text}'; write ${name}${kind.usage}: the learning rate is given by --learning-rate, and the length is that of the run`,
    );
  }
  return (peak, steps) => {
    try {
      return kind.make(peak, steps, ...numbers);
    } catch (error) {
      if (error instanceof OptionError)
        throw new OptionError(`--schedule is '${text}': ${error.message}`, { cause: error });
      throw error;
    }
  };
}

/**
 * Return the learning rate of a run with a warm-up.
 * @param steps of the run, the warm-up among them
 * @throws OptionError if the warm-up leaves no step
 */
export function shaped(shape: Shape, peak: number, steps: number, warmUpSteps: number | undefined): Schedule {
  if (warmUpSteps === undefined) return shape(peak, steps);
  if (warmUpSteps >= steps) {
    throw new OptionError(`--warm-up is ${warmUpSteps}, and the run has ${steps} steps; give fewer`);
  }
  return warmUp(warmUpSteps, shape(peak, steps - warmUpSteps));
}
