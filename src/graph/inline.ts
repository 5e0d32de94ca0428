// Copies a graph into a builder with its inputs and parameters bound to other values: how a model becomes part of a program.
import { UnsupportedError } from '../errors.js';
import type { GraphBuilder } from './builder.js';
import { describeNode, type Graph, type Node, subgraphs, type Value } from './graph.js';

export interface Inlined {
  /** The outputs by name. */
  readonly outputs: ReadonlyMap<string, Value>;
  /** What each value of the copied graph became. */
  readonly values: ReadonlyMap<Value, Value>;
}

/**
 * Emits the nodes of `graph` into `b`. Types are inferred anew, so a graph with a symbolic batch becomes concrete when
 * its inputs are bound to concrete values, and shape arithmetic folds away.
 * @param bindings inputs and parameters to replace; constants that are not bound are kept
 */
export function inline(b: GraphBuilder, graph: Graph, bindings: ReadonlyMap<Value, Value>): Inlined {
  const values = new Map<Value, Value>(bindings);
  const resolve = (value: Value | undefined, node?: Node): Value | undefined => {
    if (!value) return undefined;
    const bound = values.get(value);
    if (bound) return bound;
    if (!value.constant) {
      throw new UnsupportedError(
        `the input '${value.name}' of graph '${graph.name}'${node ? ` (read by ${describeNode(node)})` : ''} is not bound`,
      );
    }
    const constant = b.constant(value.constant, value.constant.data.byteLength > 4096 ? value.name : undefined);
    values.set(value, constant);
    return constant;
  };
  for (const node of graph.nodes) {
    if (subgraphs(node).length > 0) {
      throw new UnsupportedError(
        `${describeNode(node)} holds a graph of its own, which cannot become part of a training program`,
      );
    }
    const inputs = node.inputs.map((input) => resolve(input, node));
    const names = node.outputs.map((output) => output.name);
    const outputs = b.node(node.op, inputs, node.attributes, { name: node.name, domain: node.domain, outputs: names });
    for (const [i, output] of node.outputs.entries()) {
      const copy = outputs[i];
      if (copy) values.set(output, copy);
    }
  }
  const outputs = new Map(graph.outputs.map(({ name, value }) => [name, resolve(value) as Value]));
  return { outputs, values };
}
