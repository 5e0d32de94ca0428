// The problems on which studies train: small enough for two cores, and all of them from a clean clone. Text and pictures of the
// user's own take the place of made ones.
import type { DataSplits } from '../data/dataset.js';
import { drawnDigits } from '../data/digits/digits.js';
import { readMnist } from '../data/readers/mnist.js';
import { readText } from '../data/readers/text.js';
import { autoencoding, slice } from '../data/views.js';
import { OptionError } from '../errors.js';
import { elementCount } from '../graph/tensor.js';
import type { Model } from '../model/model.js';
import { charTransformer } from '../nn/char-transformer.js';
import { lenet } from '../nn/lenet.js';
import { Network } from '../nn/network.js';
import { resnet20 } from '../nn/resnet.js';
import { autoencoder, mlp } from '../nn/zoo.js';
import { halvedPictures, madeClasses, madeNumbers, madeText } from './made-data.js';

/** A model and data, with the length of a run. */
export interface Problem {
  readonly name: string;
  /** The model and the data in words. */
  readonly title: string;
  readonly batchSize: number;
  /** Steps of a run with a budget of 1. */
  readonly steps: number;
  /** The option that gives data of the user's own. */
  readonly uses?: 'mnist' | 'text';
  /** The test part is the validation set. Loaded when needed, and once. */
  readonly data: () => Promise<DataSplits>;
  readonly model: (seed: number, data: DataSplits) => Model;
}

export interface ProblemOptions {
  /** Folder of MNIST's files. */
  readonly mnist?: string | undefined;
  /** A text file. */
  readonly text?: string | undefined;
  /** Few examples and steps. */
  readonly quick: boolean;
}

const context = 32;

/** Return the problems, in the order of the tables. */
export function problemsOf({ mnist, text, quick }: ProblemOptions): readonly Problem[] {
  const [train, test] = quick ? [1000, 300] : [8000, 1000];
  const digits = once(async () => drawnDigits({ trainSize: train, testSize: test }));
  const small = once(async () => halvedPictures(await digits()));
  const reconstructed = async (data: Promise<DataSplits>): Promise<DataSplits> => {
    const given = await data;
    return { train: autoencoding(given.train), test: autoencoding(given.test) };
  };
  const transformer = quick ? { width: 32, layers: 1, heads: 4 } : { width: 64, layers: 2, heads: 4 };
  const transformerWords = `${quick ? '1 layer' : '2 layers'}, width ${transformer.width}`;
  const steps = (full: number) => (quick ? 20 : full);
  const batch = (full: number) => (quick ? 50 : full);
  const characters = once(async () =>
    text === undefined ? madeText(0, quick ? 20_000 : 200_000, context) : await readText(text, { context }),
  );
  const textWords = text === undefined ? 'the text of a grammar (no text was given)' : text;
  const recurrent = quick ? { width: 16, hidden: 32 } : { width: 32, hidden: 64 };
  const table = { train: quick ? 1000 : 8000, test: quick ? 300 : 1000 };
  return [
    {
      name: 'autoencoder',
      title: `autoencoder 784-${quick ? '64-16' : '256-64-16'} on drawn digits`,
      batchSize: batch(256),
      steps: steps(300),
      data: once(() => reconstructed(digits())),
      model: (seed) => autoencoder({ seed, sizes: quick ? [784, 64, 16] : [784, 256, 64, 16] }),
    },
    {
      name: 'deep-autoencoder',
      uses: 'mnist',
      title: `autoencoder ${quick ? '784-100-50-30' : '784-1000-500-250-30'} on ${mnist === undefined ? 'drawn digits (MNIST was not given)' : 'MNIST'}`,
      batchSize: batch(500),
      steps: steps(120),
      data: once(() => reconstructed(mnist === undefined ? digits() : partOf(readMnist(mnist), train, test))),
      model: (seed) => autoencoder({ seed, sizes: quick ? [784, 100, 50, 30] : [784, 1000, 500, 250, 30] }),
    },
    {
      name: 'mlp',
      title: 'MLP 784-256-128-10 on drawn digits',
      batchSize: batch(128),
      steps: steps(600),
      data: digits,
      model: (seed) => mlp({ seed }),
    },
    {
      name: 'lenet',
      title: 'LeNet-5 on drawn digits',
      batchSize: batch(128),
      steps: steps(400),
      data: digits,
      model: (seed) => lenet({ seed }),
    },
    {
      name: 'resnet20',
      title: 'ResNet-20 of width 8 on drawn digits of 14 × 14 pixels',
      batchSize: batch(128),
      steps: quick ? 8 : 200,
      data: small,
      model: (seed) => resnet20({ seed, input: [1, 14, 14], width: 8 }),
    },
    {
      name: 'vit',
      title: `vision transformer of ${transformerWords}, on 4 × 4 patches of drawn digits`,
      batchSize: batch(128),
      steps: steps(300),
      data: digits,
      model: (seed) => visionTransformer(seed, transformer),
    },
    {
      name: 'char-transformer',
      uses: 'text',
      title: `character transformer of ${transformerWords}, on ${textWords}`,
      batchSize: quick ? 16 : 64,
      steps: steps(400),
      data: characters,
      model: (seed, { train: { classes = [] } }) =>
        charTransformer({ seed, context, vocabulary: classes.length, ...transformer }),
    },
    {
      name: 'char-lstm',
      uses: 'text',
      title: `character LSTM of ${recurrent.hidden} units, on ${textWords}`,
      batchSize: quick ? 16 : 64,
      steps: steps(400),
      data: characters,
      model: (seed, { train: { classes = [] } }) => charLstm(seed, classes.length, recurrent),
    },
    {
      name: 'table-classes',
      title: 'MLP 20-64-64-5 on a made table of 5 classes',
      batchSize: batch(128),
      steps: steps(600),
      data: once(async () => madeClasses(0, table.train, table.test)),
      model: (seed) => mlp({ seed, sizes: [20, 64, 64, 5] }),
    },
    {
      name: 'table-numbers',
      title: 'MLP 10-64-64-1 on a made table of numbers (Friedman 1)',
      batchSize: batch(128),
      steps: steps(600),
      data: once(async () => madeNumbers(0, table.train, table.test)),
      model: (seed) => mlp({ seed, sizes: [10, 64, 64, 1] }),
    },
    {
      name: 'deep-narrow',
      title: 'MLP of 12 tanh layers of width 24 on drawn digits of 14 × 14 pixels',
      batchSize: batch(128),
      steps: steps(600),
      data: small,
      model: (seed) => mlp({ seed, sizes: [196, ...Array.from({ length: 12 }, () => 24), 10], activation: 'tanh' }),
    },
  ];
}

/**
 * Return the problems of some names, in the order of the tables.
 * @throws OptionError if data are given that none of them uses
 */
export function chosenProblems(options: ProblemOptions, names: readonly string[] | undefined): readonly Problem[] {
  const all = problemsOf(options);
  const chosen = names ? all.filter(({ name }) => names.includes(name)) : all;
  for (const key of ['mnist', 'text'] as const) {
    if (options[key] === undefined || chosen.some(({ uses }) => uses === key)) continue;
    const owners = all.filter(({ uses }) => uses === key).map(({ name }) => name);
    throw new OptionError(
      `--${key} has no effect without the problem ${owners.join(' or ')}: leave it out, or add the problem`,
    );
  }
  return chosen;
}

/** The name of every problem. */
export const problemNames: readonly string[] = problemsOf({ quick: true }).map(({ name }) => name);

interface TransformerSizes {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
}

/** Patches as tokens, learned positions, pre-norm blocks, the mean over all positions (Dosovitskiy et al. 2021). */
function visionTransformer(seed: number, { width, layers, heads }: TransformerSizes): Model {
  const network = new Network('vit', { seed });
  const { b } = network;
  const picture = network.input('input', [1, 28, 28]);
  const patches = network.conv2d(picture, 'patches', width, { kernel: 7, stride: 7 });
  const positions = 16;
  const tokens = b.transpose(b.reshape(patches, [0, width, positions]), [0, 2, 1]);
  const place = network.parameter('position.weight', [positions, width], (stream, elements) =>
    stream.fillNormal(elements, 0, 0.02),
  );
  let x = b.add(tokens, place);
  for (let layer = 1; layer <= layers; layer++) {
    const attention = `layer${layer}.attention`;
    x = b.add(x, network.multiHeadAttention(network.layerNorm(x, `${attention}.norm`), attention, { heads }));
    const forward = `layer${layer}.feedforward`;
    const up = network.dense(network.layerNorm(x, `${forward}.norm`), `${forward}.up`, 2 * width);
    x = b.add(x, network.dense(network.activation(up, 'gelu'), `${forward}.down`, width));
  }
  return network.model(network.dense(b.mean(network.layerNorm(x, 'norm'), [1]), 'head', 10));
}

/** Logits of the next character at every position, from the states of a recurrent layer on embedded characters. */
function charLstm(seed: number, vocabulary: number, { width, hidden }: { width: number; hidden: number }): Model {
  const network = new Network('char-lstm', { seed });
  const tokens = network.input('input', [context], 'int64');
  const { states } = network.lstm(network.embedding(tokens, 'token', vocabulary, width), 'lstm', { hidden });
  return network.model(network.dense(states, 'head', vocabulary));
}

/** The first examples of both sets. */
async function partOf(data: Promise<DataSplits>, train: number, test: number): Promise<DataSplits> {
  const given = await data;
  return { train: slice(given.train, 0, train), test: slice(given.test, 0, test) };
}

/** Compute once, when it is first needed. */
function once<Result>(compute: () => Promise<Result>): () => Promise<Result> {
  let result: Promise<Result> | undefined;
  return () => {
    result ??= compute();
    return result;
  };
}

/** Return the number of parameters. */
export const parameterCount = (model: Model): number =>
  [...model.parameters.values()].reduce((sum, { dims }) => sum + elementCount(dims), 0);
