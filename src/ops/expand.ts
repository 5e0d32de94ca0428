// Replaces the operators of users by operators that ONNX Runtime knows, before a graph is run or written.
import { UnsupportedError } from '../errors.js';
import {
  bindOutputs,
  describeNode,
  type Graph,
  inputOf,
  mapBodies,
  type Node,
  subgraphs,
  type Value,
} from '../graph/graph.js';
import { Builder } from './builder.js';
import { definitionOf } from './table.js';

/** Operators of users may be composed of others of their own. */
const deepest = 24;

/**
 * Return the graph with nodes written out, in the bodies of Loop and If too; the graph itself if there are none. Inputs
 * and constants are the same values.
 * @throws UnsupportedError naming a node that is composed of itself
 */
export function expanded(graph: Graph): Graph {
  let written = graph;
  for (let depth = 0; ; depth++) {
    const node = expandedNode(written);
    if (!node) return written;
    if (depth === deepest) throw new UnsupportedError(`${describeNode(node)} is composed of itself`);
    written = writtenOut(written, new Map());
  }
}

/** Return a node that is to be written out, in the graph or in a body; undefined if there is none. */
function expandedNode(graph: Graph): Node | undefined {
  for (const node of graph.nodes) {
    if (definitionOf(node)?.expand) return node;
    for (const inner of subgraphs(node)) {
      const found = expandedNode(inner);
      if (found) return found;
    }
  }
  return undefined;
}

/** @param values what values of the graph and of those around it have become */
function writtenOut(graph: Graph, values: Map<Value, Value>, outer?: Builder): Graph {
  const b = new Builder(outer);
  const resolve = (value: Value): Value => values.get(value) ?? value;

  for (const node of graph.nodes) {
    const copy = { ...node, inputs: node.inputs.map((input) => input && resolve(input)) };
    const outputs =
      definitionOf(node)?.expand?.({ b, node: copy, x: (index) => inputOf(copy, index) }) ??
      b.node(
        node.op,
        copy.inputs,
        mapBodies(node.attributes, (inner) => writtenOut(inner, values, b)),
        {
          ...{ name: node.name, domain: node.domain, definition: node.definition, fresh: true },
          ...{ outputs: node.outputs.map(({ name }) => name), types: node.outputs.map(({ knownType }) => knownType) },
        },
      );
    bindOutputs(node, outputs, values);
  }
  const outputs = graph.outputs.map(({ name, value }) => ({ name, value: resolve(value) }));
  const built = b.build(graph.name, Object.fromEntries(outputs.map(({ value }, i) => [i, value])), graph.inputs);
  return { ...built, outputs };
}
