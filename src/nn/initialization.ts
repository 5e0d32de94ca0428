// Initializations of new parameters.
import type { Random } from '../random.js';

/** Draws the elements of a new parameter, which are 0 before. */
export type Initialization = (random: Random, elements: Float32Array) => void;

/** Returns the initialization of a layer's weight, given the number of inputs of one output and the number of outputs. */
export type WeightInitialization = (inputs: number, outputs: number) => Initialization;

export const zeros: Initialization = () => undefined;

export const ones: Initialization = (_, elements) => {
  elements.fill(1);
};

/** Normal of mean 0. */
export const normal =
  (deviation: number): Initialization =>
  (source, elements) =>
    source.fillNormal(elements, 0, deviation);

/** Uniform between −bound and bound. */
export const uniform =
  (bound: number): Initialization =>
  (source, elements) =>
    source.fillUniform(elements, -bound, bound);

/** Uniform of variance 2/(inputs + outputs): Glorot & Bengio 2010, eq. 16; keeps the scale of tanh networks. */
export const glorot = (inputs: number, outputs: number): Initialization => uniform(Math.sqrt(6 / (inputs + outputs)));

/** Normal of variance 2/inputs: He et al. 2015, eq. 10; keeps the scale of ReLU networks. */
export const he = (inputs: number): Initialization => normal(Math.sqrt(2 / inputs));

/**
 * The initializations of new parameters: `glorot` and `he` for weights, the others for any parameter.
 * @example
 * const network = new Network('small', { seed: 1 });
 * const x = network.input('x', [4]);
 * const hidden = network.dense(x, 'hidden', 8, { initialization: initializations.he });
 * const scale = network.parameter('scale', [8], initializations.ones);
 * const model = network.model(network.b.mul(hidden, scale));
 */
export const initializations = { zeros, ones, normal, uniform, glorot, he } as const;
