// Checks of callers' options, for JavaScript too: unknown options are refused by name, and a message describes a value of the wrong
// kind, whatever it is.
import { OptionError } from './errors.js';
import { didYouMean } from './suggest.js';

/** The options of a type: TypeScript refuses a list that lacks one or has another. */
export type OptionKeys<Options> = Readonly<Record<keyof Options, true>>;

/**
 * Check that options are an object without unknown keys; a key whose value is undefined counts as absent.
 * @param of the owner of the options, for messages: `cgfac`
 * @throws OptionError naming the unknown key and the nearest known one
 */
export function checkKeys<Options extends object>(of: string, options: Options, keys: OptionKeys<Options>): void {
  const given: unknown = options;
  const known = Object.keys(keys);
  if (!isRecord(given)) {
    throw new OptionError(
      `the options of ${of} are ${described(given)}; give an object with any of ${known.join(', ')}`,
    );
  }
  const unknown = Object.keys(given).find((key) => !Object.hasOwn(keys, key) && given[key] !== undefined);
  if (unknown === undefined) return;
  throw new OptionError(
    `unknown option '${unknown}' of ${of}${didYouMean(unknown, known)}; it takes ${known.join(', ') || 'no options'}`,
  );
}

/** What a function that has no options takes, so that one that is given is refused. */
export type NoOptions = Readonly<Record<string, never>>;

/** Return whether a value is an object, but not an array, a function or a promise. */
export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  !ArrayBuffer.isView(value) &&
  !isPromise(value);

const isPromise = (value: object): boolean => 'then' in value && typeof value.then === 'function';

/** Describe a value in a few words, for messages: never throws, never long. */
export function described(value: unknown): string {
  if (typeof value === 'string') return `'${value.length > 60 ? `${value.slice(0, 60)}…` : value}'`;
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return `the function ${value.name || 'without a name'}`;
  if (typeof value === 'symbol') return 'a symbol';
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (ArrayBuffer.isView(value)) return `a ${constructorName(value)}`;
  if (isPromise(value)) return 'a promise (await it)';
  const keys = Object.keys(value);
  const kind = constructorName(value);
  if (kind !== 'Object') return `a ${kind}`;
  return keys.length === 0
    ? 'an empty object'
    : `an object with ${keys.slice(0, 6).join(', ')}${keys.length > 6 ? ', …' : ''}`;
}

function constructorName(value: object): string {
  const maker: unknown = (Object.getPrototypeOf(value) as { constructor?: unknown } | null)?.constructor;
  return typeof maker === 'function' && maker.name !== '' ? maker.name : 'Object';
}

export interface Range {
  readonly above?: number;
  readonly atLeast?: number;
  readonly below?: number;
  readonly atMost?: number;
  readonly integer?: boolean;
}

/** Return the number. @throws OptionError if it is not a finite number in the range */
export function checkedNumber(name: string, value: number, range: Range): number {
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
    throw new OptionError(`${name} is ${described(value)}; it must be ${[kind, ...bounds].join(', ')}`);
  }
  return value;
}

/** Return the size or count. @throws OptionError if it is not a whole number of at least 1 and at most `atMost` */
export const checkedCount = (name: string, value: number, atMost?: number): number =>
  checkedNumber(name, value, { atLeast: 1, integer: true, ...(atMost !== undefined && { atMost }) });

/** More threads than this are a slip: no machine has so many cores. */
export const mostThreads = 1024;

/** More steps than this take years; a number beyond is a slip, or Infinity. */
export const mostSteps = 1e9;

/** Return the seed. @throws OptionError if it is not a whole number of at least 0 */
export const checkedSeed = (value: number): number => checkedNumber('seed', value, { atLeast: 0, integer: true });

/** Return the flag, undefined if it is not given. @throws OptionError if it is not true or false */
export function checkedFlag(name: string, value: boolean | undefined): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value;
  throw new OptionError(`${name} is ${described(value)}; it must be true or false`);
}

/** Return the word, undefined if it is not given. @throws OptionError if it is not one of `words` */
export function checkedWord<Word extends string>(
  name: string,
  value: Word | undefined,
  words: readonly Word[],
): Word | undefined {
  if (value === undefined || words.includes(value)) return value;
  const near = typeof value === 'string' ? didYouMean(value, words) : '';
  throw new OptionError(
    `${name} is ${described(value)}${near}; it must be ${words.map((word) => `'${word}'`).join(' or ')}`,
  );
}

/** Return the list of texts (globs, names), undefined if it is not given. @throws OptionError if it is not a list of texts */
export function checkedTexts(name: string, value: readonly string[] | undefined): readonly string[] | undefined {
  if (value === undefined) return value;
  const given: unknown = value;
  if (Array.isArray(given) && given.every((item) => typeof item === 'string')) return value;
  throw new OptionError(`${name} is ${described(given)}; it must be an array of texts, such as ['head.*']`);
}
