// Makes a data set of named arrays: which hold inputs and which targets, which train and which test, is read from their
// names as the usual archives spell them (x_train, train_images, y, labels, test_labels …), as the model names its inputs,
// or given.
import { FileError, OptionError } from '../errors.js';
import type { Inputs } from '../graph/inputs.js';
import { firstNotFinite } from '../graph/tensor.js';
import {
  autoencoding,
  type DataSplits,
  type Dataset,
  dataset,
  type ExampleArray,
  type PictureSize,
} from './dataset.js';
import type { NumberArray } from './readers/npy.js';
import { type SplitOptions, splitAtRandom } from './split.js';

/** How to read the arrays. A name given is that of an array, or of one for each part: `x` of `x_train` and `x_test`. */
export interface ArraySetOptions extends SplitOptions {
  /** Name of the array of inputs, where its own name does not tell; or several, as the model names its inputs. */
  readonly inputs?: readonly string[] | undefined;
  /** Name of the array of targets, where its own name does not tell. An input that is named alone is autoencoded. */
  readonly targets?: string | undefined;
  /** Name of the array of weights: how much each example counts. None by default. */
  readonly weights?: string | undefined;
  /** Names of the model's inputs: arrays of these names are inputs, where no others are named. */
  readonly modelInputs?: readonly string[] | undefined;
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

/** The arrays of a role, by the part that they are of. */
type Parts = ReadonlyMap<Part, string>;

interface InputArrays {
  /** Undefined where there is one input, which any model with one takes. */
  readonly name: string | undefined;
  readonly parts: Parts;
}

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
  const weights = options.weights === undefined ? undefined : givenArrays(arrays, path, options.weights, 'weights');
  const weighing = new Set(weights?.values());
  const others = new Map([...arrays].filter(([name]) => !weighing.has(name)));
  const inputs = inputArrays(others, path, options);
  const targets = targetArrays(others, path, options, inputs);
  const build = (part: Part): Dataset | undefined => {
    const named = inputs.map(({ name, parts }) => ({ name, array: parts.get(part) }));
    const present = named.find(({ array }) => array !== undefined)?.array;
    if (present === undefined) return undefined;
    const columns = named.map(({ name, array }) => {
      if (array !== undefined) return { name, array };
      throw new FileError(`${path}: '${present}' has no array of the input '${name}' beside it: expected one for each`);
    });
    const answer = targets.get(part);
    if (answer === undefined && targets.size > 0) {
      const found = [...targets.values()].map((array) => `'${array}'`).join(', ');
      throw new FileError(
        `${path}: '${present}' has no targets beside it, which ${found} are of other parts: add them`,
      );
    }
    const title = part === 'whole' ? path : `${path} ${part === 'train' ? 'train' : 'test'}`;
    const weighed = weights?.get(part);
    if (weights && weighed === undefined) {
      const found = [...weighing].map((array) => `'${array}'`).join(', ');
      throw new FileError(
        `${path}: '${present}' has no weights beside it, which ${found} are of other parts: add them`,
      );
    }
    return arrayDataset(title, path, arrays, columns, { answer, weighed }, options);
  };
  const train = build('train');
  if (train) {
    const test = build('test') ?? build('validation');
    return test ? { train, test } : splitAtRandom(train, options);
  }
  const whole = build('whole');
  if (whole) return splitAtRandom(whole, options);
  throw new FileError(
    `${path}: found ${describe(arrays)}, none named as inputs: expected names such as x_train, train_images, x or images, or those of the model's inputs; name one with ?inputs=NAME&targets=NAME, several with ?inputs=NAME,NAME`,
  );
}

function inputArrays(
  arrays: ReadonlyMap<string, NumberArray>,
  path: string,
  { inputs, targets, modelInputs = [] }: ArraySetOptions,
): InputArrays[] {
  if (inputs !== undefined) {
    const alone = inputs.length === 1;
    return inputs.map((name) => ({
      name: alone ? undefined : name,
      parts: givenArrays(arrays, path, name, 'inputs'),
    }));
  }
  const known = modelInputs.flatMap((name) => {
    const parts = arraysNamed(arrays, name);
    return parts.size > 0 ? [{ name: modelInputs.length === 1 ? undefined : name, parts }] : [];
  });
  if (known.length > 0) return known;
  const taken = targets === undefined ? [] : arraysNamed(arrays, targets).values();
  return [{ name: undefined, parts: arraysOfRole(arrays, path, 'inputs', [...taken]) }];
}

function targetArrays(
  arrays: ReadonlyMap<string, NumberArray>,
  path: string,
  options: ArraySetOptions,
  inputs: readonly InputArrays[],
): Parts {
  if (options.targets !== undefined) return givenArrays(arrays, path, options.targets, 'targets');
  if (options.inputs?.length === 1) return new Map();
  const taken = inputs.flatMap(({ parts }) => [...parts.values()]);
  const found = arraysOfRole(arrays, path, 'targets', taken);
  if (found.size > 0 || inputs[0]?.name === undefined) return found;
  throw new FileError(
    `${path}: found ${describe(arrays)}, none named as targets, and inputs by name cannot be autoencoded: name one with ?targets=NAME`,
  );
}

/** The arrays whose names tell their role; one array alone needs no name to be understood. */
function arraysOfRole(
  arrays: ReadonlyMap<string, NumberArray>,
  path: string,
  role: Role,
  taken: readonly string[],
): Parts {
  const found = new Map<Part, string>();
  let isAnyKnown = false;
  for (const name of arrays.keys()) {
    const words = name.toLowerCase().split(/[^a-z]+/);
    const known = words.map((word) => roleWords[word]).find((word) => word !== undefined);
    isAnyKnown ||= known !== undefined;
    if (known !== role || taken.includes(name)) continue;
    const part = words.map((word) => partWords[word]).find((word) => word !== undefined) ?? 'whole';
    const other = found.get(part);
    if (other !== undefined) {
      throw new FileError(
        `${path}: '${other}' and '${name}' could both be its ${part} ${role}: choose with ?inputs=NAME&targets=NAME`,
      );
    }
    found.set(part, name);
  }
  const [only] = arrays.keys();
  if (!isAnyKnown && role === 'inputs' && arrays.size === 1 && only !== undefined) found.set('whole', only);
  return found;
}

function givenArrays(
  arrays: ReadonlyMap<string, NumberArray>,
  path: string,
  name: string,
  role: Role | 'weights',
): Parts {
  const found = arraysNamed(arrays, name);
  if (found.size > 0) return found;
  throw new OptionError(`${path}: there is no array '${name}' for ${role}: expected one of ${describe(arrays)}`);
}

/** The array of a name, or those of its parts: `x_train` and `test_x` of `x`. */
function arraysNamed(arrays: ReadonlyMap<string, NumberArray>, name: string): Parts {
  if (arrays.has(name)) return new Map([['whole', name]]);
  const found = new Map<Part, string>();
  for (const array of arrays.keys()) {
    const [, first = '', rest] = /^([a-z]+)[^a-z](.+)$/i.exec(array) ?? [];
    const [, begin, last = ''] = /^(.+)[^a-z]([a-z]+)$/i.exec(array) ?? [];
    const part = rest === name ? partWords[first.toLowerCase()] : undefined;
    const other = begin === name ? partWords[last.toLowerCase()] : undefined;
    if (part ?? other) found.set((part ?? other) as Part, array); // one of them
  }
  return found;
}

function arrayDataset(
  title: string,
  path: string,
  arrays: ReadonlyMap<string, NumberArray>,
  columns: readonly { readonly name: string | undefined; readonly array: string }[],
  { answer, weighed }: { readonly answer: string | undefined; readonly weighed: string | undefined },
  { layout }: ArraySetOptions,
): Dataset {
  const array = (name: string): NumberArray => {
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
  };
  const sources = columns.map(({ array: name }) => ({ name, source: array(name) }));
  const [first] = sources;
  const size = first?.source.shape[0] ?? 0;
  const different = sources.find(({ source }) => source.shape[0] !== size);
  if (first && different) {
    throw new FileError(
      `${path}: '${different.name}' has ${different.source.shape[0]} examples and '${first.name}' ${size}: expected as many of each input`,
    );
  }
  // Of several inputs those with four axes are the pictures.
  const hasPictures = sources.some(({ source }) => source.shape.length === 4);
  const read = sources.map(({ name, source }) => {
    const isTurned = layout === 'nhwc' && (source.shape.length === 4 || !hasPictures);
    return inputColumn(isTurned ? channelsFirst(source, path, name) : source);
  });
  const [only] = read;
  const inputs: Inputs<ExampleArray> =
    only && columns[0]?.name === undefined
      ? only
      : Object.fromEntries(columns.map(({ name = '' }, i) => [name, read[i] as ExampleArray])); // one of each
  const [picture, ...pictures] = read.flatMap((column) => pictureOf(column) ?? []);
  const weights = weighed === undefined ? undefined : weightColumn(array(weighed), size, path, weighed);
  const shown = picture && pictures.length === 0 && { picture };
  const base = { name: title, size, inputs, ...shown, ...(weights && { weights }) };
  if (answer === undefined) return autoencoding(dataset({ ...base, targets: only as ExampleArray })); // there is one
  const targets = array(answer);
  if (targets.shape[0] !== size) {
    throw new FileError(
      `${path}: '${answer}' has ${targets.shape[0]} examples and '${first?.name}' ${size}: expected one target for each input`,
    );
  }
  return dataset({ ...base, ...targetColumn(targets, path, answer) });
}

function inputColumn({ shape, data }: NumberArray): ExampleArray {
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
function pictureOf(inputs: ExampleArray): PictureSize | undefined {
  const [planes = 1, height = 0, width = 0] = inputs.shape.length === 2 ? [1, ...inputs.shape] : inputs.shape;
  const seen =
    (inputs.shape.length === 2 && 'scale' in inputs) || (inputs.shape.length === 3 && [1, 3].includes(planes));
  return seen && inputs.dtype === 'float32' ? { width, height, channels: planes } : undefined;
}

function describe(arrays: ReadonlyMap<string, NumberArray>): string {
  return [...arrays].map(([name, { shape }]) => `'${name}' [${shape}]`).join(', ');
}
