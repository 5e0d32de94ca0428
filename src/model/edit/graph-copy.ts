// Begins a copy of a model's graph that an edit adds nodes to.
import { GraphBuilder } from '../../graph/builder.js';
import type { Value } from '../../graph/graph.js';
import { whileReading } from '../../onnx/decode/reader.js';
import { semantics } from '../../ops/table.js';
import type { Model } from '../model.js';

/**
 * Return a builder with the model's inputs, and bindings for `inline`: inputs to those of the builder, stored tensors to
 * themselves, as training binds them by identity.
 */
export function copyOf({ graph, parameters, statistics }: Model) {
  const b = new GraphBuilder(whileReading(semantics));
  const bindings = new Map<Value, Value>();
  for (const input of graph.inputs) bindings.set(input, b.input(input.name, input.dtype, input.shape));
  for (const value of [...parameters.values(), ...statistics.values()]) bindings.set(value, value);
  return { b, bindings };
}
