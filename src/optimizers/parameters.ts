// The parameters of a step by which an optimizer can distinguish them: names, shapes and kinds of layers.
import { layersOf } from '../curvature/blocks.js';
import { convolution } from '../curvature/layers/convolution.js';
import { dense } from '../curvature/layers/dense.js';
import { embedding } from '../curvature/layers/embedding.js';
import type { LayerKind } from '../curvature/layers/layer-kind.js';
import { transposedConvolution } from '../curvature/layers/transposed-convolution.js';
import { OptionError } from '../errors.js';
import { toPattern } from '../model/edit/select.js';
import { described } from '../options.js';
import type { StepContext } from './optimizer.js';

/** A parameter of the network that is trained. */
export interface ParameterInfo {
  readonly name: string;
  readonly dims: readonly number[];
  /** The kinds of layers whose weight it is; empty for a bias, for example. */
  readonly layers: readonly LayerKind[];
  /** Whether it is stored `[outputs, inputs, …]` as a layer's weight, as in PyTorch, not `[inputs, outputs, …]`. */
  readonly outputsFirst: boolean;
}

/** Selects parameters: a glob on their names, such as `*.weight`, or a predicate. */
export type ParameterRule = string | ((parameter: ParameterInfo) => boolean);

/**
 * Return whether a parameter is the weight of a dense layer but not a table of embeddings.
 * @example
 * partition([[isMatrix, lion()], ['*', adamw()]]);
 */
export const isMatrix = ({ layers }: ParameterInfo): boolean => layers.includes(dense) && !layers.includes(embedding);

/**
 * Return whether a parameter is the kernel of a convolution.
 * @example
 * partition([[isKernel, sgd()], ['*', adamw()]]);
 */
export const isKernel = ({ layers }: ParameterInfo): boolean =>
  layers.includes(convolution) || layers.includes(transposedConvolution);

/**
 * Return whether a parameter is a table whose rows the network looks up.
 * @example
 * partition([[isEmbedding, adam()], ['*', muon()]]);
 */
export const isEmbedding = ({ layers }: ParameterInfo): boolean => layers.includes(embedding);

/**
 * Return whether a parameter is a bias, a scale, a shift or a single number.
 * @example
 * partition([[isVector, adam()], ['*', adamw()]]); // vectors do not decay
 */
export const isVector = (parameter: ParameterInfo): boolean =>
  ![isMatrix, isKernel, isEmbedding].some((is) => is(parameter)) &&
  parameter.dims.filter((size) => size > 1).length < 2;

/**
 * Return the parameters of a step, in their order.
 * @example
 * const kernelsOnly: Transform = (context, updates) => {
 *   const kernels = new Set(parametersOf(context).filter(isKernel).map(({ name }) => name));
 *   return updates.map((update, name) => (kernels.has(name) ? update : context.b.mul(update, 0)));
 * };
 */
export function parametersOf({ parameters, forward }: Pick<StepContext, 'parameters' | 'forward'>): ParameterInfo[] {
  const layers = layersOf(parameters, forward.network ?? forward.output);
  return [...parameters].map(([name, { dims }]) => {
    const own = layers.get(name) ?? [];
    return { name, dims, layers: own.map(({ layer }) => layer), outputsFirst: own[0]?.outputsFirst ?? false };
  });
}

/**
 * Return a function that selects parameters by a rule. It throws an OptionError for a glob that matches none.
 * @throws OptionError if the rule is neither a glob nor a predicate
 */
export function parameterRule(rule: ParameterRule): (parameters: readonly ParameterInfo[]) => readonly ParameterInfo[] {
  if (typeof rule === 'function') return (parameters) => parameters.filter(rule);
  if (typeof rule !== 'string') {
    throw new OptionError(
      `a rule for parameters is ${described(rule)}; give a glob such as '*.weight', or a function of a parameter such as isMatrix`,
    );
  }
  const pattern = toPattern(rule);
  return (parameters) => {
    const found = parameters.filter(({ name }) => pattern.test(name));
    if (found.length > 0 || parameters.length === 0 || rule === '*') return found;
    throw new OptionError(`'${rule}' matches no parameter that is trained; they are ${listed(parameters)}`);
  };
}

/** Return the names for a message. */
export const listed = (parameters: readonly ParameterInfo[]): string =>
  parameters
    .slice(0, 20)
    .map(({ name }) => name)
    .join(', ') + (parameters.length > 20 ? `, … (${parameters.length})` : '');
