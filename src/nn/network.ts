// Builds models: a graph with a symbolic batch whose parameters are drawn from a seed by named initializations.

import { OptionError } from '../errors.js';
import { float, int, ints, type Shape, type Value } from '../graph/graph.js';
import { elementCount, tensor } from '../graph/tensor.js';
import { builtModel, type Model } from '../model/model.js';
import { Builder } from '../ops/builder.js';
import { checkedCount, checkedSeed, described } from '../options.js';
import { type Random, random } from '../random.js';

/** Draws the elements of a new parameter. */
export type Initialization = (random: Random, elements: Float32Array) => void;

export const zeros: Initialization = () => undefined;
const ones: Initialization = (_, elements) => {
  elements.fill(1);
};
export const normal =
  (deviation: number): Initialization =>
  (source, elements) =>
    source.fillNormal(elements, 0, deviation);
const uniform =
  (bound: number): Initialization =>
  (source, elements) =>
    source.fillUniform(elements, -bound, bound);

/** Uniform of variance 2/(inputs + outputs): Glorot & Bengio 2010, eq. 16; keeps the scale of tanh networks. */
const glorot = (inputs: number, outputs: number): Initialization => uniform(Math.sqrt(6 / (inputs + outputs)));

/** Normal of variance 2/inputs: He et al. 2015, eq. 10; keeps the scale of ReLU networks. */
export const he = (inputs: number): Initialization => normal(Math.sqrt(2 / inputs));

export interface NetworkOptions {
  /** Seeds the initial parameters; each parameter has its own stream, so a change of one leaves the others alone. */
  readonly seed: number;
}

/** Sizes in elements, equal along height and width. */
interface ConvolutionOptions {
  readonly kernel: number;
  /** 1 by default. */
  readonly stride?: number;
  /** Zeros on each side; 0 by default. */
  readonly padding?: number;
  /** True by default. */
  readonly bias?: boolean;
}

/** Channels, height and width of a model's pictures. @throws OptionError */
export function checkedPicture(
  model: string,
  input: readonly [number, number, number],
): readonly [number, number, number] {
  const given: unknown = input;
  if (!Array.isArray(given) || given.length !== 3) {
    throw new OptionError(
      `input of ${model} is ${described(given)}; it must be channels, height and width, such as [1, 28, 28]`,
    );
  }
  for (const [i, what] of ['channels', 'height', 'width'].entries()) {
    checkedCount(`input of ${model}: its ${what}`, given[i]);
  }
  return input;
}

/** @throws OptionError where the memory does not hold the parameter */
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

/** A graph under construction with its parameters. */
export class Network {
  readonly b = new Builder();
  readonly #name: string;
  readonly #seed: number;
  readonly #parameters = new Map<string, Value>();
  readonly #statistics = new Map<string, Value>();

  constructor(name: string, options: NetworkOptions) {
    this.#name = name;
    this.#seed = checkedSeed(options.seed);
  }

  /** The network's input `input` of shape `[batch, …example]`. */
  input(example: Shape, dtype: 'float32' | 'int64' = 'float32'): Value {
    return this.b.input('input', dtype, ['batch', ...example]);
  }

  parameter(name: string, dims: readonly number[], initialization: Initialization): Value {
    const elements = allocated(this.#name, name, dims);
    initialization(random(this.#seed, 'parameter', name), elements);
    const value = this.b.constant(tensor('float32', dims, elements), name);
    this.#parameters.set(name, value);
    return value;
  }

  /** x·W + b for `x: [rows, …, inputs]`; `W: [inputs, outputs]` is `<name>.weight`. */
  dense(
    x: Value,
    name: string,
    outputs: number,
    initialization?: (inputs: number, outputs: number) => Initialization,
  ): Value {
    const inputs = Number(x.shape.at(-1));
    const draw = (initialization ?? glorot)(inputs, outputs);
    const weight = this.parameter(`${name}.weight`, [inputs, outputs], draw);
    const bias = this.parameter(`${name}.bias`, [outputs], zeros);
    if (x.rank === 2) return this.b.op('Gemm', [x, weight, bias], {}, { name });
    return this.b.add(this.b.op('MatMul', [x, weight], {}, { name }), bias);
  }

  /**
   * A convolution of `x: [batch, channels, height, width]`; `<name>.weight` is `[outputs, channels, kernel, kernel]`, He's
   * normal initialization.
   */
  conv2d(x: Value, name: string, outputs: number, options: ConvolutionOptions): Value {
    const { kernel, stride = 1, padding = 0, bias = true } = options;
    const channels = Number(x.shape[1]);
    const weight = this.parameter(`${name}.weight`, [outputs, channels, kernel, kernel], he(channels * kernel ** 2));
    const shift = bias ? [this.parameter(`${name}.bias`, [outputs], zeros)] : [];
    const attributes = { strides: ints([stride, stride]), pads: ints([padding, padding, padding, padding]) };
    return this.b.op('Conv', [x, weight, ...shift], attributes, { name });
  }

  /** The largest of each 2×2 square: `[batch, channels, height/2, width/2]`. */
  maxPool2d(x: Value): Value {
    return this.b.op('MaxPool', [x], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) });
  }

  /** Normalizes the last axis (Ba et al. 2016); `<name>.scale` begins at 1 and `<name>.shift` at 0. */
  layerNorm(x: Value, name: string): Value {
    return this.b.op('LayerNormalization', [x, ...this.#scaleAndShift(name, Number(x.shape.at(-1)))], {}, { name });
  }

  /** Normalizes each group of channels (axis 1; Wu & He 2018); scale and shift as in `layerNorm`, one a channel. */
  groupNorm(x: Value, name: string, groups: number): Value {
    const inputs = [x, ...this.#scaleAndShift(name, Number(x.shape[1]))];
    return this.b.op('GroupNormalization', inputs, { num_groups: int(groups) }, { name });
  }

  /**
   * Normalizes each channel (axis 1; Ioffe & Szegedy 2015): by the batch while training, else by the running averages
   * `<name>.mean` (from 0) and `<name>.variance` (from 1), which move by a tenth each step, as PyTorch's do.
   */
  batchNorm(x: Value, name: string): Value {
    const channels = Number(x.shape[1]);
    const averages = [this.#statistic(`${name}.mean`, channels, 0), this.#statistic(`${name}.variance`, channels, 1)];
    const inputs = [x, ...this.#scaleAndShift(name, channels), ...averages];
    return this.b.op('BatchNormalization', inputs, { epsilon: float(1e-5), momentum: float(0.9) }, { name });
  }

  /** Rows of a table for `tokens: [batch, …]` of int64; the table `[vocabulary, width]` is `<name>.weight`. */
  embedding(tokens: Value, name: string, vocabulary: number, width: number, initialization: Initialization): Value {
    return this.b.gather(this.parameter(`${name}.weight`, [vocabulary, width], initialization), tokens);
  }

  #scaleAndShift(name: string, size: number): Value[] {
    return [this.parameter(`${name}.scale`, [size], ones), this.parameter(`${name}.shift`, [size], zeros)];
  }

  #statistic(name: string, size: number, initial: number): Value {
    const value = this.b.constant(tensor('float32', [size], new Float32Array(size).fill(initial)), name);
    this.#statistics.set(name, value);
    return value;
  }

  /** The finished model with its one output `output`. */
  model(output: Value): Model {
    return builtModel(this.#name, this.b.build(this.#name, { output }), this.#parameters, this.#statistics);
  }
}
