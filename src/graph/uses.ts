// Finds the nodes that read a value, and the source of a value that nodes only pass on.
import { dependencies, type Graph, type Node, subgraphs, type Value } from './graph.js';

/** An input of a node: position `index` among the node's inputs. */
export interface Use {
  readonly node: Node;
  readonly index: number;
}

/** The uses of each value, in the order of the nodes. */
export type Uses = ReadonlyMap<Value, readonly Use[]>;

/** Return the uses of all values in a graph, those in the bodies of Loop and If among them. */
export function usesIn(graph: Graph): Uses {
  const uses = new Map<Value, Use[]>();
  collect(graph, uses);
  return uses;
}

/**
 * Return the uses of all values that a value is computed from, each node once for a value that it reads. A node that reads a
 * value in its body has the index −1.
 */
export function usesBefore(value: Value): Uses {
  const uses = new Map<Value, Use[]>();
  const seen = new Set<Node>();
  const pending = value.producer ? [value.producer] : [];
  for (let node = pending.pop(); node; node = pending.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    for (const read of new Set(dependencies(node))) {
      add(uses, read, { node, index: node.inputs.indexOf(read) });
      if (read.producer) pending.push(read.producer);
    }
  }
  return uses;
}

function collect(graph: Graph, uses: Map<Value, Use[]>): void {
  for (const node of graph.nodes) {
    for (const body of subgraphs(node)) collect(body, uses);
    for (const [index, input] of node.inputs.entries()) if (input) add(uses, input, { node, index });
  }
}

function add(uses: Map<Value, Use[]>, value: Value, use: Use): void {
  const known = uses.get(value);
  if (known) known.push(use);
  else uses.set(value, [use]);
}

/** Whether a value is followed through a node, which passes its first input on. */
export type Passes = (node: Node) => boolean;

/** Whether a node is of ONNX's own operator set and has one of these operators. */
export const isNode = (node: Node | undefined, ...ops: readonly string[]): node is Node =>
  node?.domain === '' && ops.includes(node.op);

/** A copy: exporters write it for tensors of equal contents. */
const isIdentity: Passes = (node) => isNode(node, 'Identity');

/** Return the uses of a value; in place of each node that passes it on, the uses of that node's output. */
export function readersOf(value: Value, uses: Uses, passes: Passes = isIdentity): Use[] {
  const found: Use[] = [];
  const pending = [...(uses.get(value) ?? [])].reverse();
  for (let use = pending.pop(); use; use = pending.pop()) {
    const [output] = use.node.outputs;
    if (use.index === 0 && output && passes(use.node)) pending.push(...[...(uses.get(output) ?? [])].reverse());
    else found.push(use);
  }
  return found;
}

/** Return the value at the beginning of a chain of nodes that pass it on. */
export function seeThrough(value: Value, passes: Passes = isIdentity): Value {
  let source = value;
  for (let before = source.producer; before && passes(before); before = source.producer) {
    const [input] = before.inputs;
    if (!input) break;
    source = input;
  }
  return source;
}
