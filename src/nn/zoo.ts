// The model zoo: networks that the examples, benchmarks and tests train.
import { OptionError } from '../errors.js';
import type { Model } from '../model/model.js';
import { checkedCount, checkKeys, described, type OptionKeys } from '../options.js';
import { type Activation, type ActivationName, activationOf } from './activations.js';
import { Network, type NetworkOptions } from './network.js';

export interface AutoencoderOptions extends NetworkOptions {
  /** Sizes from the input to the code; the decoder mirrors them. */
  readonly sizes?: readonly number[];
}

const autoencoderKeys: OptionKeys<AutoencoderOptions> = { seed: true, sizes: true };

/**
 * Return the deep autoencoder of Hinton & Salakhutdinov 2006: 784-1000-500-250-30-250-500-1000-784, tanh, a linear code.
 * Its output is the reconstruction in [0, 1]; training works on the logits before the last sigmoid. Glorot's uniform
 * initialization, zero biases.
 * @throws OptionError for unknown options, and for sizes that are not at least two whole numbers from 1
 * @example
 * const model = autoencoder({ sizes: [64, 32, 8], seed: 1 });
 */
export function autoencoder(options: AutoencoderOptions): Model {
  checkKeys('autoencoder', options, autoencoderKeys);
  const sizes = checkedSizes('autoencoder', options.sizes ?? [784, 1000, 500, 250, 30]);
  const layers = [...sizes.slice(1), ...sizes.slice(0, -1).reverse()];
  const network = new Network('autoencoder', { seed: options.seed });
  let x = network.input('input', [sizes[0] ?? 784]);
  for (const [i, units] of layers.entries()) {
    const isCode = i === sizes.length - 2;
    const name = i < sizes.length - 1 ? `encoder.${i}` : `decoder.${i - sizes.length + 1}`;
    x = network.dense(x, name, units);
    if (!isCode && i < layers.length - 1) x = network.b.tanh(x);
  }
  return network.model(network.b.sigmoid(x));
}

export interface MlpOptions extends NetworkOptions {
  /** Sizes from the input through the hidden layers to the classes; [784, 256, 128, 10] by default. */
  readonly sizes?: readonly number[];
  /** After each hidden layer; 'relu' by default. */
  readonly activation?: ActivationName | Activation;
}

const mlpKeys: OptionKeys<MlpOptions> = { seed: true, sizes: true, activation: true };

/**
 * Return a multi-layer perceptron, 784-256-128-10 with ReLU by default; its output is the logits, or numbers. The
 * initialization suits the activation (He's normal for ReLU), biases begin at 0. Parameters: `fc1.weight`, `fc1.bias`, ….
 * @throws OptionError for unknown options and activations, and for sizes that are not at least two whole numbers from 1
 * @example
 * const model = mlp({ sizes: [4, 32, 32, 3], activation: 'gelu', seed: 1 });
 */
export function mlp(options: MlpOptions): Model {
  checkKeys('mlp', options, mlpKeys);
  const sizes = checkedSizes('mlp', options.sizes ?? [784, 256, 128, 10]);
  const { apply, initialization } = activationOf('mlp', options.activation ?? 'relu');
  const network = new Network('mlp', { seed: options.seed });
  let x = network.input('input', [sizes[0] ?? 784]);
  for (const [i, units] of sizes.slice(1).entries()) {
    x = network.dense(x, `fc${i + 1}`, units, { initialization });
    if (i < sizes.length - 2) x = apply(network.b, x);
  }
  return network.model(x);
}

/** The sizes of a chain of dense layers. */
function checkedSizes(model: string, sizes: readonly number[]): readonly number[] {
  const given: unknown = sizes;
  if (!Array.isArray(given)) {
    throw new OptionError(
      `sizes of ${model} is ${described(given)}; it must be an array of at least two whole numbers`,
    );
  }
  if (sizes.length < 2) {
    throw new OptionError(
      `sizes of ${model} is [${sizes}]; it must name at least two, the input's and the last layer's, such as [784, 10]`,
    );
  }
  for (const [i, size] of sizes.entries()) checkedCount(`sizes[${i}] of ${model}`, size);
  return sizes;
}
