// What a data set is: columns of equally shaped examples, inputs and targets, with the names and picture size needed to
// show them. Pixels may stay bytes; they become float32 only in the batch that is gathered.
import { OptionError } from '../errors.js';
import { type Inputs, inputNames, isUnnamed, listInputs, mapInputs } from '../graph/inputs.js';

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

/** How to show an example's input (of several the one of that size) as a picture: pixels in the order [channels, height, width]. */
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
  /** The column that a model with one input takes, or a column for each input by the names that the model gives them. */
  readonly inputs: Inputs<ExampleArray>;
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

/**
 * The one input of a data set or a batch.
 * @throws OptionError where it has several
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
  /** Undefined where the set has one input, without a name. */
  readonly name: string | undefined;
  readonly column: ExampleArray;
  readonly picture: Picture;
}

/**
 * The inputs that are pictures, with their size, which may be flattened: said by the set, or three axes of real numbers.
 * Of several inputs those are in question that have as many elements as the set's pictures.
 */
export function pictureInputs({ inputs, picture }: Dataset): PictureInput[] {
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

/** Elements from one example to the next. */
export function exampleStride(column: ExampleArray): number {
  return column.stride ?? elementCount(column.shape);
}

/** In how many examples a number of the set occurs: 1, or more for overlapping windows over one sequence. */
export function overlapOf({ inputs }: Dataset): number {
  return listInputs(inputs).reduce(
    (most, [, column]) => Math.max(most, Math.ceil(elementCount(column.shape) / exampleStride(column))),
    1,
  );
}

/**
 * Checks that all columns hold `size` examples and returns the data set. Throws OptionError where one does not.
 *
 * @example
 * const tokens = (data: Int32Array) => ({ dtype: 'int64', shape: [16], data }) as const;
 * const inputs = { input_ids: tokens(ids), attention_mask: tokens(mask) }; // as the model names its inputs
 * const set = dataset({ name: 'sentences', size: 100, inputs, targets: { dtype: 'int64', shape: [], data: labels } });
 */
export function dataset(parts: Dataset): Dataset {
  if (listInputs(parts.inputs).length === 0) {
    throw new OptionError(`data set '${parts.name}' has no inputs: expected one column, or several by name`);
  }
  const columns = listInputs(parts.inputs).map(([name, column]) => [roleOf(name), column] as const);
  for (const [role, column] of [...columns, ['targets', parts.targets] as const]) {
    const expected = parts.size === 0 ? 0 : (parts.size - 1) * exampleStride(column) + elementCount(column.shape);
    if (column.data.length < expected) {
      throw new OptionError(
        `data set '${parts.name}': ${role} ${role === 'inputs' || role === 'targets' ? 'hold' : 'holds'} ${column.data.length} elements, but ${parts.size} examples of shape [${column.shape}] need ${expected}`,
      );
    }
  }
  return parts;
}

/**
 * The same examples seen in another shape, e.g. [784] as [1, 28, 28]. Throws OptionError where the sizes differ, or the
 * set has several inputs.
 */
export function withInputShape(set: Dataset, shape: readonly number[]): Dataset {
  return { ...set, inputs: reshaped(set, onlyInput(set), shape) };
}

/** The same examples with targets of another shape. Throws OptionError where the sizes differ. */
export function withTargetShape(set: Dataset, shape: readonly number[]): Dataset {
  if (String(shape) === String(set.targets.shape)) return set;
  return { ...set, targets: reshaped(set, set.targets, shape, 'targets') };
}

/** Autoencoding on the same data: inputs and targets are both the inputs, flattened to one axis. Shares memory. */
export function autoencoding(set: Dataset): Dataset {
  if (!isUnnamed(set.inputs)) {
    throw new OptionError(
      `data set '${set.name}' cannot be autoencoded: it has the inputs ${inputNames(set.inputs)}, expected one without a name`,
    );
  }
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
  return { ...set, size: to - from, ...mapColumns(set, (column) => tail(column, from)) };
}

/** Each column changed once: where targets are an input, as an autoencoder's are, they remain so. */
export function mapColumns<Result extends Pick<ExampleArray, 'dtype'>>(
  { inputs, targets }: Pick<Dataset, 'inputs' | 'targets'>,
  change: (column: ExampleArray) => Result,
): { readonly inputs: Inputs<Result>; readonly targets: Result } {
  const changed = new Map<ExampleArray, Result>();
  const once = (column: ExampleArray): Result => {
    const result = changed.get(column) ?? change(column);
    changed.set(column, result);
    return result;
  };
  return { inputs: mapInputs(inputs, once), targets: once(targets) };
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

/** What a column of inputs is called in messages. */
const roleOf = (name: string | undefined): string => (name === undefined ? 'inputs' : `input '${name}'`);

/** A column seen in another shape. Throws OptionError where the sizes differ. */
function reshaped(set: Dataset, column: ExampleArray, shape: readonly number[], role = 'inputs'): ExampleArray {
  if (elementCount(shape) !== elementCount(column.shape)) {
    throw new OptionError(
      `data set '${set.name}': ${role} of shape [${column.shape}] cannot be seen as [${shape}]: ${elementCount(column.shape)} elements are not ${elementCount(shape)}`,
    );
  }
  return { ...column, shape };
}
