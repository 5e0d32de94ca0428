// Options written after a name: `cgfac:rank=64:damping=3`, `resnet20:norm=batch`. Read strictly, with suggestions.
import { OptionError } from '../errors.js';
import type { Schedule } from '../optimizers/schedules.js';
import { checkedCount } from '../options.js';
import { didYouMean } from '../suggest.js';
import { isSchedule, readSchedule } from './schedules.js';

/**
 * How to read an option's text: as a number (its user checks the range), a number or a schedule, a whole number of at least 1,
 * several of them, true or false, one of some words, a number or one of some words, pairs of a glob on names and one of some words.
 */
export type OptionKind =
  | 'number'
  | 'schedule'
  | 'count'
  | 'counts'
  | 'boolean'
  | readonly string[]
  | { readonly numberOr: readonly string[] }
  | Rules;
export type OptionValue = Schedule | boolean | string | readonly number[] | readonly NamedRule[];

/** `head.*=full,*.norm=diagonal`: a word for each glob. */
interface Rules {
  readonly rules: readonly string[];
}
export type NamedRule = readonly [glob: string, word: string];

export type OptionKinds = Readonly<Record<string, OptionKind>>;

/** An option with what help says of it. */
export interface DescribedOption {
  readonly kind: OptionKind;
  readonly summary: string;
  /** Its default: a value as it is typed, or words about one that depends on something. */
  readonly usual: string;
}
export type DescribedOptions = Readonly<Record<string, DescribedOption>>;

export const option = (kind: OptionKind, summary: string, usual: string): DescribedOption => ({ kind, summary, usual });

/** Return how to read each option. */
export const kindsOf = (options: DescribedOptions): OptionKinds =>
  Object.fromEntries(Object.entries(options).map(([name, { kind }]) => [name, kind]));

/** Values by the names as they are typed, `learning-rate`. */
export type OptionValues = Readonly<Record<string, OptionValue>>;

/**
 * Read `key=value` parts; `key` alone is true.
 * @param what the beginning of messages: `optimizer 'adam:beta3=1'`
 * @param listing a command that lists the options, for messages if they are many
 * @throws OptionError for an unknown option, one that is given twice, or a value that it does not take
 */
export function readOptions(
  what: string,
  parts: readonly string[],
  kinds: OptionKinds,
  listing?: string,
): OptionValues {
  const options = withSchedules(parts, kinds).map((part) => readOption(what, part, kinds, listing));
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

function readOption(what: string, part: string, kinds: OptionKinds, listing?: string): [string, OptionValue] {
  const equals = part.indexOf('=');
  const [key, text] = equals < 0 ? [part, 'true'] : [part.slice(0, equals), part.slice(equals + 1)];
  const kind = Object.hasOwn(kinds, key) ? kinds[key] : undefined;
  if (kind === undefined) {
    const meant = didYouMean(key, Object.keys(kinds));
    throw new OptionError(`${what}: unknown option '${key}'${meant}; ${known(kinds, listing)}`);
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
  if ('rules' in kind) {
    return [
      key,
      text.split(',').map((each): NamedRule => {
        const at = each.lastIndexOf('=');
        const [glob, word] = [each.slice(0, at), each.slice(at + 1)];
        if (at > 0 && kind.rules.includes(word)) return [glob, word];
        throw refuse(`globs on names, each with ${kind.rules.join(' or ')}, such as head.*=${kind.rules[0]}`);
      }),
    ];
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

/** Most names in a message if a command lists them all. */
const mostNamed = 12;

/** Return names for messages: the first of many, with the command that lists all. */
export const someOf = (names: readonly string[], listing?: string): string =>
  listing === undefined || names.length <= mostNamed
    ? names.join(', ')
    : `${names.slice(0, mostNamed / 2).join(', ')}, … (\`${listing}\` lists all ${names.length})`;

/** Return the known options, for messages. */
export const known = (kinds: OptionKinds, listing?: string): string =>
  `it takes ${someOf(Object.keys(kinds), listing) || 'no options'}`;

/** Return the values that an option takes, for help: `number or auto`. */
export function describeValues(kind: OptionKind): string {
  if (kind === 'schedule') return 'number or schedule';
  if (kind === 'count') return 'whole number';
  if (kind === 'counts') return 'whole numbers with commas between them';
  if (kind === 'boolean') return 'true or false';
  if (typeof kind === 'string') return kind;
  if ('rules' in kind) return `GLOB=${kind.rules.join('|')}, several with commas between them`;
  return 'numberOr' in kind ? `number or ${kind.numberOr.join(' or ')}` : kind.join('|');
}

/** Return the options for help: `width, norm=group|batch`. */
export const describeOptions = (kinds: OptionKinds): string =>
  Object.entries(kinds)
    .map(([option, kind]) => {
      if (kind === 'counts') return `${option}=N,N,…`;
      if (typeof kind === 'string') return option;
      if ('rules' in kind) return `${option}=GLOB=${kind.rules.join('|')},…`;
      return `${option}=${'numberOr' in kind ? ['N', ...kind.numberOr].join('|') : kind.join('|')}`;
    })
    .join(', ');

/** Return values by the names of the library's options: `learningRate`. */
export const camelCased = (values: OptionValues): OptionValues =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [camel(key), value]));

export const camel = (name: string): string => name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
