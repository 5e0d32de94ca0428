// Finds the dense layers of a graph, which fine-tuning changes: products of a value with a stored weight.
import { intAttribute, type Node, type Value } from '../../graph/graph.js';
import { isNode, readersOf, seeThrough, type Uses } from '../../graph/uses.js';
import type { Model } from '../model.js';

/** A product x·W (+ bias) with a stored weight. */
export interface DenseLayer {
  /** Gemm, MatMul, or Conv with its kernel as weight. */
  readonly node: Node;
  /** Name of the weight among the model's parameters. */
  readonly weight: string;
  /** The axis of the stored weight that runs over the layer's outputs. */
  readonly outputAxis: number;
  /** Name of the bias, if there is one. */
  readonly bias: string | undefined;
}

/** Return the dense layer that a node is; undefined if it is none. */
export function denseLayer(model: Model, node: Node, uses: Uses): DenseLayer | undefined {
  if (node.domain !== '') return undefined;
  const stored = storedWeight(model, node.inputs[1]);
  if (!stored) return undefined;
  const { name, transposed } = stored;
  const bias = node.inputs[2] ? parameterName(model, node.inputs[2]) : addedBias(model, node, uses);
  switch (node.op) {
    case 'Gemm': {
      const columns = intAttribute(node, 'transB', 0) === 1 ? 0 : 1;
      return { node, weight: name, bias, outputAxis: transposed ? 1 - columns : columns };
    }
    case 'MatMul':
      return stored.rank === 2 ? { node, weight: name, bias, outputAxis: transposed ? 0 : 1 } : undefined;
    case 'Conv':
      return transposed ? undefined : { node, weight: name, bias, outputAxis: 0 };
    default:
      return undefined;
  }
}

/** Return the nodes that read a parameter, through Identity and Transpose nodes too, once for each of their inputs. */
export function parameterReaders(model: Model, name: string, uses: Uses): Node[] {
  const value = model.parameters.get(name);
  return value ? readersOf(value, uses, isView).map(({ node }) => node) : [];
}

const isView = (node: Node): boolean => isNode(node, 'Identity', 'Transpose');

/** Return the parameter that a value is, perhaps through Identity and transpositions of a matrix. */
function storedWeight(model: Model, value: Value | undefined) {
  let source = value;
  let transposed = false;
  while (source?.producer && isView(source.producer)) {
    if (source.producer.op === 'Transpose') transposed = !transposed;
    source = source.producer.inputs[0];
  }
  const name = source && parameterName(model, source);
  if (!source || name === undefined || (transposed && source.rank !== 2)) return undefined;
  return { name, transposed, rank: source.rank };
}

function parameterName(model: Model, value: Value): string | undefined {
  const source = seeThrough(value);
  for (const [name, parameter] of model.parameters) if (parameter === source) return name;
  return undefined;
}

/** Return the bias that an Add after a MatMul adds. */
function addedBias(model: Model, node: Node, uses: Uses): string | undefined {
  const [output] = node.outputs;
  const [next, ...others] = (output && uses.get(output)) ?? [];
  if (node.op !== 'MatMul' || next?.node.op !== 'Add' || others.length > 0) return undefined;
  const other = next.node.inputs[1 - next.index];
  const isVector = other?.knownType?.shape.slice(0, -1).every((size) => size === 1);
  return other && isVector ? parameterName(model, other) : undefined;
}
