// A small network of dense layers, as a model and as plain TypeScript: activations and derivatives by hand.

import { tensorFrom } from '../../src/graph/tensor.js';
import { type LossWord, lossOf } from '../../src/losses/index.js';
import { type Forward, Objective } from '../../src/losses/objective.js';
import { builtModel, type Model } from '../../src/model/model.js';
import { Builder } from '../../src/ops/builder.js';
import { type Random, random } from '../../src/random.js';
import { at, generate, gram, type Matrix, multiplied, rowsOf, scaled, transposed } from './dense.js';
import { type FedBuilder, normals } from './fed-builder.js';
import type { Layout } from './layer-tensors.js';

export interface DenseNetwork extends Layout {
  /** Between the layers; the last layer has none. */
  readonly activation: 'tanh' | 'linear';
  /** Each layer's weight `[inputs (+1), outputs]`, the bias its last row. */
  readonly layers: readonly Matrix[];
}

export function denseNetwork(
  sizes: readonly number[],
  options: Layout & { readonly activation: DenseNetwork['activation']; readonly seed: number },
): DenseNetwork {
  const source = random(options.seed, 'network');
  const layers = sizes.slice(1).map((outputs, i) => {
    const inputs = (sizes[i] ?? 0) + Number(options.hasBias);
    const scale = 1 / Math.sqrt(inputs);
    return generate(inputs, outputs, () => Math.fround(scale * source.normal()));
  });
  return { ...options, layers };
}

interface ParameterElements {
  readonly dims: readonly number[];
  readonly elements: Float64Array;
}

/** `layer0.weight`, `layer0.bias`, `layer1.weight`, … as the layout stores them. */
function parametersOf({ layers, outputsFirst, hasBias }: DenseNetwork): Map<string, ParameterElements> {
  const parameters = new Map<string, ParameterElements>();
  for (const [i, layer] of layers.entries()) {
    const inputs = layer.rows - Number(hasBias);
    const weight = rowsOf(layer, 0, inputs);
    const held = outputsFirst ? transposed(weight) : weight;
    parameters.set(`layer${i}.weight`, { dims: [held.rows, held.columns], elements: held.data });
    if (!hasBias) continue;
    parameters.set(`layer${i}.bias`, { dims: [layer.columns], elements: rowsOf(layer, inputs, layer.rows).data });
  }
  return parameters;
}

/** The layers' joined matrices from elements by parameter name: the inverse of `parametersOf`. */
export function layersFrom(like: DenseNetwork, elements: Readonly<Record<string, ArrayLike<number>>>): Matrix[] {
  return like.layers.map(({ rows, columns }, layer) => {
    const [weight = [], bias = []] = [elements[`layer${layer}.weight`], elements[`layer${layer}.bias`]];
    const inputs = rows - Number(like.hasBias);
    return generate(rows, columns, (i, j) => {
      const element = i === inputs ? bias[j] : weight[like.outputsFirst ? j * inputs + i : i * columns + j];
      return element ?? Number.NaN;
    });
  });
}

function modelOf(network: DenseNetwork): Model {
  const { layers, activation, outputsFirst, hasBias } = network;
  const b = new Builder();
  const parameters = new Map(
    [...parametersOf(network)].map(([name, { dims, elements }]) => [
      name,
      b.constant(tensorFrom('float32', dims, elements), name),
    ]),
  );
  let x = b.input('input', 'float32', ['batch', (layers[0]?.rows ?? 1) - Number(hasBias)]);
  for (const i of layers.keys()) {
    const weight = parameters.get(`layer${i}.weight`);
    if (!weight) throw new Error('each layer has a weight');
    x = b.gemm(x, weight, parameters.get(`layer${i}.bias`), { transposeY: outputsFirst });
    if (activation === 'tanh' && i < layers.length - 1) x = b.tanh(x);
  }
  return builtModel('network', b.build('network', { output: x }), parameters);
}

export interface Examples {
  /** `[examples, inputs]` */
  readonly inputs: Matrix;
  /** Labels, or one target for each output. */
  readonly targets: readonly number[];
}

export function examplesFor(
  { layers, hasBias }: DenseNetwork,
  loss: LossWord,
  count: number,
  source: Random,
): Examples {
  const inputs = (layers[0]?.rows ?? 1) - Number(hasBias);
  const outputs = layers.at(-1)?.columns ?? 1;
  const fill = (length: number, draw: () => number) => Array.from({ length }, draw);
  const normal = () => normals(source, count * outputs);
  const inUnitRange = () => fill(count * outputs, () => source.uniform());
  const targets =
    lossOf(loss).targets === 'labels'
      ? fill(count, () => source.integer(outputs))
      : loss === 'mean-squared-error'
        ? normal()
        : inUnitRange();
  return { inputs: generate(count, inputs, () => source.normal()), targets };
}

/** The model on the examples in a float64 program, its parameters as inputs. */
export function float64Objective(
  b: FedBuilder,
  network: DenseNetwork,
  lossName: LossWord,
  { inputs, targets }: Examples,
): { readonly objective: Objective; readonly forward: Forward } {
  const model = modelOf(network);
  const loss = lossOf(lossName);
  const parameters = new Map(
    [...parametersOf(network)].map(([name, { dims, elements }]) => [
      name,
      b.named(`parameter.${name}`, dims, elements),
    ]),
  );
  const { dtype, shape } = loss.targetType({
    dtype: 'float64',
    shape: [inputs.rows, network.layers.at(-1)?.columns ?? 1],
  });
  const target = b.named('targets', shape.map(Number), targets, dtype);
  const objective = new Objective(
    b,
    model,
    loss,
    b.named('inputs', [inputs.rows, inputs.columns], inputs.data),
    target,
  );
  return { objective, forward: objective.evaluate(parameters) };
}

/** `[rows, columns (+1)]`: with a last column of ones where the layers have biases. */
export const homogeneous = (x: Matrix, hasBias: boolean): Matrix =>
  generate(x.rows, x.columns + Number(hasBias), (i, j) => (j < x.columns ? at(x, i, j) : 1));

/** Each layer's (homogeneous) activations, and the network's output. */
export function forwardByHand({ layers, activation, hasBias }: DenseNetwork, inputs: Matrix) {
  const activations: Matrix[] = [];
  let x = inputs;
  for (const [i, layer] of layers.entries()) {
    const a = homogeneous(x, hasBias);
    activations.push(a);
    x = multiplied(a, layer);
    if (activation === 'tanh' && i < layers.length - 1) x = { ...x, data: x.data.map(Math.tanh) };
  }
  return { activations, output: x };
}

/** Each layer's pre-activation gradients `[rows, outputs]` for cotangents of the output. */
export function backwardByHand(network: DenseNetwork, activations: readonly Matrix[], cotangent: Matrix): Matrix[] {
  const { layers, activation, hasBias } = network;
  const gradients: Matrix[] = [];
  let g = cotangent;
  for (let i = layers.length - 1; i >= 0; i--) {
    gradients.unshift(g);
    const [layer, a] = [layers[i], activations[i]];
    if (!layer || !a) break;
    const pulled = multiplied(g, transposed(rowsOf(layer, 0, layer.rows - Number(hasBias))));
    g =
      activation === 'tanh'
        ? generate(pulled.rows, pulled.columns, (r, c) => at(pulled, r, c) * (1 - at(a, r, c) ** 2))
        : pulled;
  }
  return gradients;
}

/** The Hessian of one case's negative log-likelihood by its outputs. */
export function outputHessian(loss: LossWord, output: readonly number[]): Matrix {
  const order = output.length;
  const z = (i: number) => output[i] ?? Number.NaN;
  if (loss === 'mean-squared-error') return generate(order, order, (i, j) => Number(i === j));
  if (loss === 'sigmoid-cross-entropy') {
    const p = (i: number) => 1 / (1 + Math.exp(-z(i)));
    return generate(order, order, (i, j) => (i === j ? p(i) * (1 - p(i)) : 0));
  }
  const total = output.reduce((sum, x) => sum + Math.exp(x), 0);
  const p = (i: number) => Math.exp(z(i)) / total;
  return generate(order, order, (i, j) => (i === j ? p(i) : 0) - p(i) * p(j));
}

/** Derivative of each case's negative log-likelihood by its outputs. */
export function outputCotangent(loss: LossWord, output: Matrix, targets: readonly number[]): Matrix {
  const target = (i: number, j: number) => targets[i * output.columns + j] ?? Number.NaN;
  if (loss === 'mean-squared-error')
    return generate(output.rows, output.columns, (i, j) => at(output, i, j) - target(i, j));
  if (loss === 'sigmoid-cross-entropy') {
    return generate(output.rows, output.columns, (i, j) => 1 / (1 + Math.exp(-at(output, i, j))) - target(i, j));
  }
  const totals = Array.from({ length: output.rows }, (_, i) =>
    rowsOf(output, i, i + 1).data.reduce((sum, x) => sum + Math.exp(x), 0),
  );
  return generate(
    output.rows,
    output.columns,
    (i, j) => Math.exp(at(output, i, j)) / (totals[i] ?? 1) - Number(targets[i] === j),
  );
}

/** The mean negative log-likelihood of a case, without the constant of the normal distribution. */
export function meanLikelihood(loss: LossWord, output: Matrix, targets: readonly number[]): number {
  const target = (k: number) => targets[k] ?? Number.NaN;
  const total = Array.from({ length: output.rows }, (_, i) => {
    const row = [...rowsOf(output, i, i + 1).data];
    if (loss === 'softmax-cross-entropy') {
      return Math.log(row.reduce((sum, z) => sum + Math.exp(z), 0)) - at(output, i, target(i));
    }
    return row.reduce((sum, z, j) => {
      const y = target(i * output.columns + j);
      return sum + (loss === 'mean-squared-error' ? (z - y) ** 2 / 2 : Math.log(1 + Math.exp(z)) - y * z);
    }, 0);
  });
  return total.reduce((sum, x) => sum + x, 0) / output.rows;
}

/** The Kronecker factors of one layer. */
export interface Factors {
  readonly a: Matrix;
  readonly g: Matrix;
}

/** Each layer's A and G of one batch with empirical targets, and the gradient of the mean negative log-likelihood. */
export function curvatureByHand(
  network: DenseNetwork,
  loss: LossWord,
  { inputs, targets }: Examples,
): (Factors & { gradient: Matrix })[] {
  const { activations, output } = forwardByHand(network, inputs);
  const gradients = backwardByHand(network, activations, outputCotangent(loss, output, targets));
  return gradients.map((g, i) => {
    const a = activations[i] ?? g;
    const count = inputs.rows;
    return {
      a: scaled(gram(a), 1 / count),
      g: scaled(gram(g), 1 / count),
      gradient: scaled(multiplied(transposed(a), g), 1 / count),
    };
  });
}
