// Checks of hyper-parameters, and numbers of the graph that can change with the step.
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import { checkedNumber, described, isRecord, type Range } from '../options.js';
import { didYouMean } from '../suggest.js';
import type { StepContext } from './optimizer.js';
import type { Schedule } from './schedules.js';

/**
 * Return the number, or the schedule as a function of the step alone.
 * @throws OptionError if the number is not finite or out of range; the numbers of a schedule are checked at each step, and
 *   may be equal to a limit above which a number has to be: rates fall to 0
 */
export function checked(name: string, value: number, range: Range): number;
export function checked(name: string, value: Schedule, range: Range): Schedule;
export function checked(name: string, value: Schedule, range: Range): Schedule {
  return typeof value === 'function'
    ? (step) => givenAt(name, step, value(step), range)
    : checkedNumber(name, value, range);
}

/** What a schedule gives at a step. Who feeds it refuses NaN and infinities. */
function givenAt(name: string, step: number, value: number, { above, ...range }: Range): number {
  if (typeof value === 'number' && !Number.isFinite(value)) return value;
  return checkedNumber(`${name} at step ${step}`, value, { ...(above !== undefined && { atLeast: above }), ...range });
}

/** Return a number of the graph: the constant itself, or a scalar that the trainer feeds for a schedule. */
export const numberOf = ({ scalar }: Pick<StepContext, 'scalar'>, name: string, value: Schedule): number | Value =>
  typeof value === 'number' ? value : scalar(name, value);

/** Return whether a factor or a decay can have an effect: not if it is the number 0. */
export const isSome = (value: Schedule): boolean => value !== 0;

/**
 * Return an option that is an object of some kind; undefined if it is not given.
 * @param method a method that every object of the kind has
 * @param makers names of the functions that make one
 * @throws OptionError that names the makers, for a word, a function that is not called, or an object of another kind
 */
export function checkedObject<T extends object>(
  name: string,
  value: T | undefined,
  method: keyof T & string,
  makers: readonly string[],
): T | undefined {
  const given: unknown = value;
  if (given === undefined || (isRecord(given) && typeof given[method] === 'function')) return value;
  const calls = makers.map((maker) => `${maker}()`);
  const word = typeof given === 'string' ? given : typeof given === 'function' ? given.name : '';
  const camel = word.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
  const hint = makers.includes(camel) ? `call it: ${camel}()` : `give ${listed(calls)}${didYouMean(camel, makers)}`;
  throw new OptionError(`${name} is ${described(given)}; ${hint}`);
}

const listed = (words: readonly string[]): string =>
  words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
