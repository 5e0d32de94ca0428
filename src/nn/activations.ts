// Activations by name, each with the initialization that keeps the scale of a network of them.
import { OptionError } from '../errors.js';
import { float, type Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { described, isRecord } from '../options.js';
import { didYouMean } from '../suggest.js';
import { glorot, he, type WeightInitialization } from './initialization.js';

export interface Activation {
  readonly apply: (b: Builder, x: Value) => Value;
  /** Initialization of the weights of the layer before it. */
  readonly initialization: WeightInitialization;
}

/** Elementwise functions; `softmax` and `logSoftmax` are over the last axis. */
export const activations = {
  relu: { apply: (b, x) => b.relu(x), initialization: he },
  /** x·Φ(x): Hendrycks & Gimpel 2016. */
  gelu: { apply: (b, x) => b.op('Gelu', [x]), initialization: he },
  /** x·sigmoid(x), also called swish. */
  silu: { apply: (b, x) => b.mul(x, b.sigmoid(x)), initialization: he },
  /** max(x, x/100) */
  leakyRelu: { apply: (b, x) => b.op('LeakyRelu', [x], { alpha: float(0.01) }), initialization: he },
  elu: { apply: (b, x) => b.op('Elu', [x]), initialization: he },
  mish: { apply: (b, x) => b.op('Mish', [x]), initialization: he },
  tanh: { apply: (b, x) => b.tanh(x), initialization: glorot },
  sigmoid: { apply: (b, x) => b.sigmoid(x), initialization: glorot },
  softplus: { apply: (b, x) => b.op('Softplus', [x]), initialization: glorot },
  softmax: { apply: (b, x) => b.softmax(x), initialization: glorot },
  logSoftmax: { apply: (b, x) => b.logSoftmax(x), initialization: glorot },
} as const satisfies Readonly<Record<string, Activation>>;

export type ActivationName = keyof typeof activations;

const activationNames = Object.keys(activations) as readonly ActivationName[];

/**
 * Return the activation of a name, or the given one.
 * @throws OptionError that lists the known names
 */
export function activationOf(of: string, given: ActivationName | Activation): Activation {
  if (typeof given !== 'string') {
    const value: unknown = given;
    if (isRecord(value) && typeof value.apply === 'function' && typeof value.initialization === 'function')
      return given;
    throw new OptionError(
      `the activation of ${of} is ${described(value)}; give a name, such as 'relu', or { apply, initialization }`,
    );
  }
  if (Object.hasOwn(activations, given)) return activations[given];
  throw new OptionError(
    `the activation of ${of} is ${described(given)}${didYouMean(given, activationNames)}; choose ${activationNames.join(', ')}`,
  );
}
