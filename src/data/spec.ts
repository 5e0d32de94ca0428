// A data set named in one string, as the command line and `loadData` take it: 'digits?train=2000', 'mnist:DIR',
// 'csv:FILE?label=COLUMN'. Readers are loaded when needed, so a browser that only draws digits loads nothing else.
import { OptionError } from '../errors.js';
import {
  checkedNumber,
  checkedSeed,
  checkedTexts,
  checkedWord,
  checkKeys,
  described,
  type OptionKeys,
} from '../options.js';
import { didYouMean } from '../suggest.js';
import type { DataSplits, Task } from './dataset.js';
import { drawnDigits } from './digits/digits.js';
import type { TableOptions } from './readers/table.js';
import type { SplitOptions } from './split.js';
import { autoencoding } from './views.js';

/** Options for any kind of data. */
export interface LoadOptions {
  /** Seed for drawing and for splitting at random; 0 by default. A `?seed=` in the spec wins. */
  readonly seed?: number;
  /** Share held out at random of a file without a test part; 0.1 by default. A `?test=` in the spec wins. */
  readonly testShare?: number;
  /** 'supervised' (the set's targets) by default. */
  readonly task?: Task;
  /** Names of the model's inputs: arrays of these names are inputs, unless the spec names others. */
  readonly modelInputs?: readonly string[];
}

const keys: OptionKeys<LoadOptions> = { seed: true, testShare: true, task: true, modelInputs: true };

/** A spec taken apart. */
interface ParsedSpec {
  readonly kind: string;
  readonly path: string;
  readonly options: ReadonlyMap<string, string>;
}

interface Kind {
  /** The form of the spec, for messages. */
  readonly usage: string;
  readonly needsPath: boolean;
  readonly options: readonly string[];
  /** Whether inputs are numbered as the targets are, as characters. */
  readonly areInputsClasses?: true;
  readonly load: (
    path: string,
    options: SpecOptions,
    modelInputs: readonly string[] | undefined,
  ) => Promise<DataSplits>;
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
    load: async (path) => (await import('./readers/mnist.js')).readMnist(path),
  },
  cifar10: {
    usage: 'cifar10:DIR (the binary version)',
    needsPath: true,
    options: [],
    load: async (path) => (await import('./readers/cifar10.js')).readCifar10(path),
  },
  npy: {
    usage:
      'npy:DIR|FILE.npz|FILE.npy[?inputs=NAME,…&targets=NAME&weights=NAME&layout=nhwc&test=0.1&seed=0&stream=4] (NumPy arrays)',
    needsPath: true,
    options: ['inputs', 'targets', 'weights', 'layout', 'test', 'seed', 'stream'],
    load: async (path, options, modelInputs) => {
      const [{ readNamedArrays }, { arraySplits }] = await Promise.all([
        import('./readers/npz.js'),
        import('./array-set.js'),
      ]);
      const layout = options.oneOf('layout', ['nchw', 'nhwc'], 'nchw');
      const names = {
        inputs: options.names('inputs'),
        targets: options.text('targets'),
        weights: options.text('weights'),
        modelInputs,
      };
      return arraySplits(await readNamedArrays(path), path, { ...names, layout, ...options.split() });
    },
  },
  csv: {
    usage:
      'csv:FILE?label=COLUMN|target=COLUMN[&weights=COLUMN&drop=A,B&test=0.1&seed=0&stream=4] (with a header line)',
    needsPath: true,
    options: ['label', 'target', 'weights', 'drop', 'test', 'seed', 'stream'],
    load: async (path, options) => (await import('./readers/csv.js')).readCsv(path, options.table()),
  },
  parquet: {
    usage: 'parquet:FILE?label=COLUMN|target=COLUMN[&weights=COLUMN&drop=A,B&test=0.1&seed=0&stream=4]',
    needsPath: true,
    options: ['label', 'target', 'weights', 'drop', 'test', 'seed', 'stream'],
    load: async (path, options) => (await import('./readers/parquet.js')).readParquet(path, options.table()),
  },
  text: {
    usage: 'text:FILE[?context=64&stride=1&stream=4] (characters)',
    areInputsClasses: true,
    needsPath: true,
    options: ['context', 'stride', 'stream'],
    load: async (path, options) =>
      (await import('./readers/text.js')).readText(path, {
        context: options.count('context', 64),
        stride: options.count('stride', 1),
      }),
  },
  images: {
    usage: 'images:DIR[?size=PIXELS&channels=1|3&test=0.1&seed=0&stream=4] (one folder per class; needs sharp)',
    needsPath: true,
    options: ['size', 'channels', 'test', 'seed', 'stream'],
    load: async (path, options) => {
      const { readImages } = await import('./readers/images.js');
      const size = options.text('size') === undefined ? undefined : options.count('size', 1);
      const channels = options.oneOf('channels', ['1', '3'], '3') === '1' ? 1 : 3;
      return readImages(path, { size, channels, ...options.split() });
    },
  },
};

/**
 * Return the kinds of data that `loadData` knows, each as its usage line.
 * @example
 * console.log(dataKinds().join('\n'));
 */
export function dataKinds(): string[] {
  return Object.values(kinds).map((kind) => kind.usage);
}

/**
 * Load the training and the test set that a spec names, such as `digits` or `csv:FILE?label=COLUMN`.
 * @throws OptionError if the spec cannot be read, FileError if a file cannot
 * @example
 * const { train, test } = await loadData('mnist:data/mnist', { task: 'autoencoding' });
 */
export async function loadData(spec: string, options: LoadOptions = {}): Promise<DataSplits> {
  checkKeys('loadData', options, keys);
  if (options.seed !== undefined) checkedSeed(options.seed);
  if (options.testShare !== undefined) checkedNumber('testShare', options.testShare, { above: 0, below: 1 });
  checkedWord('task', options.task, ['supervised', 'autoencoding']);
  checkedTexts('modelInputs', options.modelInputs);
  if (typeof spec !== 'string') {
    throw new OptionError(
      `data are named by ${described(spec)}; give a text such as 'digits' or 'csv:FILE?label=COLUMN'`,
    );
  }
  const { kind: name, path, options: given } = parseSpec(spec);
  const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
  if (kind === undefined) {
    throw new OptionError(`data '${spec}': ${unknownKind(spec, name)}`);
  }
  if (kind.needsPath !== (path !== '')) {
    throw new OptionError(
      `data '${spec}': ${kind.needsPath ? 'a path is missing' : `'${name}' takes no path`}: write ${kind.usage}`,
    );
  }
  const unknown = [...given.keys()].find((option) => !kind.options.includes(option));
  if (unknown !== undefined) {
    const known = kind.options.length === 0 ? 'none' : kind.options.join(', ');
    throw new OptionError(
      `data '${spec}': unknown option '${unknown}'${didYouMean(unknown, kind.options)}: '${name}' knows ${known}; write ${kind.usage}`,
    );
  }
  const splits = await load(kind, path, new SpecOptions(spec, given, options), options.modelInputs);
  if (options.task !== 'autoencoding') return splits;
  return { train: autoencoding(splits.train), test: autoencoding(splits.test) };
}

/** Load the file of a spec, or stream the several files that it names. */
async function load(
  kind: Kind,
  path: string,
  options: SpecOptions,
  modelInputs: readonly string[] | undefined,
): Promise<DataSplits> {
  const isStreamed = options.text('stream') !== undefined;
  if (!isStreamed && !(kind.options.includes('stream') && path.includes('*'))) {
    return await kind.load(path, options, modelInputs);
  }
  const { filesNamed, shardedSplits } = await import('./readers/shards.js');
  const files = await filesNamed(path);
  return await shardedSplits(path, files, (file) => kind.load(file, options, modelInputs), {
    window: options.count('stream', usualWindow),
    seed: options.seed(),
    areInputsClasses: kind.areInputsClasses ?? false,
  });
}

/** Files of a streamed set that are in memory together. */
const usualWindow = 4;

/** A message about a kind that does not exist; for what looks like the name of a file, how to write it as data. */
function unknownKind(spec: string, name: string): string {
  const [file = ''] = spec.split('?');
  const extension = /\.(csv|tsv|parquet|npz|npy|txt)(\.gz)?$/i.exec(file)?.[1]?.toLowerCase();
  const readers: Readonly<Record<string, string>> = { tsv: 'csv', npz: 'npy', txt: 'text' };
  const reader = extension === undefined ? undefined : kinds[readers[extension] ?? extension];
  if (reader) return `the kind of data comes first: write ${reader.usage.replace(/(FILE|DIR)[^?[ ]*/, file)}`;
  const names = Object.keys(kinds);
  return (
    `unknown kind '${name}'${didYouMean(name, names)}: expected ${names.join(', ')}, with what follows, as in ` +
    'csv:FILE?label=COLUMN or images:DIR (all in the help of cgfac data)'
  );
}

/** Parse 'kind:path?key=value&…'. Options follow the last '?', and contain no slash. */
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

/** Share held out for testing if a file has no test part of its own. */
const usualTestShare = 0.1;

/** The options of one spec, read as numbers or words with messages that name the spec. */
class SpecOptions {
  readonly #spec: string;
  readonly #given: ReadonlyMap<string, string>;
  readonly #usual: LoadOptions;

  constructor(spec: string, given: ReadonlyMap<string, string>, usual: LoadOptions) {
    this.#spec = spec;
    this.#given = given;
    this.#usual = usual;
  }

  text(name: string): string | undefined {
    return this.#given.get(name);
  }

  /** Names with commas between. */
  names(name: string): string[] | undefined {
    const names = this.#given
      .get(name)
      ?.split(',')
      .map((part) => part.trim());
    const wrong = names?.find((part, index) => part === '' || names.indexOf(part) !== index);
    if (wrong === undefined) return names;
    throw new OptionError(
      `data '${this.#spec}': ${name}=${this.#given.get(name)} cannot be used: ${wrong === '' ? 'a name is empty' : `'${wrong}' is there twice`}`,
    );
  }

  /** A whole number of at least 1. */
  count(name: string, fallback: number): number {
    return this.#number(
      name,
      fallback,
      'a whole number of at least 1',
      (value) => Number.isSafeInteger(value) && value >= 1,
    );
  }

  /** One of a few words. */
  oneOf<Word extends string>(name: string, words: readonly Word[], fallback: Word): Word {
    const text = this.#given.get(name);
    if (text === undefined) return fallback;
    const word = words.find((candidate) => candidate === text);
    if (word !== undefined) return word;
    throw new OptionError(`data '${this.#spec}': ${name}=${text} cannot be used: expected ${words.join(' or ')}`);
  }

  /** How much to hold out as a test part, and the seed that chooses it. */
  split(): SplitOptions {
    const share = (value: number) => value > 0 && value < 1;
    const expected =
      'a share between 0 and 1 (models are evaluated on examples that are held out, at least one: test=0.001)';
    const testShare = this.#number('test', this.#usual.testShare ?? usualTestShare, expected, share);
    return { testShare, seed: this.seed() };
  }

  /** The roles of the columns of a table. */
  table(): TableOptions {
    const drop = this.text('drop')?.split(',') ?? [];
    return {
      label: this.text('label'),
      target: this.text('target'),
      weights: this.text('weights'),
      drop,
      ...this.split(),
    };
  }

  seed(): number {
    return this.#number('seed', this.#usual.seed ?? 0, 'a whole number', Number.isSafeInteger);
  }

  #number(name: string, fallback: number, expected: string, accepts: (value: number) => boolean): number {
    const text = this.#given.get(name);
    if (text === undefined) return fallback;
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (!accepts(value))
      throw new OptionError(`data '${this.#spec}': ${name}=${text} cannot be used: expected ${expected}`);
    return value;
  }
}
