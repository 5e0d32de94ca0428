// `--config FILE.json`: what the flags of a command say, in a file. A key is the name of a flag as a word of JavaScript (`batchSize` is
// --batch-size); its value goes through the reader of the flag. A flag on the command line overrides the file.
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
export function applyConfig(command: Command, config: Readonly<Record<string, unknown>>, where: string): void {
  const flags = flagsOf(command);
  const parameters = command.registeredArguments;
  const names = [...flags.keys(), ...parameters.map((parameter) => parameter.name())];
  const read = new Map<string, unknown>();
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
    if (flag) read.set(key, readValue(flag, key, value, where) ?? (canBeOff(command, key) ? value : undefined));
    else if (typeof value !== 'string') throw wrong(where, key, value, 'a text');
    else if (command.args[at] === undefined) command.processedArgs[at] = value;
  }
  const isTyped = (key: string) => command.getOptionValueSource(key) === 'cli';
  for (const [key, value] of read) {
    const rivals = [...flags.keys()].filter((other) => areRivals(flags, key, other));
    const rival = rivals.find((other) => read.has(other));
    if (rival !== undefined && !isTyped(key) && !isTyped(rival)) {
      throw new OptionError(`${where}: '${key}' and '${rival}' cannot be given together; remove one`);
    }
    // A flag that is typed takes the place of those that it cannot go with, too.
    if (isTyped(key) || rivals.some(isTyped) || value === undefined) continue;
    command.setOptionValueWithSource(key, value, 'config');
  }
}

/** The flags that a file can give, by their keys; of `--x` and `--no-x` the first one. */
export function flagsOf(command: Command): ReadonlyMap<string, Option> {
  const flags = new Map<string, Option>();
  for (const option of command.options) {
    const key = option.attributeName();
    if (!onlyTyped.includes(key) && !flags.has(key)) flags.set(key, option);
  }
  return flags;
}

/** Keys of flags that cannot go with a flag. */
const rivalsOf = (flag: Option | undefined): readonly string[] =>
  // commander's own field, which its types leave out.
  (flag as (Option & { readonly conflictsWith?: readonly string[] }) | undefined)?.conflictsWith ?? [];

const areRivals = (flags: ReadonlyMap<string, Option>, a: string, b: string): boolean =>
  rivalsOf(flags.get(a)).includes(b) || rivalsOf(flags.get(b)).includes(a);

/** The value as the flag's reader returns it; undefined for a flag that is off. */
function readValue(flag: Option, key: string, value: unknown, where: string): unknown {
  const schema = schemaOf(flag);
  const types = typesOf(schema);
  if (types.includes('boolean') && typeof value === 'boolean') return value || undefined;
  const words = wordsOf(value, types);
  if (!words) throw wrong(where, key, value, types.map((type) => typeNames[type] ?? type).join(' or '));
  try {
    const read = flag.parseArg;
    if (!read) return words[0];
    if (schema.separator !== undefined) return read(words.join(schema.separator), undefined);
    return words.reduce<unknown>((before, word) => read(word, before), undefined);
  } catch (cause) {
    throw new OptionError(`${where}: ${key}: ${messageOf(cause)}`, { cause });
  }
}

/** Whether `false` says more than that the flag is not given: there is a `--no-…`. */
const canBeOff = (command: Command, key: string): boolean =>
  command.options.some((option) => option.negate && option.attributeName() === key);

const typeNames: Readonly<Record<string, string>> = {
  number: 'a number',
  integer: 'a whole number',
  string: 'a text',
  boolean: 'true or false',
  array: 'a list of texts',
};

const typesOf = ({ type }: ValueSchema): readonly string[] => (typeof type === 'string' ? [type] : type);

/** The words that the command line would have for the value; undefined if it is of another type. */
function wordsOf(value: unknown, types: readonly string[]): string[] | undefined {
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
  const pairs = [...flags.keys()].flatMap((key) => rivalsOf(flags.get(key)).map((rival) => [key, rival].sort()));
  const unique = [...new Map(pairs.map((pair) => [pair.join(), pair])).values()];
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: `The flags of cgfac ${command.name()}`,
    type: 'object',
    properties: { $schema: { type: 'string' }, ...Object.fromEntries([...parameters, ...own]) },
    additionalProperties: false,
    ...(unique.length > 0 && { allOf: unique.map((pair) => ({ not: { required: pair } })) }),
  };
}
