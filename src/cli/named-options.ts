// Options written after a name: `cgfac:rank=64:damping=3`, `resnet20:norm=batch`. Read strictly, with suggestions.
import { OptionError } from '../errors.js';
import type { Schedule } from '../optimizers/schedules.js';
import { checkedCount } from '../options.js';
import { didYouMean } from '../suggest.js';
import { isSchedule, readSchedule } from './schedules.js';

/**
 * How to read an option's text: as a number (its user checks the range), a number or a schedule, a whole number of at least 1,
 * several of them, true or false, one of some words, a number or one of some words.
 */
type OptionKind =
  | 'number'
  | 'schedule'
  | 'count'
  | 'counts'
  | 'boolean'
  | readonly string[]
  | { readonly numberOr: readonly string[] };
export type OptionValue = Schedule | boolean | string | readonly number[];

export type OptionKinds = Readonly<Record<string, OptionKind>>;

/** Values by the names as they are typed, `learning-rate`. */
export type OptionValues = Readonly<Record<string, OptionValue>>;

/**
 * Read `key=value` parts; `key` alone is true.
 * @param what the beginning of messages: `optimizer 'adam:beta3=1'`
 * @throws OptionError for an unknown option, one that is given twice, or a value that it does not take
 */
export function readOptions(what: string, parts: readonly string[], kinds: OptionKinds): OptionValues {
  const options = withSchedules(parts, kinds).map((part) => readOption(what, part, kinds));
  const keys = options.map(([key]) => key);
  const twice = keys.find((key, i) => keys.indexOf(key) !== i);
  if (twice !== undefined) throw new OptionError(`${what}: ${twice} is given twice; give it once`);
  return Object.fromEntries(options);
}

/** Join the parts that are one schedule: `learning-rate=cosine`, `0.1` and `1000`. */
function withSchedules(parts: readonly string[], kinds: OptionKinds): readonly string[] {
  const whole: string[] = [];
  for (const part of parts) {
    const before = whole.at(-1);
    const [key = '', text = ''] = before?.split('=') ?? [];
    const isInside =
      kinds[key] === 'schedule' && isSchedule(text) && !part.includes('=') && !Object.hasOwn(kinds, part);
    if (isInside) whole[whole.length - 1] = `${before}:${part}`;
    else whole.push(part);
  }
  return whole;
}

function readOption(what: string, part: string, kinds: OptionKinds): [string, OptionValue] {
  const equals = part.indexOf('=');
  const [key, text] = equals < 0 ? [part, 'true'] : [part.slice(0, equals), part.slice(equals + 1)];
  const kind = Object.hasOwn(kinds, key) ? kinds[key] : undefined;
  if (kind === undefined) {
    throw new OptionError(`${what}: unknown option '${key}'${didYouMean(key, Object.keys(kinds))}; ${known(kinds)}`);
  }
  const refuse = (expected: string) =>
    new OptionError(`${what}: ${key} is '${equals < 0 ? '' : text}'; it must be ${expected}`);
  if (kind === 'boolean') {
    if (text !== 'true' && text !== 'false') throw refuse('true or false');
    return [key, text === 'true'];
  }
  if (kind === 'schedule') return [key, readSchedule(`${what}: ${key}`, text)];
  if (kind === 'number' || kind === 'count') {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (Number.isNaN(value)) throw refuse('a number');
    return [key, kind === 'number' ? value : checkedCount(`${what}: ${key}`, value)];
  }
  if (kind === 'counts') {
    const counts = text.split(',').map((each) => (each.trim() === '' ? Number.NaN : Number(each)));
    if (counts.some(Number.isNaN)) throw refuse('whole numbers with commas between them, such as 512,256');
    return [key, counts.map((count) => checkedCount(`${what}: ${key}`, count))];
  }
  if ('numberOr' in kind) {
    if (kind.numberOr.includes(text)) return [key, text];
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (Number.isNaN(value)) throw refuse(`a number or ${kind.numberOr.join(' or ')}`);
    return [key, value];
  }
  if (!kind.includes(text)) throw refuse(kind.join(' or '));
  return [key, text];
}

/** Return the known options, for messages. */
export const known = (kinds: OptionKinds): string => `it takes ${Object.keys(kinds).join(', ') || 'no options'}`;

/** Return the options for help: `width, norm=group|batch`. */
export const describeOptions = (kinds: OptionKinds): string =>
  Object.entries(kinds)
    .map(([option, kind]) => {
      if (kind === 'counts') return `${option}=N,N,…`;
      if (typeof kind === 'string') return option;
      return `${option}=${'numberOr' in kind ? ['N', ...kind.numberOr].join('|') : kind.join('|')}`;
    })
    .join(', ');

/** Return values by the names of the library's options: `learningRate`. */
export const camelCased = (values: OptionValues): OptionValues =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [camel(key), value]));

const camel = (name: string): string => name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
