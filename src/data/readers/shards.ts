// Data sets in several files of one kind, each read by its reader when it is needed: `parquet:shards/*.parquet?stream=4`.
import { basename, dirname, join } from 'node:path';
import { FileError, OptionError } from '../../errors.js';
import { mapInputs } from '../../graph/inputs.js';
import type { DataSplits, Dataset, ExampleArray } from '../dataset.js';
import { streamed } from '../stream.js';
import { listFolder } from './files.js';

export interface ShardOptions {
  /** Files that are in memory together. */
  readonly window: number;
  /** Seed that chooses the examples that stay in memory. */
  readonly seed: number;
  /** Whether inputs are numbered as the targets are, as the characters of texts. */
  readonly areInputsClasses: boolean;
}

/** Return the files (or folders) that a path with * in its last part names, sorted. @throws FileError if there is none */
export async function filesNamed(path: string): Promise<string[]> {
  const [folder, pattern] = [dirname(path), basename(path)];
  if (!pattern.includes('*') || folder.includes('*')) {
    throw new OptionError(
      `'${path}' names no parts to stream: give several files by a * in the last part of the path, as in shards/*.parquet`,
    );
  }
  const escaped = pattern.split('*').map((text) => text.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  const matching = new RegExp(`^${escaped.join('.*')}$`);
  const names = (await listFolder(folder, 'folder')).filter((name) => matching.test(name));
  if (names.length > 0) return names.map((name) => join(folder, name));
  throw new FileError(`${path}: no file in ${folder} has such a name: check the path`);
}

/**
 * Return the training and the test set of several files, both streamed; each file gives its share to both. Classes are those of all
 * files, numbered in the order of their names (numerically if all are numbers).
 * @param read one file
 */
export async function shardedSplits(
  path: string,
  files: readonly string[],
  read: (file: string) => Promise<DataSplits>,
  { window, seed, areInputsClasses }: ShardOptions,
): Promise<DataSplits> {
  const classes = await classesOf(files, read);
  // Both sets ask for the same file in turn: it is read once.
  let last: { readonly file: string; readonly splits: Promise<DataSplits> } | undefined;
  const splitsOf = (part: number): Promise<DataSplits> => {
    const file = files[part] ?? '';
    if (last?.file !== file) last = { file, splits: read(file) };
    return last.splits;
  };
  const set = (split: 'train' | 'test'): Promise<Dataset> =>
    streamed(
      {
        name: `${path} ${split}`,
        parts: files.length,
        read: async (part) => {
          const { [split]: found } = await splitsOf(part);
          return classes ? renumbered(found, classes, areInputsClasses) : found;
        },
      },
      { window, seed },
    );
  const [train, test] = await Promise.all([set('train'), set('test')]);
  last = undefined;
  return { train, test };
}

/** The classes of all files; undefined if the first has none. */
async function classesOf(
  files: readonly string[],
  read: (file: string) => Promise<DataSplits>,
): Promise<readonly string[] | undefined> {
  const names = new Set<string>();
  for (const file of files) {
    const { train } = await read(file);
    if (!train.classes) return undefined;
    for (const name of train.classes) names.add(name);
  }
  const isNumeric = [...names].every((name) => name.trim() !== '' && Number.isFinite(Number(name)));
  return [...names].sort((x, y) => (isNumeric ? Number(x) - Number(y) : x < y ? -1 : 1));
}

/** The set with its labels as those of all files. */
function renumbered(set: Dataset, classes: readonly string[], areInputsClasses: boolean): Dataset {
  const numbers = new Map(classes.map((name, number) => [name, number]));
  const own = (set.classes ?? []).map((name) => numbers.get(name) ?? -1);
  const changed = new Map<ExampleArray['data'], Int32Array>();
  const change = (column: ExampleArray): ExampleArray => {
    if (column.dtype !== 'int64') return column;
    const data = changed.get(column.data) ?? column.data.map((label) => own[label] ?? label);
    changed.set(column.data, data);
    return { ...column, data };
  };
  const inputs = areInputsClasses ? mapInputs(set.inputs, change) : set.inputs;
  return { ...set, inputs, targets: change(set.targets), classes };
}
