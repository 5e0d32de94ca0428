// Networks of dense layers in states that no public builder makes: dead, saturated, all zero, batch-normalized.
import type { Model } from '../../src/model/model.js';
import { he, type Initialization, zeros } from '../../src/nn/initialization.js';
import { Network } from '../../src/nn/network.js';

export interface PlainNetworkOptions {
  /** From the input to the outputs. */
  readonly sizes: readonly number[];
  readonly seed: number;
  /** Between layers; `relu` by default. */
  readonly activation?: 'relu' | 'tanh';
  /** Batch normalization of the input, or of each hidden layer before its activation. */
  readonly batchNorm?: 'input' | 'hidden';
  /** Multiplies a layer's initial weights (He's); 1 by default. */
  readonly weightScale?: (layer: number, isLast: boolean) => number;
  /** Initial biases of a layer; zeros by default. */
  readonly bias?: (layer: number) => Initialization;
}

/** Biases of one layer, all equal; zeros in the others. */
export const constantBias =
  (layer: number, value: number) =>
  (other: number): Initialization =>
    other === layer ? (_, elements) => void elements.fill(value) : zeros;

export function plainNetwork(options: PlainNetworkOptions): Model {
  const { sizes, seed, activation = 'relu', batchNorm, weightScale = () => 1, bias = () => zeros } = options;
  const network = new Network('plain', { seed });
  const { b } = network;
  let x = network.input('input', [sizes[0] ?? 1]);
  if (batchNorm === 'input') x = network.batchNorm(x, 'bn');
  for (const [layer, outputs] of sizes.slice(1).entries()) {
    const isLast = layer === sizes.length - 2;
    const inputs = sizes[layer] ?? 1;
    const draw: Initialization = (source, elements) => {
      he(inputs)(source, elements);
      const scale = weightScale(layer, isLast);
      for (const [i, element] of elements.entries()) elements[i] = scale * element;
    };
    const name = `fc${layer + 1}`;
    const weight = network.parameter(`${name}.weight`, [inputs, outputs], draw);
    x = b.gemm(x, weight, network.parameter(`${name}.bias`, [outputs], bias(layer)));
    if (isLast) break;
    if (batchNorm === 'hidden') x = network.batchNorm(x, `bn${layer + 1}`);
    x = activation === 'relu' ? b.relu(x) : b.tanh(x);
  }
  return network.model(x);
}
