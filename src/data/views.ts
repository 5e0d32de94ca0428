// Other views of a data set's examples: another shape, a part, inputs as targets. All share the memory of the data set.
import { OptionError } from '../errors.js';
import { type Inputs, inputNames, isUnnamed, mapInputs } from '../graph/inputs.js';
import { elementCount } from '../graph/tensor.js';
import { checkShape, type Dataset, dataset, type ExampleArray, exampleStride, onlyInput } from './dataset.js';

/**
 * Return the same examples with inputs of another shape, e.g. [1, 28, 28] instead of [784]. Shares memory.
 * @throws OptionError if the numbers of elements differ, or the set has several inputs
 * @example
 * const { train } = await loadData('digits');
 * const pictures = withInputShape(train, [1, 28, 28]);
 */
export function withInputShape(set: Dataset, shape: readonly number[]): Dataset {
  dataset(set);
  return withParts(set, (each) => ({ ...each, inputs: reshaped(each, onlyInput(each), shape) }));
}

/** Return the same examples with targets of another shape. @throws OptionError if the numbers of elements differ */
export function withTargetShape(set: Dataset, shape: readonly number[]): Dataset {
  if (String(shape) === String(set.targets.shape)) return set;
  return withParts(set, (each) => ({ ...each, targets: reshaped(each, each.targets, shape, 'targets') }));
}

/**
 * Return a data set for autoencoding: its inputs and targets are both the inputs, flattened to one axis. Shares memory.
 * @throws OptionError if the set has several inputs, or they are not real numbers
 * @example
 * const { train } = await loadData('digits');
 * const pictures = autoencoding(train);
 */
export function autoencoding(set: Dataset): Dataset {
  dataset(set);
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
  const shape = [elementCount(set.inputs.shape)];
  return withParts(set, (each) => {
    const inputs = reshaped(each, onlyInput(each), shape);
    const { classes: _, ...rest } = each;
    return { ...rest, inputs, targets: inputs };
  });
}

/** Change a set, and each part of it when it is read. */
export function withParts({ parts, ...set }: Dataset, change: (set: Dataset) => Dataset): Dataset {
  const changed = change(set);
  return parts ? { ...changed, parts: { ...parts, read: async (part) => change(await parts.read(part)) } } : changed;
}

/** Return the examples from `start` to `end` (excluded) of those in memory. Shares memory. */
export function slice({ parts: _, ...set }: Dataset, start: number, end: number): Dataset {
  const from = Math.max(0, Math.min(start, set.size));
  const to = Math.max(from, Math.min(end, set.size));
  return { ...set, size: to - from, ...mapColumns(set, (column) => tail(column, from)) };
}

/** Change each column once: targets that are an input, as those of an autoencoder, remain so. */
export function mapColumns<Result extends Pick<ExampleArray, 'dtype'>>(
  { inputs, targets, weights }: Pick<Dataset, 'inputs' | 'targets' | 'weights'>,
  change: (column: ExampleArray) => Result,
): { readonly inputs: Inputs<Result>; readonly targets: Result; readonly weights?: Result } {
  const changed = new Map<ExampleArray, Result>();
  const once = (column: ExampleArray): Result => {
    const result = changed.get(column) ?? change(column);
    changed.set(column, result);
    return result;
  };
  return { inputs: mapInputs(inputs, once), targets: once(targets), ...(weights && { weights: once(weights) }) };
}

function tail(column: ExampleArray, from: number): ExampleArray {
  const start = from * exampleStride(column);
  if (column.dtype === 'int64') return { ...column, data: column.data.subarray(start) };
  return 'scale' in column
    ? { ...column, data: column.data.subarray(start) }
    : { ...column, data: column.data.subarray(start) };
}

/** A column in another shape. @throws OptionError if the numbers of elements differ */
function reshaped(set: Dataset, column: ExampleArray, shape: readonly number[], role = 'inputs'): ExampleArray {
  checkShape(`data set '${set.name}': ${role}`, shape);
  if (elementCount(shape) !== elementCount(column.shape)) {
    throw new OptionError(
      `data set '${set.name}': ${role} of shape [${column.shape}] cannot have the shape [${shape}]: ${elementCount(column.shape)} elements are not ${elementCount(shape)}`,
    );
  }
  return { ...column, shape };
}
