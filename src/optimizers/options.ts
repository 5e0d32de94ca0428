// Checks of hyper-parameters, and schedules: numbers that may change with the step.
import { OptionError } from '../errors.js';

/** A constant, or a function of the step counted from 0. */
export type Schedule = number | ((step: number) => number);

export const at = (schedule: Schedule, step: number): number =>
  typeof schedule === 'number' ? schedule : schedule(step);

/** peak/√(1 + k/100) at step k: the averages of the iterates then converge, and no length of the run need be known. */
export const inverseRoot =
  (peak: number): Schedule =>
  (step) =>
    peak / Math.sqrt(1 + step / 100);

interface Range {
  readonly above?: number;
  readonly atLeast?: number;
  readonly below?: number;
  readonly atMost?: number;
  readonly integer?: boolean;
}

/** The number itself; throws OptionError where it is not finite or out of range. Functions of the step are not checked. */
export function checked<T extends Schedule>(name: string, value: T, range: Range): T {
  if (typeof value !== 'number') return value;
  const bounds = [
    range.above === undefined ? undefined : `greater than ${range.above}`,
    range.atLeast === undefined ? undefined : `at least ${range.atLeast}`,
    range.below === undefined ? undefined : `less than ${range.below}`,
    range.atMost === undefined ? undefined : `at most ${range.atMost}`,
  ].filter((bound) => bound !== undefined);
  const fits =
    Number.isFinite(value) &&
    (range.above === undefined || value > range.above) &&
    (range.atLeast === undefined || value >= range.atLeast) &&
    (range.below === undefined || value < range.below) &&
    (range.atMost === undefined || value <= range.atMost) &&
    (!range.integer || Number.isInteger(value));
  if (!fits) {
    const kind = range.integer ? 'a whole number' : 'a finite number';
    throw new OptionError(`${name} is ${value}; it must be ${[kind, ...bounds].join(', ')}`);
  }
  return value;
}
