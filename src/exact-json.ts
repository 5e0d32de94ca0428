// JSON that loses nothing of a value: NaN, infinities, −0 and 64-bit integers are written as `{ "$": "NaN" }`. A key of the value
// itself that begins with `$` gets one more.
import { FileError } from './errors.js';
import { described, isRecord } from './options.js';

/** Numbers of any kind, texts, booleans and null, in arrays and objects. A key whose value is undefined counts as absent. */
export type Json =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };

/**
 * Return the value as a text of JSON, which `readExactJson` turns back into an equal value.
 * @throws FileError for a value of another kind, with its place
 */
export const exactJson = (value: Json): string => JSON.stringify(toPlain(value, 'the value'));

function toPlain(value: unknown, where: string): unknown {
  if (typeof value === 'number') {
    if (Object.is(value, -0)) return { $: '-0' };
    return Number.isFinite(value) ? value : { $: String(value) };
  }
  if (typeof value === 'bigint') return { $: `${value}n` };
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (Array.isArray(value)) return value.map((item, i) => toPlain(item, `${where}[${i}]`));
  if (isRecord(value) && [Object.prototype, null].includes(Object.getPrototypeOf(value))) {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    return Object.fromEntries(
      entries.map(([key, item]) => [key.startsWith('$') ? `$${key}` : key, toPlain(item, `${where}.${key}`)]),
    );
  }
  throw new FileError(
    `${where} is ${described(value)}, which a file of JSON does not hold; give numbers, texts, arrays or objects`,
  );
}

/**
 * Return the value that `exactJson` wrote.
 * @throws FileError if the text is not what it writes
 */
export function readExactJson(text: string): Json {
  let plain: unknown;
  try {
    plain = JSON.parse(text);
  } catch (cause) {
    throw new FileError('the text is no JSON', { cause });
  }
  return fromPlain(plain);
}

function fromPlain(value: unknown): Json {
  if (Array.isArray(value)) return value.map(fromPlain);
  if (!isRecord(value)) return value as null | boolean | number | string;
  if ('$' in value) return numberOf(value.$);
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key.startsWith('$$') ? key.slice(1) : key, fromPlain(item)]),
  );
}

function numberOf(word: unknown): number | bigint {
  if (typeof word === 'string' && /^-?\d+n$/.test(word)) return BigInt(word.slice(0, -1));
  if (typeof word === 'string' && /^(NaN|-?Infinity|-0)$/.test(word)) return Number(word);
  throw new FileError(`the text has the number ${described(word)}, which is none`);
}
