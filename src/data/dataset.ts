// What a data set is: two columns of equally shaped examples, inputs and targets, with the names and picture size
// needed to show them. Pixels may stay bytes; they become float32 only in the batch that is gathered.
import { OptionError } from '../errors.js';

interface Column {
  /** Shape of one example, e.g. [784] or [1, 28, 28]; [] for a scalar. */
  readonly shape: readonly number[];
  /**
   * Elements between the starts of two consecutive examples; the size of one example where absent. Smaller for
   * overlapping windows over one sequence.
   */
  readonly stride?: number;
}

/** Real numbers. */
interface FloatColumn extends Column {
  readonly dtype: 'float32';
  readonly data: Float32Array;
}

/** Real numbers kept as bytes: an element's value is `byte × scale`. */
interface ByteColumn extends Column {
  readonly dtype: 'float32';
  readonly data: Uint8Array;
  readonly scale: number;
}

/** Whole numbers (labels, tokens): kept in 32 bits, int64 once gathered, as ONNX's loss and Gather want them. */
interface IntegerColumn extends Column {
  readonly dtype: 'int64';
  readonly data: Int32Array;
}

/** A column of equally shaped examples. */
export type ExampleArray = FloatColumn | ByteColumn | IntegerColumn;

/** How to show an example's input as a picture: pixels in the order [channels, height, width]. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
}

/** Examples: row i of `inputs` goes with row i of `targets`. Labels are int64 of shape []. */
export interface Dataset {
  readonly name: string;
  /** Number of examples. */
  readonly size: number;
  readonly inputs: ExampleArray;
  readonly targets: ExampleArray;
  /** Names of the integer targets 0, 1, …: class names, or a text's vocabulary. */
  readonly classes?: readonly string[];
  readonly picture?: Picture;
}

/** What is trained on, and what is held out to judge it. */
export interface DataSplits {
  readonly train: Dataset;
  readonly test: Dataset;
}

/** What is learned: targets as the set gives them, or the inputs themselves. */
export type Task = 'supervised' | 'autoencoding';

/** Number of elements of a shape; 1 for []. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** The size of a set's pictures, which may be flattened: said by the set, or three axes of real numbers. */
export function pictureOf({ inputs, picture }: Dataset): Picture | undefined {
  if (inputs.dtype !== 'float32') return undefined;
  const [channels, height, width, ...more] = inputs.shape;
  const shaped = channels !== undefined && height !== undefined && width !== undefined && more.length === 0;
  return picture ?? (shaped ? { channels, height, width } : undefined);
}

/** Elements from one example to the next. */
export function exampleStride(column: ExampleArray): number {
  return column.stride ?? elementCount(column.shape);
}

/** In how many examples a number of the set occurs: 1, or more for overlapping windows over one sequence. */
export function overlapOf({ inputs }: Dataset): number {
  return Math.max(1, Math.ceil(elementCount(inputs.shape) / exampleStride(inputs)));
}

/** Checks that both columns hold `size` examples and returns the data set. Throws OptionError where one does not. */
export function dataset(parts: Dataset): Dataset {
  for (const role of ['inputs', 'targets'] as const) {
    const column = parts[role];
    const expected = parts.size === 0 ? 0 : (parts.size - 1) * exampleStride(column) + elementCount(column.shape);
    if (column.data.length < expected) {
      throw new OptionError(
        `data set '${parts.name}': ${role} hold ${column.data.length} elements, but ${parts.size} examples of shape [${column.shape}] need ${expected}`,
      );
    }
  }
  return parts;
}

/** The same examples seen in another shape, e.g. [784] as [1, 28, 28]. Throws OptionError where the sizes differ. */
export function withInputShape(set: Dataset, shape: readonly number[]): Dataset {
  return { ...set, inputs: reshaped(set, set.inputs, shape) };
}

/** The same examples with targets of another shape. Throws OptionError where the sizes differ. */
export function withTargetShape(set: Dataset, shape: readonly number[]): Dataset {
  if (String(shape) === String(set.targets.shape)) return set;
  return { ...set, targets: reshaped(set, set.targets, shape, 'targets') };
}

/** Autoencoding on the same data: inputs and targets are both the inputs, flattened to one axis. Shares memory. */
export function autoencoding(set: Dataset): Dataset {
  if (set.inputs.dtype !== 'float32') {
    throw new OptionError(
      `data set '${set.name}' cannot be autoencoded: its inputs are ${set.inputs.dtype}, expected float32`,
    );
  }
  const inputs = reshaped(set, set.inputs, [elementCount(set.inputs.shape)]);
  const { classes: _, ...rest } = set;
  return { ...rest, inputs, targets: inputs };
}

/** The examples from `start` to `end` (excluded). Shares memory. */
export function slice(set: Dataset, start: number, end: number): Dataset {
  const from = Math.max(0, Math.min(start, set.size));
  const to = Math.max(from, Math.min(end, set.size));
  return { ...set, size: to - from, inputs: tail(set.inputs, from), targets: tail(set.targets, from) };
}

function tail(column: ExampleArray, from: number): ExampleArray {
  const start = from * exampleStride(column);
  switch (column.dtype) {
    case 'int64':
      return { ...column, data: column.data.subarray(start) };
    default:
      return column.data instanceof Uint8Array
        ? { ...(column as ByteColumn), data: column.data.subarray(start) }
        : { ...(column as FloatColumn), data: column.data.subarray(start) };
  }
}

function reshaped(set: Dataset, column: ExampleArray, shape: readonly number[], role = 'inputs'): ExampleArray {
  if (elementCount(shape) !== elementCount(column.shape)) {
    throw new OptionError(
      `data set '${set.name}': ${role} of shape [${column.shape}] cannot be seen as [${shape}]: ${elementCount(column.shape)} elements are not ${elementCount(shape)}`,
    );
  }
  return { ...column, shape };
}
