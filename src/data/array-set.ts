// Makes a data set of named arrays: which hold inputs and which targets, which train and which test, is read from their
// names as the usual archives spell them (x_train, train_images, y, labels, test_labels …) or given.
import { FileError, OptionError } from '../errors.js';
import { autoencoding, type DataSplits, type Dataset, dataset, type ExampleArray, type Picture } from './dataset.js';
import type { NumberArray } from './npy.js';
import { type SplitOptions, splitAtRandom } from './split.js';

/** How to read the arrays. */
export interface ArraySetOptions extends SplitOptions {
  /** Name of the array of inputs, where its own name does not tell. Needs no split into train and test in the file. */
  readonly inputs?: string | undefined;
  /** Name of the array of targets; without any, the inputs are autoencoded. */
  readonly targets?: string | undefined;
  /** How pictures with colours are laid out: 'nchw' (as ONNX wants them, the default) or 'nhwc' (turned while reading). */
  readonly layout?: 'nchw' | 'nhwc';
}

type Role = 'inputs' | 'targets';
type Part = 'train' | 'test' | 'validation' | 'whole';

const roleWords: Readonly<Record<string, Role>> = {
  x: 'inputs',
  input: 'inputs',
  inputs: 'inputs',
  image: 'inputs',
  images: 'inputs',
  data: 'inputs',
  features: 'inputs',
  y: 'targets',
  target: 'targets',
  targets: 'targets',
  label: 'targets',
  labels: 'targets',
};
const partWords: Readonly<Record<string, Part>> = {
  train: 'train',
  training: 'train',
  test: 'test',
  val: 'validation',
  valid: 'validation',
  validation: 'validation',
};

/**
 * Examples run along each array's first axis. Unsigned bytes are pixels (scale 1/255) when inputs and labels when they are
 * a list of targets; other integers stay integers. A test part in the file is used as it is, else its validation part,
 * else a share is held out at random. Throws FileError where the arrays do not fit together.
 */
export function arraySplits(
  arrays: ReadonlyMap<string, NumberArray>,
  path: string,
  options: ArraySetOptions,
): DataSplits {
  const found = options.inputs === undefined ? rolesByName(arrays, path) : rolesGiven(arrays, path, options);
  const build = (part: Part): Dataset | undefined => {
    const inputs = found.get(`inputs ${part}`);
    const name = part === 'whole' ? path : `${path} ${part === 'train' ? 'train' : 'test'}`;
    return inputs === undefined
      ? undefined
      : arrayDataset(name, path, arrays, { inputs, targets: found.get(`targets ${part}`) }, options);
  };
  const train = build('train');
  if (train) {
    const test = build('test') ?? build('validation');
    return test ? { train, test } : splitAtRandom(train, options);
  }
  const whole = build('whole');
  if (whole) return splitAtRandom(whole, options);
  throw new FileError(
    `${path}: found ${describe(arrays)}, none named as inputs: expected names such as x_train, train_images, x or images; name one with ?inputs=NAME&targets=NAME`,
  );
}

function rolesByName(arrays: ReadonlyMap<string, NumberArray>, path: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const name of arrays.keys()) {
    const words = name.toLowerCase().split(/[^a-z]+/);
    const role = words.map((word) => roleWords[word]).find((known) => known !== undefined);
    if (role === undefined) continue;
    const part = words.map((word) => partWords[word]).find((known) => known !== undefined) ?? 'whole';
    const key = `${role} ${part}`;
    const other = found.get(key);
    if (other !== undefined) {
      throw new FileError(
        `${path}: '${other}' and '${name}' could both be its ${part} ${role}: choose with ?inputs=NAME&targets=NAME`,
      );
    }
    found.set(key, name);
  }
  // One array alone needs no name to be understood.
  const [only] = arrays.keys();
  if (found.size === 0 && arrays.size === 1 && only !== undefined) found.set('inputs whole', only);
  return found;
}

function rolesGiven(
  arrays: ReadonlyMap<string, NumberArray>,
  path: string,
  options: ArraySetOptions,
): Map<string, string> {
  const found = new Map<string, string>();
  for (const role of ['inputs', 'targets'] as const) {
    const name = options[role];
    if (name === undefined) continue;
    if (!arrays.has(name)) {
      throw new OptionError(`${path}: there is no array '${name}' for ${role}: expected one of ${describe(arrays)}`);
    }
    found.set(`${role} whole`, name);
  }
  return found;
}

function arrayDataset(
  title: string,
  path: string,
  arrays: ReadonlyMap<string, NumberArray>,
  names: { inputs: string; targets: string | undefined },
  options: ArraySetOptions,
): Dataset {
  const array = (name: string): NumberArray => {
    const value = arrays.get(name);
    if (value === undefined) throw new FileError(`${path}: there is no array '${name}'`);
    if (value.shape.length === 0 || value.data.length === 0) {
      throw new FileError(
        `${path}: '${name}' has shape [${value.shape}], expected at least one example along its first axis`,
      );
    }
    const bad = value.data instanceof Float32Array ? value.data.findIndex((number) => !Number.isFinite(number)) : -1;
    if (bad >= 0) {
      throw new FileError(
        `${path}: element ${bad} of '${name}' is ${value.data[bad]}, expected finite numbers within float32: clean the array, e.g. with numpy.nan_to_num`,
      );
    }
    return value;
  };
  const source = array(names.inputs);
  const inputs = inputColumn(options.layout === 'nhwc' ? channelsFirst(source, path, names.inputs) : source);
  const size = source.shape[0] ?? 0;
  const picture = pictureOf(inputs);
  const base = { name: title, size, inputs, ...(picture && { picture }) };
  if (names.targets === undefined) return autoencoding(dataset({ ...base, targets: inputs }));
  const targets = array(names.targets);
  if (targets.shape[0] !== size) {
    throw new FileError(
      `${path}: '${names.targets}' has ${targets.shape[0]} examples and '${names.inputs}' ${size}: expected one target for each input`,
    );
  }
  return dataset({ ...base, ...targetColumn(targets, path, names.targets) });
}

function inputColumn({ shape, data }: NumberArray): ExampleArray {
  const example = shape.length === 1 ? [1] : shape.slice(1);
  if (data instanceof Uint8Array) return { dtype: 'float32', shape: example, data, scale: 1 / 255 };
  return data instanceof Float32Array
    ? { dtype: 'float32', shape: example, data }
    : { dtype: 'int64', shape: example, data };
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

/** Turns [examples, height, width, channels] into [examples, channels, height, width]. */
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

/** Two axes are a grey picture, three with 1 or 3 planes a picture too. */
function pictureOf(inputs: ExampleArray): Picture | undefined {
  const [planes = 1, height = 0, width = 0] = inputs.shape.length === 2 ? [1, ...inputs.shape] : inputs.shape;
  const seen =
    (inputs.shape.length === 2 && 'scale' in inputs) || (inputs.shape.length === 3 && [1, 3].includes(planes));
  return seen && inputs.dtype === 'float32' ? { width, height, channels: planes } : undefined;
}

function describe(arrays: ReadonlyMap<string, NumberArray>): string {
  return [...arrays].map(([name, { shape }]) => `'${name}' [${shape}]`).join(', ');
}
