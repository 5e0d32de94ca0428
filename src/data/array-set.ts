// Makes a data set of named arrays. Their names say which hold inputs and which targets, which train and which test, as the
// usual archives spell them (x_train, train_images, y, labels, test_labels …); or they are the names of the model's inputs, or
// are given.
import { FileError, OptionError } from '../errors.js';
import type { Inputs } from '../graph/inputs.js';
import { firstNotFinite } from '../graph/tensor.js';
import { type ArrayNames, describeArrays, givenArrays, inputArrays, type Part, targetArrays } from './array-names.js';
import { type DataSplits, type Dataset, dataset, type ExampleArray, type PictureSize } from './dataset.js';
import type { NumberArray } from './readers/npy.js';
import { type SplitOptions, splitAtRandom } from './split.js';
import { autoencoding } from './views.js';

/** How to read the arrays. */
export interface ArraySetOptions extends ArrayNames, SplitOptions {
  /** Name of the array of weights: how much each example counts. None by default. */
  readonly weights?: string | undefined;
  /** How pictures with colours are laid out: 'nchw' (as ONNX wants them, the default) or 'nhwc' (transposed while reading). */
  readonly layout?: 'nchw' | 'nhwc';
}

/**
 * Return the data sets of named arrays, whose first axis are the examples. Unsigned bytes are pixels (scale 1/255) as inputs and
 * labels as a list of targets; other integers stay integers. The test part in the file is used as it is, else its validation
 * part, else a share is held out at random.
 * @throws FileError if the arrays do not fit together
 */
export function arraySplits(
  arrays: ReadonlyMap<string, NumberArray>,
  path: string,
  options: ArraySetOptions,
): DataSplits {
  const weights = options.weights === undefined ? undefined : givenArrays(arrays, path, options.weights, 'weights');
  const weightNames = new Set(weights?.values());
  const others = new Map([...arrays].filter(([name]) => !weightNames.has(name)));
  const inputs = inputArrays(others, path, options);
  const targets = targetArrays(others, path, options, inputs);
  const build = (part: Part): Dataset | undefined => {
    const named = inputs.map(({ name, parts }) => ({ name, array: parts.get(part) }));
    const present = named.find(({ array }) => array !== undefined)?.array;
    if (present === undefined) return undefined;
    const columns = named.map(({ name, array }) => {
      if (array !== undefined) return { name, array };
      throw new FileError(
        `${path}: '${present}' has no array of the input '${name}' beside it: expected one array for each input`,
      );
    });
    const target = targets.get(part);
    if (target === undefined && targets.size > 0) {
      const found = [...targets.values()].map((array) => `'${array}'`).join(', ');
      throw new FileError(`${path}: '${present}' has no targets beside it, only other parts have (${found}): add them`);
    }
    const title = part === 'whole' ? path : `${path} ${part === 'train' ? 'train' : 'test'}`;
    const weight = weights?.get(part);
    if (weights && weight === undefined) {
      const found = [...weightNames].map((array) => `'${array}'`).join(', ');
      throw new FileError(`${path}: '${present}' has no weights beside it, only other parts have (${found}): add them`);
    }
    return arrayDataset(title, path, arrays, columns, { target, weight }, options);
  };
  const train = build('train');
  if (train) {
    const test = build('test') ?? build('validation');
    return test ? { train, test } : splitAtRandom(train, options);
  }
  const whole = build('whole');
  if (whole) return splitAtRandom(whole, options);
  throw new FileError(
    `${path}: found ${describeArrays(arrays)}, none named as inputs: expected names such as x_train, train_images, x or images, or those of the model's inputs; name one with ?inputs=NAME&targets=NAME, several with ?inputs=NAME,NAME`,
  );
}

function arrayDataset(
  title: string,
  path: string,
  arrays: ReadonlyMap<string, NumberArray>,
  columns: readonly { readonly name: string | undefined; readonly array: string }[],
  { target, weight }: { readonly target: string | undefined; readonly weight: string | undefined },
  { layout }: ArraySetOptions,
): Dataset {
  const array = (name: string) => usableArray(arrays, path, name);
  const sources = columns.map(({ array: name }) => ({ name, source: array(name) }));
  const [first] = sources;
  const size = first?.source.shape[0] ?? 0;
  const different = sources.find(({ source }) => source.shape[0] !== size);
  if (first && different) {
    throw new FileError(
      `${path}: '${different.name}' has ${different.source.shape[0]} examples and '${first.name}' ${size}: expected the same number for each input`,
    );
  }
  // Of several inputs, those with four axes are the pictures.
  const hasPictures = sources.some(({ source }) => source.shape.length === 4);
  const read = sources.map(({ name, source }) => {
    const isChannelsLast = layout === 'nhwc' && (source.shape.length === 4 || !hasPictures);
    return inputColumn(isChannelsLast ? channelsFirst(source, path, name) : source);
  });
  const [only] = read;
  const inputs: Inputs<ExampleArray> =
    only && columns[0]?.name === undefined
      ? only
      : Object.fromEntries(columns.map(({ name = '' }, i) => [name, read[i] as ExampleArray])); // one of each
  const [picture, ...pictures] = read.flatMap((column) => pictureOf(column) ?? []);
  const weights = weight === undefined ? undefined : weightColumn(array(weight), size, path, weight);
  const onlyPicture = picture && pictures.length === 0 && { picture };
  const base = { name: title, size, inputs, ...onlyPicture, ...(weights && { weights }) };
  if (target === undefined) return autoencoding(dataset({ ...base, targets: only as ExampleArray })); // there is one
  const targets = array(target);
  if (targets.shape[0] !== size) {
    throw new FileError(
      `${path}: '${target}' has ${targets.shape[0]} examples and '${first?.name}' ${size}: expected one target for each input`,
    );
  }
  return dataset({ ...base, ...targetColumn(targets, path, target) });
}

/** @throws FileError if an array is missing or empty, or has a number that is not finite */
export function usableArray(arrays: ReadonlyMap<string, NumberArray>, path: string, name: string): NumberArray {
  const value = arrays.get(name);
  if (value === undefined) throw new FileError(`${path}: there is no array '${name}'`);
  if (value.shape.length === 0 || value.data.length === 0) {
    throw new FileError(
      `${path}: '${name}' has shape [${value.shape}], expected at least one example along its first axis`,
    );
  }
  const bad = firstNotFinite(value);
  if (bad >= 0) {
    throw new FileError(
      `${path}: element ${bad} of '${name}' is ${value.data[bad]}, expected finite numbers within float32: clean the array, e.g. with numpy.nan_to_num`,
    );
  }
  return value;
}

/** Return an array as a column: unsigned bytes are pixels. */
export function inputColumn({ shape, data }: NumberArray): ExampleArray {
  const example = shape.length === 1 ? [1] : shape.slice(1);
  if (data instanceof Uint8Array) return { dtype: 'float32', shape: example, data, scale: 1 / 255 };
  return data instanceof Float32Array
    ? { dtype: 'float32', shape: example, data }
    : { dtype: 'int64', shape: example, data };
}

function weightColumn({ shape, data }: NumberArray, size: number, path: string, name: string): ExampleArray {
  const single = shape.length === 1 || (shape.length === 2 && shape[1] === 1);
  if (single && shape[0] === size) return { dtype: 'float32', shape: [], data: Float32Array.from(data) };
  throw new FileError(
    `${path}: the weights '${name}' have shape [${shape}], expected one number for each of ${size} examples`,
  );
}

function targetColumn(array: NumberArray, path: string, name: string): Pick<Dataset, 'targets' | 'classes'> {
  const { shape, data } = array;
  const single = shape.length === 1 || (shape.length === 2 && shape[1] === 1);
  if (data instanceof Float32Array || !single) return { targets: inputColumn(array) };
  const labels = Int32Array.from(data);
  const [least, most] = labels.reduce(([low, high], label) => [Math.min(low, label), Math.max(high, label)], [0, 0]);
  if (least < 0 || most >= labels.length + 1000) {
    throw new FileError(
      `${path}: the labels '${name}' run from ${least} to ${most}, expected class numbers from 0: renumber them, or save float32 for regression`,
    );
  }
  return {
    targets: { dtype: 'int64', shape: [], data: labels },
    classes: Array.from({ length: most + 1 }, (_, label) => String(label)),
  };
}

/** Transpose [examples, height, width, channels] to [examples, channels, height, width]. */
function channelsFirst(array: NumberArray, path: string, name: string): NumberArray {
  const [count = 0, height = 0, width = 0, channels = 0] = array.shape;
  if (array.shape.length !== 4) {
    throw new OptionError(
      `${path}: layout=nhwc needs four axes (examples, height, width, channels), but '${name}' has shape [${array.shape}]: leave it out`,
    );
  }
  const data = array.data.slice();
  const plane = height * width;
  for (let picture = 0; picture < count; picture++) {
    const start = picture * plane * channels;
    for (let channel = 0; channel < channels; channel++) {
      for (let pixel = 0; pixel < plane; pixel++) {
        data[start + channel * plane + pixel] = array.data[start + pixel * channels + channel] ?? 0;
      }
    }
  }
  return { shape: [count, channels, height, width], data };
}

/** The size of a picture: of bytes with two axes (grey), or of numbers with 1 or 3 planes and two axes. */
function pictureOf(inputs: ExampleArray): PictureSize | undefined {
  const [planes = 1, height = 0, width = 0] = inputs.shape.length === 2 ? [1, ...inputs.shape] : inputs.shape;
  const isPicture =
    (inputs.shape.length === 2 && 'scale' in inputs) || (inputs.shape.length === 3 && [1, 3].includes(planes));
  return isPicture && inputs.dtype === 'float32' ? { width, height, channels: planes } : undefined;
}
