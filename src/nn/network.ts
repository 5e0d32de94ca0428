// Builds models: a graph with a symbolic batch whose parameters are drawn from a seed by named initializations.
import { OptionError } from '../errors.js';
import { type Attribute, captures, float, int, type Shape, Value } from '../graph/graph.js';
import { elementCount, tensor } from '../graph/tensor.js';
import { builtModel, type Model } from '../model/model.js';
import { Builder } from '../ops/builder.js';
import {
  checkedCount,
  checkedNumber,
  checkedSeed,
  checkedWord,
  checkKeys,
  described,
  isRecord,
  type OptionKeys,
} from '../options.js';
import { random } from '../random.js';
import { type Activation, type ActivationName, activationOf } from './activations.js';
import { type AttentionOptions, multiHeadAttention } from './attention.js';
import {
  type ConvolutionOptions,
  convolution,
  type PoolingOptions,
  pooling,
  type TransposedConvolutionOptions,
  transposedConvolution,
} from './convolution.js';
import { glorot, type Initialization, normal, ones, type WeightInitialization, zeros } from './initialization.js';
import {
  biasOf,
  checkedGroups,
  checkedInput,
  checkedName,
  checkedRank,
  drawInto,
  knownSize,
  layerOf,
  weightDraw,
} from './layer-checks.js';
import { kinds, type Recurrence, type RecurrentOptions, recurrent } from './recurrent.js';

export interface NetworkOptions {
  /** Seed of the initial parameters; each parameter has its own stream, so that a change of one does not change the others. */
  readonly seed: number;
}

export interface DenseLayerOptions {
  /** Whether the layer has a bias; true by default. */
  readonly bias?: boolean;
  /** Initialization of the weight; Glorot's uniform by default. */
  readonly initialization?: WeightInitialization;
}

export interface NormalizationOptions {
  /** Added to the variance; 1e-5 by default. */
  readonly epsilon?: number;
}

export interface BatchNormalizationOptions extends NormalizationOptions {
  /** The share of the old running average that a step keeps; 0.9 by default. */
  readonly momentum?: number;
}

const denseKeys: OptionKeys<DenseLayerOptions> = { bias: true, initialization: true };
const normalizationKeys: OptionKeys<NormalizationOptions> = { epsilon: true };
const batchKeys: OptionKeys<BatchNormalizationOptions> = { epsilon: true, momentum: true };

/** @throws OptionError if memory does not hold the parameter */
function allocated(model: string, name: string, dims: readonly number[]): Float32Array<ArrayBuffer> {
  try {
    return new Float32Array(elementCount(dims));
  } catch (cause) {
    throw new OptionError(
      `the parameter '${name}' of ${model} would be [${dims.join(', ')}], which memory does not hold; choose smaller sizes`,
      { cause },
    );
  }
}

/**
 * A model under construction: inputs, layers with parameters, and whatever operators `b` composes, such as `b.add(x, y)`
 * for a residual. Layers take a value, a name for their parameters and their sizes; `model` returns the finished model. A layer
 * of your own is a function that calls `parameter` and `b`.
 * @throws OptionError for invalid sizes and for names that exist, GraphError if a value does not fit a layer; both name the
 *   layer
 * @example
 * const network = new Network('residual', { seed: 1 });
 * const { b } = network;
 * const image = network.input('image', [1, 8, 8]);
 * const table = network.input('table', [3]);
 * let x = network.activation(network.conv2d(image, 'stem', 4, { kernel: 3, padding: 1 }), 'relu');
 * x = b.add(x, network.conv2d(network.groupNorm(x, 'norm', 2), 'conv', 4, { kernel: 3, padding: 1 }));
 * const joined = b.concat([network.globalAveragePool(x), table], 1);
 * const model = network.model({ logits: network.dense(joined, 'head', 10), joined });
 * console.log(model.graph.inputs.map(({ name }) => name), [...model.parameters.keys()]);
 */
export class Network {
  /** Composes operators: `add`, `mul`, `matmul`, `reshape`, …, and any ONNX operator by `op`. */
  readonly b = new Builder();
  readonly #name: string;
  readonly #seed: number;
  readonly #names = new Set<string>();
  readonly #parameters = new Map<string, Value>();
  readonly #statistics = new Map<string, Value>();

  constructor(name: string, options: NetworkOptions) {
    checkKeys('Network', options, { seed: true });
    this.#name = checkedName('a network', name);
    this.#seed = checkedSeed(options.seed);
  }

  /** An input of shape `[batch, …example]`: numbers, or tokens of int64. */
  input(name: string, example: Shape, dtype: 'float32' | 'int64' = 'float32'): Value {
    this.#take(name);
    const given: unknown = example;
    if (!Array.isArray(given)) {
      throw new OptionError(
        `the shape of an example of the input '${name}' is ${described(given)}; give its sizes, such as [784], or [] for a number`,
      );
    }
    for (const size of example) {
      if (typeof size !== 'string') checkedCount(`a size of the input '${name}'`, size);
    }
    checkedWord(`the element type of the input '${name}'`, dtype, ['float32', 'int64']);
    return this.b.input(name, dtype, ['batch', ...example]);
  }

  /** A trained tensor of float32. */
  parameter(name: string, dims: readonly number[], initialization: Initialization): Value {
    const what = `the parameter '${name}' of ${this.#name}`;
    const given: unknown = dims;
    if (!Array.isArray(given))
      throw new OptionError(`the shape of ${what} is ${described(given)}; give its sizes, such as [3, 4]`);
    for (const size of dims) checkedCount(`a size of ${what}`, size);
    this.#take(name);
    const elements = allocated(this.#name, name, dims);
    drawInto(what, initialization, random(this.#seed, 'parameter', name), elements);
    const value = this.b.constant(tensor('float32', dims, elements), name);
    this.#parameters.set(name, value);
    return value;
  }

  /**
   * x·W + b for `x: [rows, …, inputs]`, W `[inputs, outputs]`.
   * Parameters: `<name>.weight`, `<name>.bias` (zero).
   */
  dense(x: Value, name: string, outputs: number, options: DenseLayerOptions = {}): Value {
    const what = layerOf('dense', name, x);
    checkKeys(what, options, denseKeys);
    const { bias = true, initialization = glorot } = options;
    checkedCount(`outputs of ${what}`, outputs);
    const inputs = knownSize(what, x, -1);
    const weight = this.parameter(
      `${name}.weight`,
      [inputs, outputs],
      weightDraw(what, initialization, inputs, outputs),
    );
    const shift = biasOf(this, what, name, outputs, bias);
    if (x.rank === 2 && shift) return this.b.op('Gemm', [x, weight, shift], {}, { name });
    const product = this.b.op('MatMul', [x, weight], {}, { name });
    return shift ? this.b.add(product, shift) : product;
  }

  /**
   * A convolution of `x: [batch, channels, positions]`, weight `[outputs, channels / groups, kernel]`.
   * Parameters: `<name>.weight`, `<name>.bias` (zero).
   */
  conv1d(x: Value, name: string, outputs: number, options: ConvolutionOptions): Value {
    return convolution(this, x, name, outputs, options, ['positions']);
  }

  /**
   * A convolution of `x: [batch, channels, height, width]`, weight `[outputs, channels / groups, kernel, kernel]`.
   * Parameters: `<name>.weight`, `<name>.bias` (zero).
   */
  conv2d(x: Value, name: string, outputs: number, options: ConvolutionOptions): Value {
    return convolution(this, x, name, outputs, options, ['height', 'width']);
  }

  /**
   * The transpose of a convolution, which makes pictures larger: `x: [batch, channels, height, width]` to sizes of
   * `stride·(size − 1) + kernel − 2·padding + outputPadding`, weight `[channels, outputs / groups, kernel, kernel]`.
   * Parameters: `<name>.weight`, `<name>.bias` (zero).
   */
  convTranspose2d(x: Value, name: string, outputs: number, options: TransposedConvolutionOptions): Value {
    return transposedConvolution(this, x, name, outputs, options);
  }

  /** The largest of each window of `x: [batch, channels, height, width]`. */
  maxPool2d(x: Value, options: PoolingOptions = {}): Value {
    return pooling(this, 'MaxPool', 'maxPool2d', x, options);
  }

  /** The mean of each window of `x: [batch, channels, height, width]`, without what is padded. */
  averagePool2d(x: Value, options: PoolingOptions = {}): Value {
    return pooling(this, 'AveragePool', 'averagePool2d', x, options);
  }

  /** The mean over all positions of `x: [batch, channels, …positions]`: `[batch, channels]`. */
  globalAveragePool(x: Value): Value {
    checkedInput('globalAveragePool', x);
    if (x.rank < 3) checkedRank('globalAveragePool', x, ['batch', 'channels', 'positions']);
    return this.b.mean(
      x,
      x.shape.flatMap((_, axis) => (axis > 1 ? [axis] : [])),
    );
  }

  /** Normalizes the last axis (Ba et al. 2016). Parameters: `<name>.scale`, which begins at 1, and `<name>.shift`, at 0. */
  layerNorm(x: Value, name: string, options: NormalizationOptions = {}): Value {
    const what = layerOf('layerNorm', name, x);
    const inputs = [x, ...this.#scaleAndShift(name, knownSize(what, x, -1))];
    return this.b.op('LayerNormalization', inputs, epsilonOf(what, options), { name });
  }

  /**
   * x / √(mean(x²) + ε) over the last axis, times a scale (Zhang & Sennrich 2019, eq. 4).
   * Parameter: `<name>.scale`, which begins at 1.
   */
  rmsNorm(x: Value, name: string, options: NormalizationOptions = {}): Value {
    const { b } = this;
    const what = layerOf('rmsNorm', name, x);
    checkKeys(what, options, normalizationKeys);
    const { epsilon = 1e-5 } = options;
    checkedNumber(`epsilon of ${what}`, epsilon, { above: 0 });
    const scale = this.parameter(`${name}.scale`, [knownSize(what, x, -1)], ones);
    const size = b.sqrt(b.add(b.mean(b.square(x), [-1], true), epsilon));
    return b.op('Mul', [b.div(x, size), scale], {}, { name });
  }

  /**
   * Normalizes each group of channels (axis 1; Wu & He 2018). Parameters, one a channel: `<name>.scale`, which begins at 1,
   * and `<name>.shift`, at 0.
   */
  groupNorm(x: Value, name: string, groups: number, options: NormalizationOptions = {}): Value {
    const what = layerOf('groupNorm', name, x);
    const channels = knownSize(what, x, 1);
    checkedGroups(what, groups, channels);
    const inputs = [x, ...this.#scaleAndShift(name, channels)];
    return this.b.op('GroupNormalization', inputs, { num_groups: int(groups), ...epsilonOf(what, options) }, { name });
  }

  /**
   * Normalizes each channel (axis 1; Ioffe & Szegedy 2015): by the batch while training, else by the running averages
   * `<name>.mean` (from 0) and `<name>.variance` (from 1), which move by a tenth each step, as PyTorch's do. Parameters,
   * one a channel: `<name>.scale`, which begins at 1, and `<name>.shift`, at 0.
   */
  batchNorm(x: Value, name: string, options: BatchNormalizationOptions = {}): Value {
    const what = layerOf('batchNorm', name, x);
    checkKeys(what, options, batchKeys);
    const { epsilon = 1e-5, momentum = 0.9 } = options;
    checkedNumber(`epsilon of ${what}`, epsilon, { above: 0 });
    checkedNumber(`momentum of ${what}`, momentum, { atLeast: 0, atMost: 1 });
    const channels = knownSize(what, x, 1);
    const averages = [this.#statistic(`${name}.mean`, channels, 0), this.#statistic(`${name}.variance`, channels, 1)];
    const inputs = [x, ...this.#scaleAndShift(name, channels), ...averages];
    const attributes = { epsilon: float(epsilon), momentum: float(momentum) };
    return this.b.op('BatchNormalization', inputs, attributes, { name });
  }

  /**
   * While training each element is 0 with probability `ratio`, and the others are divided by 1 − ratio (Srivastava et al.
   * 2014); elsewhere x itself.
   */
  dropout(x: Value, name: string, ratio = 0.5): Value {
    checkedNumber(`ratio of ${layerOf('dropout', name, x)}`, ratio, { atLeast: 0, below: 1 });
    this.#take(name);
    // Never one node for two layers: each drops elements of its own.
    return this.b.op('Dropout', [x, this.b.scalar(ratio, 'float32')], {}, { name, fresh: true });
  }

  /** Rows of a table for `tokens: [batch, …]` of int64. Parameter: `<name>.weight`, `[vocabulary, width]`, normal of deviation 0.02 by default. */
  embedding(
    tokens: Value,
    name: string,
    vocabulary: number,
    width: number,
    initialization: Initialization = normal(0.02),
  ): Value {
    const what = layerOf('embedding', name, tokens, 'integers');
    checkedCount(`vocabulary of ${what}`, vocabulary);
    checkedCount(`width of ${what}`, width);
    return this.b.gather(this.parameter(`${name}.weight`, [vocabulary, width], initialization), tokens);
  }

  /**
   * Attention of each position of `x: [batch, positions, width]` to all, or to those before it (causal).
   * Parameters: `.weight` and `.bias` of the dense layers `<name>.query`, `<name>.key`, `<name>.value`, `<name>.output`.
   */
  multiHeadAttention(x: Value, name: string, options: AttentionOptions): Value {
    return multiHeadAttention(this, x, name, options);
  }

  /**
   * Long short-term memory over the positions of `x: [batch, positions, width]`.
   * Parameters: `<name>.input.weight` `[directions, 4 · hidden, width]`, `<name>.state.weight` and `<name>.bias`, in ONNX's
   * order of the gates: input, output, forget, cell.
   */
  lstm(x: Value, name: string, options: RecurrentOptions): Recurrence {
    return recurrent(this, kinds.lstm, x, name, options);
  }

  /**
   * A gated recurrent unit, as `lstm`, with three gates: update, reset, hidden. As in PyTorch the reset gate multiplies the
   * product with the hidden state.
   */
  gru(x: Value, name: string, options: RecurrentOptions): Recurrence {
    return recurrent(this, kinds.gru, x, name, options);
  }

  /** A simple recurrent layer, as `lstm`: tanh of the sum of two dense layers, on the input and on the hidden state. */
  rnn(x: Value, name: string, options: RecurrentOptions): Recurrence {
    return recurrent(this, kinds.rnn, x, name, options);
  }

  /** An activation by name, as `activations` has them, or one of your own. */
  activation(x: Value, activation: ActivationName | Activation): Value {
    checkedInput('an activation', x);
    return activationOf(`model '${this.#name}'`, activation).apply(this.b, x);
  }

  /** The finished model: with one output, `output`, or with several by name, of which training takes the first. */
  model(output: Value | Readonly<Record<string, Value>>): Model {
    const outputs = output instanceof Value ? { output } : output;
    if (!isRecord(outputs)) {
      throw new OptionError(
        `the output of model '${this.#name}' is ${described(outputs)}; give a value of its layers, or several by name`,
      );
    }
    for (const [name, value] of Object.entries(outputs)) {
      if (value instanceof Value) continue;
      throw new OptionError(
        `the output '${name}' of model '${this.#name}' is ${described(value)}; give a value of its layers`,
      );
    }
    if (Object.keys(outputs).length === 0) throw new OptionError(`model '${this.#name}' needs an output`);
    const graph = this.b.build(this.#name, outputs);
    const [foreign] = captures(graph);
    if (foreign) {
      throw new OptionError(
        `model '${this.#name}' is made of '${foreign.name}', a value of another network: build all layers with one`,
      );
    }
    return builtModel(this.#name, graph, this.#parameters, this.#statistics);
  }

  #scaleAndShift(name: string, size: number): Value[] {
    return [this.parameter(`${name}.scale`, [size], ones), this.parameter(`${name}.shift`, [size], zeros)];
  }

  #statistic(name: string, size: number, initial: number): Value {
    this.#take(name);
    const value = this.b.constant(tensor('float32', [size], new Float32Array(size).fill(initial)), name);
    this.#statistics.set(name, value);
    return value;
  }

  #take(name: string): void {
    checkedName(`an input or a parameter of model '${this.#name}'`, name);
    if (this.#names.has(name))
      throw new OptionError(`model '${this.#name}' has a '${name}' already: choose another name`);
    this.#names.add(name);
  }
}

function epsilonOf(what: string, options: NormalizationOptions): Readonly<Record<string, Attribute>> {
  checkKeys(what, options, normalizationKeys);
  const { epsilon } = options;
  if (epsilon === undefined) return {};
  return { epsilon: float(checkedNumber(`epsilon of ${what}`, epsilon, { above: 0 })) };
}
