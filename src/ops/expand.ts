// Replaces the operators of users by operators that ONNX Runtime knows, before a graph is run or written.
import { GraphError, UnsupportedError } from '../errors.js';
import { bindOutputs, describeNode, type Graph, mapBodies, type Node, subgraphs, type Value } from '../graph/graph.js';
import { Builder } from './builder.js';
import { expansionOf } from './definition.js';
import { definitionOf } from './table.js';

/** Operators of users may be composed of others of their own. */
const deepest = 24;

/**
 * Return the graph with nodes written out, in the bodies of Loop and If too; the graph itself if there are none. Inputs
 * and constants are the same values.
 * @throws UnsupportedError naming a node that is composed of itself, or that nothing runs; GraphError naming one whose
 *   composition is none
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
    if (isComposed(node)) return node;
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
      composition(b, copy) ??
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

/** The domains whose operators ONNX Runtime may have. */
const runtimeDomain = /^(|ai\.onnx(\..*)?|com\.microsoft(\..*)?)$/;

/** Whether a node is composed of others; one that nothing runs is refused. */
function isComposed(node: Node): boolean {
  const definition = definitionOf(node);
  if (definition?.isNative?.(node)) return false;
  if (!definition || definition.expand || runtimeDomain.test(node.domain)) return definition?.expand !== undefined;
  throw new UnsupportedError(
    `${describeNode(node)} is of '${node.domain}', whose operators ONNX Runtime does not have: give its definition an expand function, as composedOperator makes one`,
  );
}

/** The outputs of a node that is composed of others, else undefined. */
function composition(b: Builder, node: Node): readonly Value[] | undefined {
  const { expand, isNative } = definitionOf(node) ?? {};
  if (!expand || isNative?.(node)) return undefined;
  try {
    return expansionOf(expand, b, node, node.outputs.length);
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    throw new GraphError(`${describeNode(node)}: ${error.message}`, { cause: error });
  }
}
