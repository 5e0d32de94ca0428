// Embeddings: rows of a table by number. It is a dense layer on one-hot rows, and A is the diagonal of the token frequencies.
import { int, intAttribute, text, type Value } from '../../graph/graph.js';
import { elementCount } from '../../graph/tensor.js';
import { isNode } from '../../graph/uses.js';
import type { Builder } from '../../ops/builder.js';
import { type Application, type LayerKind, lastAxis, type Reading } from './layer-kind.js';

/** A table does not decay: rows that no batch reads would vanish. */
export const embedding: LayerKind = {
  kind: 'embedding',
  factor: 'diagonal',
  decays: false,
  match,
  inputRows(b, { activations, inputs, preActivations }) {
    const column = b.cast(b.reshape(activations, [elementCount(activations.dims), 1]), 'int64');
    const positions = b.integers(Array.from({ length: inputs }, (_, i) => i));
    return b.cast(b.equal(countedFromStart(b, column, inputs), positions), preActivations.dtype);
  },
  /** The frequency of each token among all that are read. */
  inputDiagonal(b, uses) {
    const numbers = b.concat(
      uses.map(({ activations }) => b.cast(b.reshape(activations, [elementCount(activations.dims)]), 'int64')),
      0,
    );
    const count = numbers.dims[0] ?? 1;
    const [{ inputs, preActivations }] = uses;
    const { dtype } = preActivations;
    const counted = countedFromStart(b, numbers, inputs);
    const [zeros, shares] = [b.filled([inputs], 0, dtype), b.filled([count], 1 / count, dtype)];
    return b.op('ScatterElements', [zeros, counted, shares], { axis: int(0), reduction: text('add') });
  },
};

/** Negative numbers count from the end, as in Gather. */
const countedFromStart = (b: Builder, numbers: Value, size: number): Value =>
  b.where(b.less(numbers, 0), b.add(numbers, size), numbers);

function match({ node, value, transposed }: Reading): Application | string | undefined {
  if (!isNode(node, 'Gather') || node.inputs[0] !== value) return undefined;
  const [, indices] = node.inputs;
  if (value.rank !== 2 || transposed || !indices || intAttribute(node, 'axis', 0) !== 0) return 'read by Gather';
  // Every example reads the same rows: their gradients are sums over the batch.
  if (indices.constant) return 'an embedding table at fixed positions';
  const [inputs = 0, outputs = 0] = value.dims;
  return { node, activations: indices, inputs, outputs, outputsFirst: false, outputAxes: lastAxis(node) };
}
