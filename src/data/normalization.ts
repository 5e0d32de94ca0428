// Means and deviations of a data set's inputs and targets, by which a model normalizes them.
import { OptionError } from '../errors.js';
import { inputNames, isUnnamed, listInputs } from '../graph/inputs.js';
import { elementCount, firstNotFinite } from '../graph/tensor.js';
import { checkNormalization, type Normalization } from '../normalization.js';
import { type Dataset, dataset, type ExampleArray, exampleStride } from './dataset.js';

/**
 * Return mean and deviation of a data set's inputs: per channel (the first axis) of pictures, also flattened ones, and of other
 * inputs with more than one axis; per column of rows of numbers. A constant channel or column gets deviation 1, so that it becomes
 * 0. If there are several inputs, the only one of real numbers is measured. Examples count by their
 * weights.
 * @throws OptionError for tokens and other whole numbers, if several inputs are real numbers, if a number is not finite, and if
 *   there is no example
 * @example
 * const { train } = await loadData('digits');
 * const model = withNormalization(lenet({ seed: 1 }), measureNormalization(train)); // mean [0.1307], deviation [0.3081] on MNIST
 */
export function measureNormalization(set: Dataset): Normalization {
  dataset(set);
  const { column, channels } = measuredChannels(set);
  return unitForConstants(momentsOf(set, column, channels, 'inputs'));
}

function measuredChannels(set: Dataset): { readonly column: ExampleArray; readonly channels: number } {
  const inputs = measured(set);
  if (inputs.dtype !== 'float32') {
    throw new OptionError(
      `the inputs of '${set.name}' are ${inputs.dtype}, as of text: only pictures and other real numbers can be normalized`,
    );
  }
  const [first = 1] = inputs.shape;
  return { column: inputs, channels: set.picture?.channels ?? first };
}

/**
 * Return the deviation of each column or channel of a data set's inputs, as `measureNormalization` has them; 0 for a constant one.
 * @throws OptionError as `measureNormalization` does
 */
export function measureDeviations(set: Dataset): readonly number[] {
  const { column, channels } = measuredChannels(set);
  return momentsOf(set, column, channels, 'inputs').deviation;
}

/**
 * Return mean and deviation of a data set's targets: per column of rows of numbers, and one of each for targets with more axes. A
 * constant column gets deviation 1. Examples count by their weights.
 * @throws OptionError for labels, if a number is not finite, and if there is no example
 * @example
 * const { train } = await loadData('digits', { task: 'autoencoding' });
 * const model = withTargetNormalization(mlp({ sizes: [784, 16, 784], seed: 1 }), measureTargetNormalization(train));
 */
export function measureTargetNormalization(set: Dataset): Normalization {
  dataset(set);
  const { targets } = set;
  if (targets.dtype !== 'float32') {
    throw new OptionError(
      `the targets of '${set.name}' are ${targets.dtype}, as labels are: only real numbers have a mean`,
    );
  }
  const [first = 1, ...more] = targets.shape;
  return unitForConstants(momentsOf(set, targets, more.length === 0 ? first : 1, 'targets'));
}

/** A constant column or channel is divided by 1. */
const unitForConstants = ({ mean, deviation }: Normalization): Normalization => ({
  mean,
  deviation: deviation.map((each) => each || 1),
});

/** The smallest number that float32 holds with all its digits. */
const smallest = 2 ** -126;

/** Deviations of constants are 0. @param channels number of equal parts of an example, each with its own mean and deviation */
function momentsOf(
  { name, size, weights }: Dataset,
  column: ExampleArray,
  channels: number,
  role: 'inputs' | 'targets',
): Normalization {
  if (size === 0) throw new OptionError(`'${name}' has no examples to measure a mean and deviation of`);
  const { data } = column;
  const area = elementCount(column.shape) / channels;
  const stride = exampleStride(column);
  const scale = 'scale' in column ? column.scale : 1;
  const weightOf = (row: number): number => (weights ? Number(weights.data[row * exampleStride(weights)]) : 1);
  let [count, firstRow] = [0, 0];
  for (let row = size - 1; row >= 0; row--) {
    count += weightOf(row) * area;
    if (weightOf(row) > 0) firstRow = row;
  }
  const mean: number[] = [];
  const deviation: number[] = [];
  for (let channel = 0; channel < channels; channel++) {
    // Sums about the first value that counts keep their digits if the mean is large against the deviation.
    const origin = data[firstRow * stride + channel * area] ?? 0;
    let [sum, squares] = [0, 0];
    for (let row = 0; row < size; row++) {
      const start = row * stride + channel * area;
      const weight = weightOf(row);
      if (weight === 0) continue;
      for (let at = start; at < start + area; at++) {
        const difference = (data[at] as number) - origin; // within: rows have all channels
        sum += weight * difference;
        squares += weight * difference * difference;
      }
    }
    if (!Number.isFinite(squares)) throw notFinite(name, column, role);
    const offset = sum / count;
    const variance = squares / count - offset * offset;
    const spread = scale * Math.sqrt(Math.max(0, variance));
    mean.push(scale * (origin + offset));
    deviation.push(spread < smallest ? 0 : spread);
  }
  return { mean, deviation };
}

/**
 * Check that all real numbers of a data set's inputs and targets are finite.
 * @throws OptionError naming the set, the row and the column (from 1) of the first that is not
 */
export function checkFinite({ name, size, inputs, targets }: Dataset): void {
  const columns = [
    ...listInputs(inputs).map(
      ([input, column]) => [input === undefined ? 'inputs' : `inputs '${input}'`, column] as const,
    ),
    ['targets', targets] as const,
  ];
  for (const [role, column] of columns) {
    // A part of a set shares its memory, so that numbers of other rows may follow.
    const data = column.data.subarray(0, (size - 1) * exampleStride(column) + elementCount(column.shape));
    if (firstNotFinite({ data }) >= 0) throw notFinite(name, column, role);
  }
}

function notFinite(name: string, column: ExampleArray, role: string): OptionError {
  const at = firstNotFinite(column);
  const stride = exampleStride(column);
  return new OptionError(
    `the ${role} of '${name}' hold ${column.data[at]} in row ${Math.floor(at / stride) + 1}, column ${(at % stride) + 1}: give it a finite number, or leave the row out`,
  );
}

/**
 * Check a normalization that is given for a data set: a mean and a deviation for each channel, for each column of a table, or one
 * for all.
 * @throws OptionError as `checkNormalization` does, and if their number is wrong
 */
export function checkNormalizationOf(set: Dataset, normalization: Normalization): void {
  checkNormalization(normalization);
  const { mean, deviation } = normalization;
  const inputs = candidates(set)[0];
  if (!inputs || candidates(set).length > 1) return; // the model refuses it, and names its inputs
  const [first = 1] = inputs.shape;
  const channels = set.picture?.channels ?? first;
  for (const [name, { length }] of Object.entries({ mean, deviation })) {
    // Channels of pictures may also be the last axis; only the model knows.
    if (length === 1 || length === channels || (inputs.shape.length === 3 && length === inputs.shape[2])) continue;
    const what = inputs.shape.length === 1 && !set.picture ? 'columns' : 'channels';
    throw new OptionError(
      `the ${name} of a normalization has ${length} numbers, and '${set.name}' has ${channels} ${what}: give one for each, or one for all`,
    );
  }
}

/** A deviation of so many steps between neighbouring float32 numbers leaves three digits of the data. */
const fewestSteps = 1000;
/** From here on float32 does not hold every whole number. */
const wholeNumbersEnd = 2 ** 24;

/**
 * Return a warning about the columns whose digits float32 has lost, if there are any: those that vary by few of its steps, and
 * large ones that do not vary at all.
 */
export function lostDigits({ mean, deviation }: Normalization, set: string, role: 'inputs' | 'targets'): string[] {
  const lost = mean.flatMap((centre, i) => {
    const spread = deviation[i] ?? 1;
    const step = 2 ** (Math.floor(Math.log2(Math.abs(centre))) - 23); // 0 of a mean 0
    // Deviation 1 may be that of a constant column: no reason to warn if float32 holds its whole numbers.
    const mayBeConstant = spread === 1 && Math.abs(centre) < wholeNumbersEnd;
    return spread < fewestSteps * step && !mayBeConstant ? [{ column: i + 1, centre, spread }] : [];
  });
  const [first, ...others] = lost;
  if (!first) return [];
  const also = others.length > 0 ? ` (and ${others.length} more, from column ${others[0]?.column} on)` : '';
  const rounded = (x: number) => Number(x.toPrecision(4));
  const varies = first.spread === 1 ? 'in every row' : `± ${rounded(first.spread)}`;
  return [
    `column ${first.column} of the ${role} of '${set}' is ${rounded(first.centre)} ${varies}${also}: numbers of that size have about 7 digits in ` +
      'float32, which leave fewer than 3 for the variation. Subtract a constant before the data are stored as float32, or use ' +
      'another unit (days since a date instead of seconds since 1970)',
  ];
}

/** The input to measure. */
function measured(set: Dataset): ExampleArray {
  const { name, inputs } = set;
  const numbers = candidates(set);
  const [column] = numbers;
  if (column && numbers.length === 1) return column;
  throw new OptionError(
    `data set '${name}' has the inputs ${inputNames(inputs)}, of which ${numbers.length} are real numbers; cgfac normalizes one: train without a normalization`,
  );
}

/** Inputs that may be normalized: the only one, or those of real numbers. */
const candidates = ({ inputs }: Dataset): readonly ExampleArray[] =>
  isUnnamed(inputs) ? [inputs] : Object.values(inputs).filter(({ dtype }) => dtype === 'float32');
