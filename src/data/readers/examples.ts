// Examples without targets, as a model is to predict them: pictures, rows of tables and NumPy arrays, part by part.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FileError, OptionError } from '../../errors.js';
import { elementCount } from '../../graph/tensor.js';
import type { Meaning, PictureMeaning } from '../../meaning.js';
import { didYouMean } from '../../suggest.js';
import { type Examples, someNames } from '../align.js';
import { inputArrays } from '../array-names.js';
import { inputColumn, usableArray } from '../array-set.js';
import { isFolder, unreadable } from './files.js';
import { type Decode, pictureFile, putPlanes } from './images.js';
import { readNamedArrays } from './npz.js';
import { type TablePart, tableParts } from './rows.js';
import { featureColumn, namedColumns } from './table.js';

/** What is known of an example beside the numbers that a model takes. */
export interface ExampleLabel {
  readonly file: string;
  /** The number of the row in its file, from 1; undefined for a picture. */
  readonly row?: number;
  /** The cells of the columns to keep. */
  readonly kept?: Readonly<Record<string, string>>;
}

/** A part of the examples, each with its label. */
export interface LabelledExamples {
  readonly examples: Examples;
  readonly labels: readonly ExampleLabel[];
}

/** Pictures decoded before they are predicted. */
const picturesAtOnce = 64;

/**
 * Return a folder's pictures, also those in folders inside it, sorted; of a file, the file itself.
 * @throws FileError if there is nothing of that name, or no picture in the folder
 */
export async function filesOf(path: string): Promise<readonly string[]> {
  if (!(await isFolder(path, 'input'))) return [path];
  let names: string[];
  try {
    names = await readdir(path, { recursive: true });
  } catch (cause) {
    throw unreadable(path, 'folder of pictures', cause);
  }
  const pictures = names.filter(isPicture).sort();
  if (pictures.length > 0) return pictures.map((name) => join(path, name));
  throw new FileError(
    `${path}: expected pictures in this folder (JPEG, PNG, WebP, GIF, AVIF, TIFF), found none: name another folder, or the files`,
  );
}

/** Whether a file is a picture by its name. */
export const isPicture = (path: string): boolean => pictureFile.test(path);

/** The pictures that a model takes: of one size, which larger ones may be scaled to. */
export interface PictureSetting extends Omit<PictureMeaning, 'height' | 'width' | 'resized'> {
  /** Undefined if pictures of any size are taken. */
  readonly size: { readonly width: number; readonly height: number } | undefined;
  /** Whether other sizes are scaled and cropped. */
  readonly resize: boolean;
}

/**
 * Read pictures, as many at once as are soon predicted.
 * @throws FileError for a picture of another size, and for a file that is none
 */
export async function* pictureParts(
  decode: Decode,
  paths: readonly string[],
  { channels, size, scale, resize }: PictureSetting,
): AsyncGenerator<LabelledExamples> {
  const count = channels === 1 ? 1 : 3;
  const atOnce = size ? picturesAtOnce : 1;
  for (let start = 0; start < paths.length; start += atOnce) {
    const some = paths.slice(start, start + atOnce);
    const images = await Promise.all(
      some.map(async (path) => {
        const image = await decode(path, resize ? size : undefined, count);
        if (!size || (image.width === size.width && image.height === size.height)) return image;
        throw new FileError(
          `${path}: the picture is ${image.width} × ${image.height}, and the model takes ${size.width} × ${size.height}: scale it, or let it be scaled and cropped with --resize`,
        );
      }),
    );
    const { width, height } = size ?? images[0] ?? { width: 0, height: 0 };
    const length = count * width * height;
    const data = new Uint8Array(some.length * length);
    for (const [i, image] of images.entries()) putPlanes(image, count, data, i * length);
    const examples: Examples = {
      ...{ name: some[0] ?? 'pictures', size: some.length, picture: { width, height, channels: count } },
      inputs: { dtype: 'float32', shape: [count, height, width], data, scale },
    };
    yield { examples, labels: some.map((file) => ({ file })) };
  }
}

/** Which columns of a table are no inputs. */
export interface ColumnChoice {
  readonly drop: readonly string[];
  /** Columns to show beside the predictions. */
  readonly keep: readonly string[];
}

/**
 * Read the rows of a table. If a model knows its columns, they are found by their names, and the one of the targets may be
 * there or not; else all that are left are its inputs, in their order.
 * @param width numbers that the model takes, if it says so
 * @throws OptionError for a column that is missing or unknown, FileError for a cell that is no number
 */
export async function* rowParts(
  path: string,
  { columns: wanted, target }: Meaning,
  width: number | undefined,
  choice: ColumnChoice,
): AsyncGenerator<LabelledExamples> {
  for await (const part of tableParts(path)) {
    const names = part.columns.map(({ name }) => name);
    const taken = { wanted: wanted?.map(({ name }) => name), target, choice };
    if (part.start === 0) checkColumns(path, names, taken, part.doubt(names));
    const isInput = (name: string) => !choice.drop.includes(name) && !choice.keep.includes(name) && name !== target;
    const features = wanted
      ? wanted.flatMap(({ name }) => part.columns.find((column) => column.name === name) ?? [])
      : part.columns.filter(({ name }) => isInput(name));
    const columns = namedColumns(features);
    const numbers = columns.reduce((sum, { size }) => sum + size, 0);
    if (width !== undefined && numbers !== width) {
      throw new OptionError(
        `${path}: its rows have ${numbers} numbers (${someNames(columns.map(({ name }) => name))}), and the model takes ${width}: leave columns out with --drop NAME,NAME`,
      );
    }
    const inputs = featureColumn(features, part.rows, path, part.place, () => 'correct it, or leave the row out');
    yield {
      examples: { name: path, size: part.rows, inputs, ...(wanted && { columns }) },
      labels: labelsOf(path, part, choice),
    };
  }
}

function labelsOf(file: string, { columns, rows, start }: TablePart, { keep }: ColumnChoice): ExampleLabel[] {
  const kept = keep.map((name) => [name, columns.find((column) => column.name === name)?.cells ?? []] as const);
  return Array.from({ length: rows }, (_, row) => ({
    ...{ file, row: start + row + 1 },
    ...(kept.length > 0 && { kept: Object.fromEntries(kept.map(([name, cells]) => [name, String(cells[row] ?? '')])) }),
  }));
}

interface WantedColumns {
  readonly wanted: readonly string[] | undefined;
  readonly target: string | undefined;
  readonly choice: ColumnChoice;
}

/** @throws OptionError for columns that are missing or unknown; `doubt` is added to it */
function checkColumns(path: string, names: readonly string[], taken: WantedColumns, doubt: string): void {
  const { wanted, target, choice } = taken;
  const repeated = names.find((name, i) => names.indexOf(name) !== i);
  if (repeated !== undefined) {
    throw new FileError(`${path}: the column name '${repeated}' occurs twice: rename one of them`);
  }
  for (const [flag, chosen] of [
    ['--drop', choice.drop],
    ['--keep', choice.keep],
  ] as const) {
    const absent = chosen.find((name) => !names.includes(name));
    if (absent === undefined) continue;
    throw new OptionError(
      `${path}: there is no column '${absent}' for ${flag}${didYouMean(absent, names)}: its columns are ${someNames(names)}${doubt}`,
    );
  }
  if (!wanted) return;
  const unknown = names.filter(
    (name) => !wanted.includes(name) && name !== target && !choice.drop.includes(name) && !choice.keep.includes(name),
  );
  const missing = wanted.filter((name) => !names.includes(name));
  if (missing.length > 0) {
    const [first = ''] = missing;
    throw new OptionError(
      `${path}: the column${missing.length > 1 ? 's' : ''} ${someNames(missing)} of the model ${missing.length > 1 ? 'are' : 'is'} missing${didYouMean(first, unknown)}: its columns are ${someNames(names)}${doubt}`,
    );
  }
  if (unknown.length > 0) {
    const list = unknown.join(',');
    throw new OptionError(
      `${path}: the model does not take the column${unknown.length > 1 ? 's' : ''} ${someNames(unknown)}: leave out with --drop ${list}, or show beside the predictions with --keep ${list}`,
    );
  }
}

/**
 * Read the rows of .npy and .npz files: their first axis are the examples.
 * @param modelInputs names of the model's inputs, by which the arrays are found
 * @throws FileError if arrays do not fit together or hold a number that is not finite
 */
export async function arrayExamples(path: string, modelInputs: readonly string[]): Promise<LabelledExamples> {
  const arrays = await readNamedArrays(path);
  const found = inputArrays(arrays, path, { modelInputs });
  const columns = found.map(({ name, parts }) => {
    const array = parts.get('whole') ?? parts.get('test') ?? [...parts.values()][0];
    if (array !== undefined) return { name, array, source: usableArray(arrays, path, array) };
    throw new FileError(
      `${path}: it has the arrays ${someNames([...arrays.keys()])}, none named as an input: name it x, or as the model does: ${someNames(modelInputs)}`,
    );
  });
  const [first] = columns;
  const size = first?.source.shape[0] ?? 0;
  const other = columns.find(({ source }) => source.shape[0] !== size);
  if (other) {
    throw new FileError(
      `${path}: '${other.array}' has ${other.source.shape[0]} examples and '${first?.array}' ${size}: expected the same number for each input`,
    );
  }
  const read = columns.map(({ name, source }) => [name ?? '', inputColumn(source)] as const);
  const [only] = read;
  const inputs = only && columns[0]?.name === undefined ? only[1] : Object.fromEntries(read);
  const labels = Array.from({ length: size }, (_, row) => ({ file: path, row: row + 1 }));
  return { examples: { name: path, size, inputs }, labels };
}

/** The numbers of one example of a model's input, if it says how many. */
export const numbersIn = (shape: readonly (number | string)[]): number | undefined => {
  const sizes = shape.slice(1).filter((size) => typeof size === 'number');
  return sizes.length === shape.length - 1 ? elementCount(sizes) : undefined;
};
