// The parameters as an optimizer may tell them apart: by name, by shape and by how the network reads them.
import { consumersOf } from '../curvature/blocks.js';
import { OptionError } from '../errors.js';
import { intAttribute, type Node, outputOf, type Value } from '../graph/graph.js';
import type { Forward } from '../losses/objective.js';
import { toPattern } from '../model/edit/select.js';
import { described } from '../options.js';
import type { StepContext } from './optimizer.js';

/**
 * `matrix`: the weight of a dense layer. `kernel`: the weight of a convolution. `embedding`: a table whose rows the network
 * looks up. `vector`: biases, scales, shifts, single numbers. `tensor`: what is none of these, such as a table of positions.
 */
export type ParameterKind = 'matrix' | 'kernel' | 'embedding' | 'vector' | 'tensor';

/** A parameter of the network that is trained. */
export interface ParameterInfo {
  readonly name: string;
  readonly dims: readonly number[];
  readonly kind: ParameterKind;
  /** It is stored `[outputs, inputs, …]`, as PyTorch does, not `[inputs, outputs]`. */
  readonly outputsFirst: boolean;
}

/** Which parameters are meant: a glob on their names, such as `*.weight`, or a predicate. */
export type ParameterRule = string | ((parameter: ParameterInfo) => boolean);

/**
 * Tell whether a parameter is the weight of a dense layer.
 * @example
 * partition([[isMatrix, lion()], ['*', adamw()]]);
 */
export const isMatrix = ({ kind }: ParameterInfo): boolean => kind === 'matrix';

/**
 * Tell whether a parameter is the kernel of a convolution.
 * @example
 * partition([[isKernel, sgd()], ['*', adamw()]]);
 */
export const isKernel = ({ kind }: ParameterInfo): boolean => kind === 'kernel';

/**
 * Tell whether a parameter is a table whose rows the network looks up.
 * @example
 * partition([[isEmbedding, adam()], ['*', muon()]]);
 */
export const isEmbedding = ({ kind }: ParameterInfo): boolean => kind === 'embedding';

/**
 * Tell whether a parameter is a bias, a scale, a shift or a single number.
 * @example
 * partition([[isVector, adam()], ['*', adamw()]]); // vectors do not decay
 */
export const isVector = ({ kind }: ParameterInfo): boolean => kind === 'vector';

/** Return the parameters of a step, in their order. */
export function parametersOf({
  parameters,
  forward,
}: Pick<StepContext, 'parameters'> & { readonly forward: Pick<Forward, 'output'> }): ParameterInfo[] {
  const consumers = consumersOf(forward.output);
  return [...parameters].map(([name, value]) => ({ name, dims: value.dims, ...useOf(value, consumers) }));
}

/**
 * Return a function that chooses the parameters that a rule takes.
 * @throws OptionError if the rule is neither a glob nor a predicate; the function, for a glob that matches no parameter
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

/** Names in a message. */
export const listed = (parameters: readonly ParameterInfo[]): string =>
  parameters
    .slice(0, 20)
    .map(({ name }) => name)
    .join(', ') + (parameters.length > 20 ? `, … (${parameters.length})` : '');

type Use = Pick<ParameterInfo, 'kind' | 'outputsFirst'>;

function useOf(value: Value, consumers: ReadonlyMap<Value, readonly Node[]>): Use {
  const uses = value.rank > 1 ? usesOf(value, consumers) : [];
  const otherwise = value.dims.filter((size) => size > 1).length <= 1 ? 'vector' : 'tensor';
  return uses.find(({ kind }) => kind === 'embedding') ?? uses[0] ?? { kind: otherwise, outputsFirst: false };
}

/** How nodes read a value as a weight, Identity nodes and transpositions of a matrix seen through. */
function usesOf(value: Value, consumers: ReadonlyMap<Value, readonly Node[]>, transposed = false): Use[] {
  return (consumers.get(value) ?? []).flatMap((node): Use[] => {
    if (node.domain !== '') return [];
    const isWeight = node.inputs[1] === value;
    switch (node.op) {
      case 'Identity':
        return usesOf(outputOf(node), consumers, transposed);
      case 'Transpose':
        return value.rank === 2 ? usesOf(outputOf(node), consumers, !transposed) : [];
      case 'Gather':
        return node.inputs[0] === value ? [{ kind: 'embedding', outputsFirst: false }] : [];
      case 'Conv':
        return isWeight ? [{ kind: 'kernel', outputsFirst: true }] : [];
      case 'ConvTranspose':
        return isWeight ? [{ kind: 'kernel', outputsFirst: false }] : [];
      case 'MatMul':
        return isWeight && value.rank === 2 ? [{ kind: 'matrix', outputsFirst: transposed }] : [];
      case 'Gemm':
        return isWeight
          ? [{ kind: 'matrix', outputsFirst: transposed !== (intAttribute(node, 'transB', 0) === 1) }]
          : [];
      default:
        return [];
    }
  });
}
