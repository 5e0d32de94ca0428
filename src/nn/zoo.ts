// The model zoo: networks that the examples, benchmarks and tests train.
import type { Model } from '../graph/model.js';
import { he, Network, type NetworkOptions } from './network.js';

export interface AutoencoderOptions extends NetworkOptions {
  /** Sizes from the input to the code; the decoder mirrors them. */
  readonly sizes?: readonly number[];
}

/**
 * The deep autoencoder of Hinton & Salakhutdinov 2006: 784-1000-500-250-30-250-500-1000-784, tanh, a linear code.
 * Its output is the reconstruction in [0, 1]; training works on the logits before the last sigmoid. Glorot's uniform
 * initialization, zero biases.
 */
export function autoencoder(options: AutoencoderOptions): Model {
  const sizes = options.sizes ?? [784, 1000, 500, 250, 30];
  const layers = [...sizes.slice(1), ...sizes.slice(0, -1).reverse()];
  const network = new Network('autoencoder', options);
  let x = network.input([sizes[0] ?? 784]);
  for (const [i, units] of layers.entries()) {
    const isCode = i === sizes.length - 2;
    const name = i < sizes.length - 1 ? `encoder.${i}` : `decoder.${i - sizes.length + 1}`;
    x = network.dense(x, name, units);
    if (!isCode && i < layers.length - 1) x = network.b.tanh(x);
  }
  return network.model(network.b.sigmoid(x));
}

export interface MlpOptions extends NetworkOptions {
  /** Sizes from the input through the hidden layers to the classes. */
  readonly sizes?: readonly number[];
}

/** A classifier 784-256-128-10 with ReLU; its output is the logits. He's normal initialization, zero biases. */
export function mlp(options: MlpOptions): Model {
  const sizes = options.sizes ?? [784, 256, 128, 10];
  const network = new Network('mlp', options);
  let x = network.input([sizes[0] ?? 784]);
  for (const [i, units] of sizes.slice(1).entries()) {
    x = network.dense(x, `fc${i + 1}`, units, he);
    if (i < sizes.length - 2) x = network.b.relu(x);
  }
  return network.model(x);
}
