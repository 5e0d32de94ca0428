// Models by name or file, as the command line writes them. Built-in models take their sizes from the data.
import { basename } from 'node:path';
import { type Dataset, pictureInputs } from '../data/dataset.js';
import { OptionError } from '../errors.js';
import { formatType } from '../graph/graph.js';
import { inputNames, isUnnamed } from '../graph/inputs.js';
import { elementCount } from '../graph/tensor.js';
import type { Model } from '../model/model.js';
import type { ActivationName } from '../nn/activations.js';
import { charTransformer } from '../nn/char-transformer.js';
import { lenet } from '../nn/lenet.js';
import { resnet20 } from '../nn/resnet.js';
import { autoencoder, mlp } from '../nn/zoo.js';
import { didYouMean } from '../suggest.js';
import { describeOptions, type OptionKinds, type OptionValues, readOptions } from './named-options.js';

interface BuiltIn {
  readonly summary: string;
  readonly options: OptionKinds;
  /** @throws OptionError if the data do not fit the model */
  readonly create: (options: OptionValues & { readonly seed: number }, set: Dataset) => Model;
  /** Data without examples that give the sizes if there are no data. */
  readonly usual: Dataset;
}

/** The activations of the library that suit a hidden layer. */
const hiddenActivations = [
  'relu',
  'gelu',
  'silu',
  'elu',
  'mish',
  'tanh',
  'sigmoid',
  'softplus',
] as const satisfies readonly ActivationName[];

const builtIn: Readonly<Record<string, BuiltIn>> = {
  autoencoder: {
    summary: 'deep autoencoder for pictures or numbers, 784-1000-500-250-30-250-500-1000-784, tanh, linear code',
    options: { hidden: 'counts' },
    create: ({ seed, hidden = [1000, 500, 250, 30] }, set) =>
      autoencoder({ seed, sizes: [numbersIn('autoencoder', set), ...(hidden as readonly number[])] }),
    usual: pictures(1, 28),
  },
  mlp: {
    summary: 'classifier for pictures or numbers, 784-256-128-10, ReLU',
    options: { hidden: 'counts', activation: hiddenActivations },
    create: ({ hidden = [256, 128], ...options }, set) =>
      mlp({ ...options, sizes: [numbersIn('mlp', set), ...(hidden as readonly number[]), outputsFor(set)] }),
    usual: pictures(1, 28),
  },
  lenet: {
    summary: 'classifier for small pictures: 2 convolutions, 3 dense layers, ReLU, max pooling (LeNet-5)',
    options: {},
    create: ({ seed }, set) => lenet({ seed, input: pictureIn('lenet', set), classes: outputsFor(set) }),
    usual: pictures(1, 28),
  },
  resnet20: {
    summary: 'classifier for small pictures: a residual network of 20 layers',
    options: { norm: ['group', 'batch'], width: 'count', groups: 'count' },
    create: (options, set) => resnet20({ ...options, input: pictureIn('resnet20', set), classes: outputsFor(set) }),
    usual: pictures(3, 32),
  },
  'char-transformer': {
    summary: 'predicts the next character of a text: a causal transformer of 4 layers, 4 heads, width 128',
    options: { layers: 'count', width: 'count', heads: 'count' },
    create: (options, set) => charTransformer({ ...options, ...textIn('char-transformer', set) }),
    usual: windows(64, 65),
  },
};

const modelNames: readonly string[] = Object.keys(builtIn);

/** Return the text about models for --help. */
export function modelHelp(): string {
  const lines = Object.entries(builtIn).flatMap(([name, { summary, options }]) => {
    const described = describeOptions(options);
    return [`  ${name.padEnd(17)} ${summary}`, ...(described ? [`  ${''.padEnd(17)} options: ${described}`] : [])];
  });
  return [
    'Models (their sizes follow the data); write options as NAME:option=value:option=value',
    ...lines,
    `  ${'FILE.onnx'.padEnd(17)} a model of your own; training continues from its weights`,
  ].join('\n');
}

/** Return a model's name for folders and titles: `classifier` for a file, `resnet20-norm=batch`. */
export const modelTitle = (spec: string): string =>
  isFile(spec) ? basename(spec).replace(/\.onnx$/i, '') : spec.replaceAll(':', '-');

/** Makes the model with the sizes of a data set; without one, with its usual sizes. */
export interface CreateModel {
  (seed: number, set?: Dataset): Model;
  /** Names of the inputs of a file's model, which the data must have; built-in models take the single input of the data. */
  readonly inputs?: readonly string[];
}

/**
 * Open a model by its name; a wrong name, option or file is found before data are read.
 * @throws OptionError for an unknown name or option, and what `loadModel` throws
 */
export async function openModel(spec: string): Promise<CreateModel> {
  if (isFile(spec)) {
    const { loadModel } = await import('../api/load-save.js');
    const model = await loadModel(spec);
    return Object.assign(() => model, { inputs: model.graph.inputs.map(({ name: input }) => input) });
  }
  const [name = '', ...parts] = spec.split(':');
  const known = Object.hasOwn(builtIn, name) ? builtIn[name] : undefined;
  if (!known) {
    throw new OptionError(
      `unknown model '${name}'${didYouMean(name, modelNames)}; choose ${modelNames.join(', ')} or a file that ends in .onnx`,
    );
  }
  const what = `model '${spec}'`;
  const options = readOptions(what, parts, known.options);
  const create: CreateModel = (seed, set = known.usual) => known.create({ ...options, seed }, set);
  if (parts.length > 0) checkTogether(what, create);
  return create;
}

const isFile = (spec: string): boolean => /\.onnx$/i.test(spec);

/** Check that the options fit each other; a message names the model. */
function checkTogether(what: string, create: CreateModel): void {
  try {
    create(0);
  } catch (error) {
    throw error instanceof OptionError ? new OptionError(`${what}: ${error.message}`, { cause: error }) : error;
  }
}

/** Numbers in one example. */
function numbersIn(model: string, set: Dataset): number {
  const { dtype, shape } = inputOf(model, set);
  if (dtype === 'float32') return elementCount(shape);
  throw misfit(model, 'pictures or numbers', set, 'for text choose the model char-transformer');
}

/** Channels, height and width of pictures, also of flattened ones. */
function pictureIn(model: string, set: Dataset): [number, number, number] {
  const { dtype } = inputOf(model, set);
  const [found] = pictureInputs(set);
  if (found) return [found.picture.channels, found.picture.height, found.picture.width];
  const other = dtype === 'float32' ? 'rows of numbers choose the model mlp' : 'text the model char-transformer';
  const advice = `choose data such as digits, mnist:DIR, cifar10:DIR or images:DIR; for ${other}`;
  throw misfit(model, 'pictures', set, advice);
}

/** Vocabulary and context of windows of text. */
function textIn(model: string, set: Dataset): { vocabulary: number; context: number } {
  const { targets, classes } = set;
  const inputs = inputOf(model, set);
  const [context, ...more] = inputs.shape;
  const isText =
    inputs.dtype === 'int64' && targets.dtype === 'int64' && String(inputs.shape) === String(targets.shape);
  if (isText && context !== undefined && more.length === 0 && classes) return { vocabulary: classes.length, context };
  throw misfit(model, 'windows of text', set, 'choose text:FILE');
}

/** The single input that a built-in model takes. */
function inputOf(model: string, set: Dataset) {
  if (isUnnamed(set.inputs)) return set.inputs;
  throw new OptionError(
    `${model} takes one input, and '${set.name}' has the inputs ${inputNames(set.inputs)}: choose an .onnx file that has these, or name one input`,
  );
}

function misfit(model: string, expected: string, set: Dataset, advice: string): OptionError {
  const { name } = set;
  const inputs = inputOf(model, set);
  const example = formatType({ dtype: inputs.dtype, shape: inputs.shape });
  return new OptionError(`${model} takes ${expected}, and an example of '${name}' is ${example}: ${advice}`);
}

/** One logit for each class, or one output for each number to predict. */
const outputsFor = (set: Dataset): number => set.classes?.length ?? elementCount(set.targets.shape);

function labels(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => String(i));
}

function pictures(channels: number, size: number): Dataset {
  return {
    name: 'pictures',
    size: 0,
    inputs: { dtype: 'float32', shape: [channels, size, size], data: new Float32Array() },
    targets: { dtype: 'int64', shape: [], data: new Int32Array() },
    classes: labels(10),
  };
}

function windows(context: number, vocabulary: number): Dataset {
  const column = { dtype: 'int64', shape: [context], data: new Int32Array() } as const;
  return { name: 'text', size: 0, inputs: column, targets: column, classes: labels(vocabulary) };
}
