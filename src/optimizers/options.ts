// Checks of hyper-parameters, and schedules: numbers that may change with the step.
import { OptionError } from '../errors.js';
import { checkedNumber, described, type Range } from '../options.js';

/** A constant, or a function of the step counted from 0. */
export type Schedule = number | ((step: number) => number);

/** @throws OptionError where a function gives no finite number */
export function at(schedule: Schedule, step: number): number {
  if (typeof schedule === 'number') return schedule;
  const value = schedule(step);
  if (Number.isFinite(value)) return value;
  throw new OptionError(
    `a schedule gives ${described(value)} at step ${step}; it must give a finite number at every step`,
  );
}

/** peak/√(1 + k/100) at step k: the averages of the iterates then converge, and no length of the run need be known. */
export const inverseRoot =
  (peak: number): Schedule =>
  (step) =>
    peak / Math.sqrt(1 + step / 100);

/** The number itself; throws OptionError where it is not finite or out of range. Functions of the step are not checked. */
export function checked<T extends Schedule>(name: string, value: T, range: Range): T {
  if (typeof value !== 'function') checkedNumber(name, value, range);
  return value;
}

/**
 * Refuses functions for options that are numbers for a whole run.
 * @param schedules names of the options that may change with the step
 */
export function refuseSchedules<Options extends object>(options: Options, schedules: readonly (keyof Options)[]): void {
  for (const [name, value] of Object.entries(options)) {
    if (typeof value !== 'function' || (schedules as readonly string[]).includes(name)) continue;
    throw new OptionError(
      `${name} is ${described(value)}; of these options only ${schedules.join(', ')} may be a function of the step`,
    );
  }
}
