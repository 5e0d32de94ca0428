// A copy of a tensor that nothing else reads. ONNX Runtime's BatchNormalization in training mode writes the new running
// averages over its inputs for the old ones (1.30; seen whenever those outputs are not the graph's own): any other
// reader of these tensors, the caller's own arrays included, would see them change.
import type { GraphBuilder } from './builder.js';
import { intAttribute, type Node, type Value } from './graph.js';

/** Return the Sum of one tensor: the runtime's optimizer keeps it, and would drop an Identity. */
export const privateCopy = (b: GraphBuilder, value: Value): Value =>
  b.op('Sum', [value], {}, { outputs: [`${value.name}_copy`], fresh: true });

/** Return the inputs of a node, those that the runtime would write to replaced by copies. */
export function protectedInputs(
  b: GraphBuilder,
  node: Pick<Node, 'op' | 'domain' | 'attributes'>,
  inputs: readonly (Value | undefined)[],
): readonly (Value | undefined)[] {
  const writes = node.domain === '' && node.op === 'BatchNormalization' && intAttribute(node, 'training_mode', 0) === 1;
  return writes ? inputs.map((input, i) => (input && i >= 3 ? privateCopy(b, input) : input)) : inputs;
}
