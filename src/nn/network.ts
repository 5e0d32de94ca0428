// Builds models: a graph with a symbolic batch whose parameters are drawn from a seed by named initializations.
import { type Random, random } from '../data/random.js';
import type { Shape, Value } from '../graph/graph.js';
import { builtModel, type Model } from '../graph/model.js';
import { elementCount, tensor } from '../graph/tensor.js';
import { Builder } from '../ops/builder.js';

/** Draws the elements of a new parameter. */
export type Initialization = (random: Random, elements: Float32Array) => void;

export const zeros: Initialization = () => undefined;
export const ones: Initialization = (_, elements) => {
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
export const glorot = (inputs: number, outputs: number): Initialization => uniform(Math.sqrt(6 / (inputs + outputs)));

/** Normal of variance 2/inputs: He et al. 2015, eq. 10; keeps the scale of ReLU networks. */
export const he = (inputs: number): Initialization => normal(Math.sqrt(2 / inputs));

export interface NetworkOptions {
  /** Seeds the initial parameters; each parameter has its own stream, so a change of one leaves the others alone. */
  readonly seed: number;
}

/** A graph under construction with its parameters. */
export class Network {
  readonly b = new Builder();
  readonly #name: string;
  readonly #seed: number;
  readonly #parameters = new Map<string, Value>();

  constructor(name: string, options: NetworkOptions) {
    this.#name = name;
    this.#seed = options.seed;
  }

  /** The network's input `input` of shape `[batch, …example]`. */
  input(example: Shape, dtype: 'float32' | 'int64' = 'float32'): Value {
    return this.b.input('input', dtype, ['batch', ...example]);
  }

  parameter(name: string, dims: readonly number[], initialization: Initialization): Value {
    const elements = new Float32Array(elementCount(dims));
    initialization(random(this.#seed, 'parameter', name), elements);
    const value = this.b.constant(tensor('float32', dims, elements), name);
    this.#parameters.set(name, value);
    return value;
  }

  /** x·W + b for `x: [rows, inputs]`; `W: [inputs, outputs]` is `<name>.weight`. */
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
    return this.b.op('Gemm', [x, weight, bias], {}, { name });
  }

  /** The finished model with its one output `output`. */
  model(output: Value): Model {
    return builtModel(this.#name, this.b.build(this.#name, { output }), this.#parameters);
  }
}
