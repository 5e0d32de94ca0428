// Models by name or file, as the command line names them. Built-in models take their sizes from the data.
import { basename } from 'node:path';
import { type Dataset, elementCount } from '../data/dataset.js';
import { OptionError } from '../errors.js';
import type { Model } from '../graph/model.js';
import { autoencoder, mlp } from '../nn/zoo.js';
import { didYouMean } from './suggest.js';

interface BuiltIn {
  readonly summary: string;
  readonly create: (sizes: DataSizes, seed: number) => Model;
}

/** What built-in models need to know of the data. */
interface DataSizes {
  /** Numbers in one example. */
  readonly inputs: number;
  readonly classes: number;
}

const builtIn: Readonly<Record<string, BuiltIn>> = {
  autoencoder: {
    summary: 'deep autoencoder 784-1000-500-250-30-250-500-1000-784, tanh, linear code',
    create: ({ inputs }, seed) => autoencoder({ seed, sizes: [inputs, 1000, 500, 250, 30] }),
  },
  mlp: {
    summary: 'classifier 784-256-128-10, ReLU',
    create: ({ inputs, classes }, seed) => mlp({ seed, sizes: [inputs, 256, 128, classes] }),
  },
};

const modelNames: readonly string[] = Object.keys(builtIn);

/** Lines for --help. */
export function modelHelp(): string {
  const lines = Object.entries(builtIn).map(([name, { summary }]) => `  ${name.padEnd(12)} ${summary}`);
  return ['Models', ...lines, `  ${'FILE.onnx'.padEnd(12)} a model of your own, trained on from its weights`].join(
    '\n',
  );
}

/** The shortest name of a model for folders and titles. */
export const modelTitle = (name: string): string => basename(name).replace(/\.onnx$/i, '');

/** The sizes of a data set. */
export const sizesOf = (set: Dataset): DataSizes => ({
  inputs: elementCount(set.inputs.shape),
  classes: set.classes?.length ?? elementCount(set.targets.shape),
});

/**
 * A model by its name: what is wrong with the name or the file is known before data are read.
 * @returns makes the model for data of given sizes
 * @throws OptionError for an unknown name; FileError and others as `loadModel` does
 */
export async function openModel(name: string): Promise<BuiltIn['create']> {
  const known = Object.hasOwn(builtIn, name) ? builtIn[name] : undefined;
  if (known) return known.create;
  if (/\.onnx$/i.test(name)) {
    const { loadModel } = await import('../model.js');
    const model = await loadModel(name);
    return () => model;
  }
  throw new OptionError(
    `unknown model '${name}'${didYouMean(name, modelNames)}; choose ${modelNames.join(', ')} or a file that ends in .onnx`,
  );
}
