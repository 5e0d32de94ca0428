// What a data set is: columns of equally shaped examples, inputs and targets, with the names of classes and the size of pictures.
// Pixels may stay bytes; they become float32 only in a batch.
import { OptionError } from '../errors.js';
import { type Inputs, inputNames, isUnnamed, listInputs } from '../graph/inputs.js';
import { elementCount } from '../graph/tensor.js';
import type { HeldOut, NamedColumn } from '../meaning.js';
import { checkedNumber, checkedTexts, checkKeys, described, isRecord, type OptionKeys } from '../options.js';

interface Column {
  /** Shape of one example, e.g. [784] or [1, 28, 28]; [] for a scalar. */
  readonly shape: readonly number[];
  /**
   * Elements between the starts of two consecutive examples; the size of one example by default. Smaller for overlapping windows
   * over one sequence.
   */
  readonly stride?: number;
}

/** Real numbers. */
interface FloatColumn extends Column {
  readonly dtype: 'float32';
  readonly data: Float32Array;
}

/** Real numbers stored as bytes: an element's value is `byte × scale`. */
interface ByteColumn extends Column {
  readonly dtype: 'float32';
  readonly data: Uint8Array;
  readonly scale: number;
}

/** Whole numbers (labels, tokens): stored in 32 bits, int64 in a batch, as ONNX's loss and Gather want them. */
interface IntegerColumn extends Column {
  readonly dtype: 'int64';
  readonly data: Int32Array;
}

/** A column of equally shaped examples. */
export type ExampleArray = FloatColumn | ByteColumn | IntegerColumn;

/**
 * The size of an example's input (of several, the one with as many elements) as a picture: pixels in the order [channels,
 * height, width].
 */
export interface PictureSize {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  /** Pictures of other sizes were scaled and cropped to this one. */
  readonly resized?: true;
}

const columnKeys: OptionKeys<ByteColumn> = { dtype: true, shape: true, stride: true, data: true, scale: true };

/** Examples: row i of `inputs` goes with row i of `targets`. Labels are int64 of shape []. */
export interface Dataset {
  readonly name: string;
  /** Number of examples. */
  readonly size: number;
  /** The column that a model with one input takes, or a column for each input by the names that the model gives them. */
  readonly inputs: Inputs<ExampleArray>;
  readonly targets: ExampleArray;
  /**
   * How much each example counts: float32 of shape [], none below 0. Losses and metrics are weighted means Σw·l/Σw over the batch
   * or the set.
   */
  readonly weights?: ExampleArray;
  /** Names of the integer targets 0, 1, …: class names, or a text's vocabulary. */
  readonly classes?: readonly string[];
  readonly picture?: PictureSize;
  /** The whole of a set of which only a sample is in memory: the columns above. `streamed` makes it. */
  readonly parts?: Parts;
  /** The columns of a table, in the order of the numbers in its one input. */
  readonly columns?: readonly NamedColumn[];
  /** What the targets are, such as the name of their column. */
  readonly target?: string;
  /** The characters that the tokens 0, 1, … of the input stand for. */
  readonly vocabulary?: readonly string[];
  /** How the part for testing was chosen, if it was at random. */
  readonly heldOut?: HeldOut;
}

/** Examples in parts that are read when they are needed, each with the columns of the set. */
export interface Parts {
  /** Number of examples of each part. */
  readonly sizes: readonly number[];
  /** Parts that are in memory together, whose examples are shuffled with one another. */
  readonly window: number;
  /** Return the examples of a part, always the same. */
  readonly read: (part: number) => Promise<Dataset>;
}

/** Return the number of examples of a set, in memory or not. */
export const exampleCount = ({ size, parts }: Dataset): number =>
  parts ? parts.sizes.reduce((sum, each) => sum + each, 0) : size;

const datasetKeys: OptionKeys<Dataset> = {
  name: true,
  size: true,
  inputs: true,
  targets: true,
  weights: true,
  classes: true,
  picture: true,
  parts: true,
  columns: true,
  target: true,
  vocabulary: true,
  heldOut: true,
};

/** A training set, and a test set that is held out for evaluation. */
export interface DataSplits {
  readonly train: Dataset;
  readonly test: Dataset;
  /** A set by which a run is steered: when it ends, which parameters it keeps. The test set then remains unseen. */
  readonly validation?: Dataset;
}

/** Change each set. */
export function mapSplits({ train, test, validation }: DataSplits, change: (set: Dataset) => Dataset): DataSplits {
  return { train: change(train), test: change(test), ...(validation && { validation: change(validation) }) };
}

/** What is learned: the targets of the set, or its inputs. */
export type Task = 'supervised' | 'autoencoding';

/**
 * Return the one input of a data set or a batch.
 * @throws OptionError if it has several
 * @example
 * const { train } = await loadData('digits');
 * console.log(onlyInput(train).shape);
 */
export function onlyInput<Column extends Pick<ExampleArray, 'dtype'>>(given: {
  readonly name?: string;
  readonly inputs: Inputs<Column>;
}): Column {
  const { name = 'batch', inputs } = given;
  if (isUnnamed(inputs)) return inputs;
  throw new OptionError(`data set '${name}' has the inputs ${inputNames(inputs)}, expected one without a name`);
}

interface PictureInput {
  /** Undefined if the set has one input, without a name. */
  readonly name: string | undefined;
  readonly column: ExampleArray;
  readonly picture: PictureSize;
}

/**
 * Return the inputs that are pictures, also flattened ones, with their size: that of the set, or three axes of real numbers. If the
 * set has several inputs and a size of pictures, only those with as many elements are pictures.
 */
export function pictureInputs({ inputs, picture }: Pick<Dataset, 'inputs' | 'picture'>): PictureInput[] {
  return listInputs(inputs).flatMap(([name, column]) => {
    if (column.dtype !== 'float32') return [];
    const [channels, height, width, ...more] = column.shape;
    const shaped = channels !== undefined && height !== undefined && width !== undefined && more.length === 0;
    const isOther =
      picture !== undefined &&
      name !== undefined &&
      elementCount(column.shape) !== picture.channels * picture.height * picture.width;
    const size = picture ?? (shaped ? { channels, height, width } : undefined);
    return size && !isOther ? [{ name, column, picture: size }] : [];
  });
}

/** Return the number of elements from the start of one example to the next. */
export function exampleStride(column: ExampleArray): number {
  return column.stride ?? elementCount(column.shape);
}

/** Return in how many examples a number of the set occurs: 1, or more for overlapping windows over one sequence. */
export function overlapOf({ inputs }: Dataset): number {
  return listInputs(inputs).reduce(
    (most, [, column]) => Math.max(most, Math.ceil(elementCount(column.shape) / exampleStride(column))),
    1,
  );
}

/**
 * Check that all columns hold `size` examples, in the arrays of their types, and return the data set.
 * @throws OptionError if a column does not, and for unknown keys
 * @example
 * const [ids, mask, labels] = [new Int32Array(1600), new Int32Array(1600), new Int32Array(100)];
 * const tokens = (data: Int32Array) => ({ dtype: 'int64', shape: [16], data }) as const;
 * const inputs = { input_ids: tokens(ids), attention_mask: tokens(mask) }; // as the model names its inputs
 * const set = dataset({ name: 'sentences', size: 100, inputs, targets: { dtype: 'int64', shape: [], data: labels } });
 */
export function dataset(parts: Dataset): Dataset {
  checkKeys('dataset', parts, datasetKeys);
  if (typeof parts.name !== 'string')
    throw new OptionError(`the name of a data set is ${described(parts.name)}; give a text`);
  checkedNumber(`size of data set '${parts.name}'`, parts.size, { atLeast: 0, integer: true });
  checkedTexts(`classes of data set '${parts.name}'`, parts.classes);
  checkedTexts(`vocabulary of data set '${parts.name}'`, parts.vocabulary);
  checkPicture(parts);
  checkParts(parts);
  if (!isRecord(parts.inputs)) throw notColumn(parts.name, 'inputs', parts.inputs);
  if (listInputs(parts.inputs).length === 0) {
    throw new OptionError(`data set '${parts.name}' has no inputs: expected one column, or several by name`);
  }
  const columns = listInputs(parts.inputs).map(([name, column]) => [roleOf(name), column] as const);
  const weights = parts.weights === undefined ? [] : [['weights', parts.weights] as const];
  for (const [role, column] of [...columns, ['targets', parts.targets] as const, ...weights]) {
    checkColumn(parts.name, role, column);
    const expected = parts.size === 0 ? 0 : (parts.size - 1) * exampleStride(column) + elementCount(column.shape);
    if (column.data.length < expected) {
      throw new OptionError(
        `data set '${parts.name}': ${role} ${isPlural(role) ? 'hold' : 'holds'} ${column.data.length} elements, but ${parts.size} examples of shape [${column.shape}] need ${expected}`,
      );
    }
  }
  checkWeights(parts);
  checkNames(parts);
  return parts;
}

/** Check that columns are names with as many numbers as the input has. */
function checkNames({ name, inputs, columns, target }: Dataset): void {
  if (target !== undefined && typeof target !== 'string') {
    throw new OptionError(
      `the target of data set '${name}' is ${described(target)}; give the name of what is predicted`,
    );
  }
  if (columns === undefined) return;
  const given: unknown = columns;
  const isColumn = (column: unknown) => isRecord(column) && typeof column.name === 'string';
  if (!Array.isArray(given) || !given.every(isColumn)) {
    throw new OptionError(
      `the columns of data set '${name}' are ${described(given)}; give [{ name: 'age', size: 1 }, …]`,
    );
  }
  for (const { name: column, size } of columns) {
    checkedNumber(`size of column '${column}' of data set '${name}'`, size, { atLeast: 1, integer: true });
  }
  const numbers = columns.reduce((sum, { size }) => sum + size, 0);
  if (isUnnamed(inputs) && elementCount(inputs.shape) === numbers) return;
  throw new OptionError(
    `the columns of data set '${name}' have ${numbers} numbers, and its input does not: give one input of ${numbers} numbers`,
  );
}

const isPlural = (role: string): boolean => !role.startsWith('input ');

/** Check that weights are numbers of at least 0, one an example, and not all 0. */
function checkWeights({ name, size, weights }: Dataset): void {
  if (weights === undefined || size === 0) return;
  const { dtype, shape, data } = weights;
  if (dtype !== 'float32' || shape.length > 0 || !(data instanceof Float32Array)) {
    throw new OptionError(
      `data set '${name}': weights are ${dtype} of shape [${shape}]; give one number an example: { dtype: 'float32', shape: [], data: Float32Array.from(numbers) }`,
    );
  }
  const used = data.subarray(0, (size - 1) * exampleStride(weights) + 1);
  const wrong = used.findIndex((weight) => !(weight >= 0 && weight < Number.POSITIVE_INFINITY));
  if (wrong >= 0) {
    throw new OptionError(
      `data set '${name}': the weight of example ${wrong} is ${used[wrong]}; it must be a finite number of at least 0`,
    );
  }
  if (!used.some((weight) => weight > 0)) {
    throw new OptionError(`data set '${name}': all weights are 0; at least one example must count`);
  }
}

/** Check what TypeScript would check in a column, and more: its keys, type, shape and array. */
function checkColumn(set: string, role: string, column: ExampleArray): void {
  const whole: unknown = column;
  if (!isRecord(whole)) throw notColumn(set, role, whole);
  const what = `data set '${set}': ${role}`;
  checkKeys(what, column as ByteColumn, columnKeys);
  const { dtype, shape, data } = column;
  if (dtype !== 'float32' && dtype !== 'int64') {
    throw new OptionError(
      `${what}: dtype is ${described(dtype)}; it must be 'float32' (numbers) or 'int64' (labels, tokens)`,
    );
  }
  checkShape(what, shape);
  for (const [axis, size] of shape.entries())
    checkedNumber(`${what}: shape[${axis}]`, size, { atLeast: 0, integer: true });
  if (column.stride !== undefined) checkedNumber(`${what}: stride`, column.stride, { atLeast: 1, integer: true });
  const bytes = 'scale' in column;
  if (bytes) checkedNumber(`${what}: scale`, column.scale, {});
  const expected = dtype === 'int64' ? Int32Array : bytes ? Uint8Array : Float32Array;
  if (data instanceof expected) return;
  const hint =
    !bytes && dtype === 'float32' && (data as unknown) instanceof Uint8Array
      ? ' (bytes need a scale, such as 1 / 255)'
      : '';
  const labels =
    (data as unknown) instanceof BigInt64Array
      ? ': Int32Array.from(labels, Number)'
      : `: ${expected.name}.from(numbers)`;
  throw new OptionError(
    `${what}: data are ${described(data)}; ${dtype}${bytes ? ' of a scale' : ''} is stored in a ${expected.name}${hint || labels}`,
  );
}

/** @throws OptionError if a shape is not an array */
export function checkShape(what: string, shape: readonly number[]): void {
  const given: unknown = shape;
  if (Array.isArray(given)) return;
  throw new OptionError(
    `${what}: shape is ${described(given)}; give the sizes of one example, such as [784], or [] for a label`,
  );
}

const notColumn = (set: string, role: string, found: unknown): OptionError =>
  new OptionError(
    `data set '${set}': ${role} ${isPlural(role) ? 'are' : 'is'} ${described(found)}; give a column, such as ` +
      '{ dtype: "float32", shape: [4], data: Float32Array.from(numbers) }',
  );

function checkParts({ name, parts }: Dataset): void {
  const given: unknown = parts;
  if (given === undefined) return;
  if (isRecord(given) && Array.isArray(given.sizes) && typeof given.read === 'function') return;
  throw new OptionError(`parts of data set '${name}' are ${described(given)}; let streamed(source) make the set`);
}

function checkPicture({ name, picture }: Dataset): void {
  if (picture === undefined) return;
  checkKeys(`picture of data set '${name}'`, picture, { width: true, height: true, channels: true, resized: true });
  for (const side of ['width', 'height', 'channels'] as const) {
    checkedNumber(`picture of data set '${name}': ${side}`, picture[side], { atLeast: 1, integer: true });
  }
}

/**
 * Check the two sets that training takes: both there, sound (see `dataset`), and not empty.
 * @throws OptionError saying what is given instead
 */
export function checkSplits(splits: DataSplits): void {
  const given: unknown = splits;
  const parts = {
    train: 'the training set',
    test: 'the set that is held out for evaluation',
    validation: 'the set that steers a run',
  };
  if (!isRecord(given) || !('train' in given || 'test' in given)) {
    const advice =
      isRecord(given) && 'targets' in given
        ? `that is one data set: give { train, test }; test is ${parts.test}`
        : 'give { train, test }, as loadData returns them';
    throw new OptionError(`data are ${described(given)}; ${advice}`);
  }
  checkKeys('data', splits, { train: true, test: true, validation: true });
  for (const part of ['train', 'test', 'validation'] as const) {
    if (part === 'validation' && splits.validation === undefined) continue;
    if (!isRecord(given[part])) {
      throw new OptionError(
        `data.${part}, ${parts[part]}, is ${described(given[part])}; give a data set made by dataset()`,
      );
    }
    const { name, size } = dataset(given[part] as unknown as Dataset);
    if (size > 0) continue;
    throw new OptionError(
      part === 'train'
        ? `the training set '${name}' has no examples: nothing can be learned from it`
        : `the ${part} set '${name}' has no examples, and a model is evaluated on them: hold out at least one`,
    );
  }
}

/** The name of a column of inputs in messages. */
const roleOf = (name: string | undefined): string => (name === undefined ? 'inputs' : `input '${name}'`);
