// A data set named in one string, as the command line and the trainer take it: 'digits?train=2000', 'mnist:DIR',
// 'csv:FILE?label=COLUMN'. Readers are loaded when asked for, so a browser that only draws digits loads nothing else.
import { OptionError } from '../errors.js';
import { autoencoding, type DataSplits, type Task } from './dataset.js';
import { drawnDigits } from './digits.js';

/** What holds for any kind of data. */
export interface LoadOptions {
  /** Seed of what is drawn or split at random; 0 by default. A `?seed=` in the spec wins. */
  readonly seed?: number;
  /** 'supervised' (the set's own targets) by default. */
  readonly task?: Task;
}

/** A spec taken apart. */
export interface ParsedSpec {
  readonly kind: string;
  readonly path: string;
  readonly options: ReadonlyMap<string, string>;
}

interface Kind {
  /** How the spec is written, for messages. */
  readonly usage: string;
  readonly needsPath: boolean;
  readonly options: readonly string[];
  readonly load: (path: string, options: SpecOptions) => Promise<DataSplits>;
}

const kinds: Readonly<Record<string, Kind>> = {
  digits: {
    usage: 'digits[?train=16000&test=4000&seed=0] (drawn by cgfac, nothing to download)',
    needsPath: false,
    options: ['train', 'test', 'seed'],
    load: async (_, options) =>
      drawnDigits({
        trainSize: options.count('train', 16_000),
        testSize: options.count('test', 4_000),
        seed: options.seed(),
      }),
  },
  mnist: {
    usage: 'mnist:DIR (four IDX files, plain or .gz)',
    needsPath: true,
    options: [],
    load: async (path) => (await import('./mnist.js')).readMnist(path),
  },
};

/** The kinds of data that `loadData` knows, each as its usage line. */
export function dataKinds(): string[] {
  return Object.values(kinds).map((kind) => kind.usage);
}

/**
 * Loads the data set a spec names. Throws OptionError for a spec that cannot be read, FileError for files that cannot.
 *
 * @example
 * const { train, test } = await loadData('mnist:data/mnist', { task: 'autoencoding' });
 */
export async function loadData(spec: string, options: LoadOptions = {}): Promise<DataSplits> {
  const { kind: name, path, options: given } = parseSpec(spec);
  const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
  if (kind === undefined) {
    throw new OptionError(`data '${spec}': unknown kind '${name}': expected one of\n  ${dataKinds().join('\n  ')}`);
  }
  if (kind.needsPath !== (path !== '')) {
    throw new OptionError(
      `data '${spec}': ${kind.needsPath ? 'a path is missing' : `'${name}' takes no path`}: write ${kind.usage}`,
    );
  }
  const unknown = [...given.keys()].find((option) => !kind.options.includes(option));
  if (unknown !== undefined) {
    const known = kind.options.length === 0 ? 'none' : kind.options.join(', ');
    throw new OptionError(`data '${spec}': unknown option '${unknown}': '${name}' knows ${known}; write ${kind.usage}`);
  }
  const splits = await kind.load(path, new SpecOptions(spec, given, options.seed ?? 0));
  if (options.task !== 'autoencoding') return splits;
  return { train: autoencoding(splits.train), test: autoencoding(splits.test) };
}

/** Takes 'kind:path?key=value&…' apart. Only what follows the last '?' is options, and only if it looks like them. */
export function parseSpec(spec: string): ParsedSpec {
  const [, body = spec, query = ''] = /^(.*?)\?([^?/\\]*)$/s.exec(spec) ?? [];
  const colon = body.indexOf(':');
  const kind = colon < 0 ? body : body.slice(0, colon);
  const path = colon < 0 ? '' : body.slice(colon + 1);
  const options = new Map<string, string>();
  for (const pair of query.split('&').filter((part) => part !== '')) {
    const equals = pair.indexOf('=');
    if (equals < 1) {
      throw new OptionError(`data '${spec}': cannot read the option '${pair}': expected key=value after '?'`);
    }
    options.set(pair.slice(0, equals), pair.slice(equals + 1));
  }
  return { kind, path, options };
}

/** The options of one spec, read as numbers or words with messages that name the spec. */
export class SpecOptions {
  private readonly spec: string;
  private readonly given: ReadonlyMap<string, string>;
  private readonly defaultSeed: number;

  constructor(spec: string, given: ReadonlyMap<string, string>, defaultSeed: number) {
    this.spec = spec;
    this.given = given;
    this.defaultSeed = defaultSeed;
  }

  text(name: string): string | undefined {
    return this.given.get(name);
  }

  /** A whole number of at least 1. */
  count(name: string, fallback: number): number {
    return this.number(
      name,
      fallback,
      'a whole number of at least 1',
      (value) => Number.isSafeInteger(value) && value >= 1,
    );
  }

  /** A share strictly between 0 and 1. */
  fraction(name: string, fallback: number): number {
    return this.number(name, fallback, 'a number between 0 and 1', (value) => value > 0 && value < 1);
  }

  seed(): number {
    return this.number('seed', this.defaultSeed, 'a whole number', Number.isSafeInteger);
  }

  private number(name: string, fallback: number, expected: string, accepts: (value: number) => boolean): number {
    const text = this.given.get(name);
    if (text === undefined) return fallback;
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (!accepts(value))
      throw new OptionError(`data '${this.spec}': ${name}=${text} cannot be used: expected ${expected}`);
    return value;
  }
}
