// Finds the dense layers of a graph that fine-tuning works on: products of a value with a stored weight.
import { type Graph, intAttribute, type Node, subgraphs, type Value } from '../../graph/graph.js';
import type { Model } from '../model.js';

/** A product x·W (+ bias) with a stored weight. */
export interface DenseLayer {
  /** Gemm, MatMul, or Conv with its kernel as weight. */
  readonly node: Node;
  /** Name of the weight among the model's parameters. */
  readonly weight: string;
  /** The axis of the stored weight that runs over the layer's outputs. */
  readonly outputAxis: number;
  /** Name of the bias, where there is one. */
  readonly bias: string | undefined;
}

/** The layer that a node is, or undefined. `users` are the nodes that read each value. */
export function denseLayer(
  model: Model,
  node: Node,
  users: ReadonlyMap<Value, readonly Node[]>,
): DenseLayer | undefined {
  if (node.domain !== '') return undefined;
  const stored = storedWeight(model, node.inputs[1]);
  if (!stored) return undefined;
  const { name, transposed } = stored;
  const bias = node.inputs[2] ? parameterName(model, node.inputs[2]) : addedBias(model, node, users);
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

/** Nodes by the values they read; those in the bodies of Loop and If are among them. */
export function usersOf(graph: Graph, users = new Map<Value, Node[]>()): Map<Value, Node[]> {
  for (const node of graph.nodes) {
    for (const body of subgraphs(node)) usersOf(body, users);
    for (const input of node.inputs) {
      if (!input) continue;
      const known = users.get(input);
      if (known) known.push(node);
      else users.set(input, [node]);
    }
  }
  return users;
}

/** The nodes that read a parameter, once for each of their inputs; those behind Identity and Transpose nodes for these. */
export function readersOf(model: Model, name: string, users: ReadonlyMap<Value, readonly Node[]>): Node[] {
  const readers = (value: Value | undefined): Node[] =>
    [...new Set((value && users.get(value)) ?? [])].flatMap((node) =>
      isView(node) ? readers(node.outputs[0]) : node.inputs.filter((input) => input === value).map(() => node),
    );
  return readers(model.parameters.get(name));
}

const isView = ({ op, domain }: Node): boolean => domain === '' && (op === 'Identity' || op === 'Transpose');

/** A parameter, perhaps behind Identity and a transposition of a matrix. */
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
  let source = value;
  while (source.producer?.op === 'Identity' && source.producer.inputs[0]) source = source.producer.inputs[0];
  for (const [name, parameter] of model.parameters) if (parameter === source) return name;
  return undefined;
}

/** The bias that a following Add gives to a MatMul. */
function addedBias(model: Model, node: Node, users: ReadonlyMap<Value, readonly Node[]>): string | undefined {
  const [output] = node.outputs;
  const [next, ...others] = (output && users.get(output)) ?? [];
  if (node.op !== 'MatMul' || next?.op !== 'Add' || others.length > 0) return undefined;
  const other = next.inputs[0] === output ? next.inputs[1] : next.inputs[0];
  const isVector = other?.knownType?.shape.slice(0, -1).every((size) => size === 1);
  return other && isVector ? parameterName(model, other) : undefined;
}
