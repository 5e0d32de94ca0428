// `--config FILE.json`: what the flags of a command say, in a file. A key is the name of a flag (`batch-size` is --batch-size); its value
// goes through the reader of the flag. A flag on the command line overrides the file.
import type { EventEmitter } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type Argument, type Command, Option } from 'commander';
import { FileError, messageOf, OptionError } from '../errors.js';
import { advice } from '../files/write.js';
import { described, isRecord } from '../options.js';
import { didYouMean } from '../suggest.js';
import { schemaOf, type ValueSchema } from './flag-schema.js';

const configKey = 'config';
/** Flags that a file cannot give: it would be read too late. */
const onlyTyped: readonly string[] = [configKey, 'debug', 'help', 'version'];

/**
 * Give a command the flag --config.
 * @returns the command
 */
export function withConfig(command: Command): Command {
  return command
    .addOption(
      new Option('--config <file>', 'read flags from a JSON file, e.g. { "steps": 100 }; those given here override it'),
    )
    .hook('preAction', async (_, given) => {
      const path: unknown = given.getOptionValue(configKey);
      if (typeof path === 'string') applyConfig(given, await readConfig(path), path);
    });
}

/** @throws FileError if there is no such file; OptionError if it does not hold a JSON object */
async function readConfig(path: string): Promise<Record<string, unknown>> {
  let found: unknown;
  try {
    found = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    if (cause instanceof SyntaxError) throw new OptionError(`'${path}' is not JSON: ${cause.message}`, { cause });
    throw new FileError(`cannot read '${path}': ${advice(cause)}`, { cause });
  }
  if (isRecord(found)) return found;
  throw new OptionError(`'${path}' holds ${described(found)}; it must hold an object, such as { "steps": 100 }`);
}

/**
 * Give a command the values of a file that its command line does not give.
 * @param where the file, for messages
 * @throws OptionError for an unknown key, and for a value that the flag would refuse
 */
function applyConfig(command: Command, config: Readonly<Record<string, unknown>>, where: string): void {
  const flags = flagsOf(command);
  const parameters = command.registeredArguments;
  const names = [...flags.keys(), ...parameters.map((parameter) => parameter.name())];
  const given = new Map<string, readonly Word[]>();
  for (const [key, value] of Object.entries(config)) {
    if (key === '$schema') continue;
    const flag = flags.get(key);
    const at = parameters.findIndex((parameter) => parameter.name() === key);
    if (!flag && at < 0) {
      const only = onlyTyped.includes(key)
        ? `--${key} is for the command line`
        : `cgfac ${command.name()} has no such flag`;
      throw new OptionError(`${where}: unknown key '${key}'${didYouMean(key, names)}; ${only}`);
    }
    if (flag) given.set(key, wordsOf(command, flag, key, value, where));
    else if (typeof value !== 'string') throw wrong(where, key, value, 'a text');
    else if (command.args[at] === undefined) command.processedArgs[at] = value;
  }
  const attributeOf = (key: string) => flags.get(key)?.attributeName() ?? key;
  const typed = new Set([...flags.keys()].filter((key) => command.getOptionValueSource(attributeOf(key)) === 'cli'));
  // As commander tells of a flag that is typed: whoever listens hears of these, too. Its types leave out that it emits.
  const emitter = command as Command & Pick<EventEmitter, 'emit'>;
  for (const [key, words] of given) {
    const rivals = [...flags.keys()].filter((other) => areRivals(flags, key, other));
    const rival = rivals.find((other) => given.has(other));
    if (rival !== undefined && !typed.has(key) && !typed.has(rival)) {
      throw new OptionError(`${where}: '${key}' and '${rival}' cannot be given together; remove one`);
    }
    // A flag that is typed takes the place of those that it cannot go with, too.
    if (typed.has(key) || rivals.some((other) => typed.has(other))) continue;
    for (const { name, word } of words) emitter.emit(`option:${name}`, word);
  }
}

/** A flag as commander tells of it: its name, with `no-` if it is off, and its word if it takes one. */
interface Word {
  readonly name: string;
  readonly word?: string;
}

/** The flags that a file can give, by their names; of `--x` and `--no-x` the first one. */
function flagsOf(command: Command): ReadonlyMap<string, Option> {
  const flags = new Map<string, Option>();
  for (const option of command.options) {
    const key = (option.long ?? '').replace(/^--(no-)?/, '');
    if (!onlyTyped.includes(key) && !flags.has(key)) flags.set(key, option);
  }
  return flags;
}

/** Whether two flags cannot be given together. */
function areRivals(flags: ReadonlyMap<string, Option>, a: string, b: string): boolean {
  const excludes = (one: string, other: string): boolean => {
    // commander's own field, which its types leave out.
    const flag = flags.get(one) as (Option & { readonly conflictsWith?: readonly string[] }) | undefined;
    return flag?.conflictsWith?.includes(flags.get(other)?.attributeName() ?? '') ?? false;
  };
  return excludes(a, b) || excludes(b, a);
}

/** The words of a flag that has a value; none for one that is off. @throws OptionError for a value that it refuses */
function wordsOf(command: Command, flag: Option, key: string, value: unknown, where: string): readonly Word[] {
  const schema = schemaOf(flag);
  const types = typesOf(schema);
  const name = flag.name();
  if (types.includes('boolean') && typeof value === 'boolean') {
    const off = command.options.find((option) => option.negate && option.attributeName() === flag.attributeName());
    if (value) return [{ name }];
    return off ? [{ name: off.name() }] : [];
  }
  const texts = textsOf(value, types);
  if (!texts) throw wrong(where, key, value, types.map((type) => typeNames[type] ?? type).join(' or '));
  const words = schema.separator === undefined ? texts : [texts.join(schema.separator)];
  try {
    for (const word of words) flag.parseArg?.(word, undefined);
  } catch (cause) {
    throw new OptionError(`${where}: ${key}: ${messageOf(cause)}`, { cause });
  }
  return words.map((word) => ({ name, word }));
}

const typeNames: Readonly<Record<string, string>> = {
  number: 'a number',
  integer: 'a whole number',
  string: 'a text',
  boolean: 'true or false',
  array: 'a list of texts',
};

const typesOf = ({ type }: ValueSchema): readonly string[] => (typeof type === 'string' ? [type] : type);

/** The texts that the command line would have for the value; undefined if it is of another type. */
function textsOf(value: unknown, types: readonly string[]): string[] | undefined {
  const isNumber = typeof value === 'number' && (types.includes('number') || types.includes('integer'));
  if (isNumber || (typeof value === 'string' && types.includes('string'))) return [String(value)];
  const isList = Array.isArray(value) && types.includes('array') && value.length > 0;
  return isList && value.every((item) => typeof item === 'string') ? value : undefined;
}

const wrong = (where: string, key: string, value: unknown, expected: string): OptionError =>
  new OptionError(`${where}: ${key} is ${described(value)}; it must be ${expected}`);

/** Return the JSON schema (draft 2020-12) of the files that a command takes. */
export function configSchema(command: Command): Record<string, unknown> {
  const flags = flagsOf(command);
  const parameters = command.registeredArguments.map((parameter: Argument) => [
    parameter.name(),
    { type: 'string', description: parameter.description, default: parameter.defaultValue },
  ]);
  const own = [...flags].map(([key, flag]) => {
    const { separator, ...schema } = schemaOf(flag);
    const usual: unknown = flag.defaultValue;
    const description = flag.description.replace(/\n/g, '; ');
    return [key, { ...schema, description, ...(usual !== undefined && { default: usual }) }];
  });
  const keys = [...flags.keys()];
  const rivals = keys.flatMap((a, i) => keys.slice(i + 1).flatMap((b) => (areRivals(flags, a, b) ? [[a, b]] : [])));
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: `The flags of cgfac ${command.name()}`,
    type: 'object',
    properties: { $schema: { type: 'string' }, ...Object.fromEntries([...parameters, ...own]) },
    additionalProperties: false,
    ...(rivals.length > 0 && { allOf: rivals.map((pair) => ({ not: { required: pair } })) }),
  };
}
