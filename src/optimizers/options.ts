// Checks of hyper-parameters, and numbers of the graph that may change with the step.
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import { checkedNumber, described, isRecord, type Range } from '../options.js';
import { didYouMean } from '../suggest.js';
import type { StepContext } from './optimizer.js';
import type { Schedule } from './schedules.js';

/**
 * The number itself, or the schedule, which sees the step alone.
 * @throws OptionError if the number is not finite or out of range; what a function gives is checked at each step, where
 *   the limit above which a number has to be may be reached: rates fall to 0
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

/** A number of the graph: a constant as it is, a schedule as a scalar that the trainer feeds. */
export const numberOf = ({ scalar }: Pick<StepContext, 'scalar'>, name: string, value: Schedule): number | Value =>
  typeof value === 'number' ? value : scalar(name, value);

/** Whether a factor or a decay is there at all: 0 is none, a schedule may be anything. */
export const isSome = (value: Schedule): boolean => value !== 0;

/**
 * An option that is an object of some kind, as one of some functions makes it; undefined if it is not given.
 * @param method what every object of the kind has
 * @param makers names of the functions that make one
 * @throws OptionError that names the makers, for a word, a function that is not called, or a foreign object
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
