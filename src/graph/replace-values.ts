// A graph with some of its values replaced by others of the same types: node by node, nothing inferred or folded anew.
import { bindOutputs, type Graph, mapBodies, type Node, Value } from './graph.js';

/**
 * Return the graph with other values in the place of some, such as constants with new elements. The graph given stays as
 * it is: nodes and their outputs are copies.
 * @param replacements values of the same types, by the values that they replace
 */
export function replaceValues(graph: Graph, replacements: ReadonlyMap<Value, Value>): Graph {
  return replaced(graph, new Map(replacements));
}

/** @param values what each value became so far; bodies read those of the graphs around them */
function replaced(graph: Graph, values: Map<Value, Value>): Graph {
  const now = (value: Value): Value => values.get(value) ?? value;
  const nodes = graph.nodes.map((node): Node => {
    const attributes = mapBodies(node.attributes, (graph) => replaced(graph, values));
    const outputs = node.outputs.map((output) => new Value(output.name, output.knownType, output.constant));
    const copy: Node = { ...node, inputs: node.inputs.map((input) => input && now(input)), attributes, outputs };
    for (const output of outputs) output.producer = copy;
    bindOutputs(node, outputs, values);
    return copy;
  });
  return { ...graph, nodes, outputs: graph.outputs.map(({ name, value }) => ({ name, value: now(value) })) };
}
