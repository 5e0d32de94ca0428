// Scale and shift of a normalization, y = γ⊙x̂ + β: the two rows of a weight on x̂ and 1. What is normalized has mean 0
// and variance 1, E[x̂²] = E[1] = 1 and E[x̂] = 0, so A is the identity.
import { intAttribute, type Node, outputOf, type Value } from '../../graph/graph.js';
import { elementCount } from '../../graph/tensor.js';
import { isNode, seeThrough } from '../../graph/uses.js';
import { traitsOf } from '../../ops/table.js';
import type { Application, LayerKind, Reading } from './layer-kind.js';

/** The scale of a normalization operator, or of one that an exporter wrote as several nodes. It does not decay. */
export const scaleAndShift: LayerKind = { kind: 'scale-and-shift', factor: 'identity', decays: false, match };

const loneShift = 'the shift of a normalization layer without a trained scale';
const uneven = 'a scale that is not one number for each feature';

/** The block of a scale includes the shift. */
function match({ node, value }: Reading): Application | string | undefined {
  if (traitsOf(node).normalizes) {
    if (node.inputs[2] === value) return loneShift;
    if (node.inputs[1] !== value) return undefined;
    return scaleOf(node, value, normalizedAxes(node), true);
  }
  const other = node.inputs.find((input) => input !== value);
  if (isNode(node, 'Mul') && isNormalized(other)) {
    const axes = occupiedAxes(value, outputOf(node).rank);
    return axes ? scaleOf(node, value, axes, false) : uneven;
  }
  const scaled = isNode(other?.producer, 'Mul') && other.producer.inputs.some(isNormalized);
  return isNode(node, 'Add') && (scaled || isNormalized(other)) ? loneShift : undefined;
}

function scaleOf(
  node: Node,
  value: Value,
  outputAxes: readonly [number, number],
  addsBias: boolean,
): Application | string {
  const [activations] = node.inputs;
  const outputs = elementCount(value.dims);
  const held = outputOf(node).dims.slice(...outputAxes);
  if (!activations || elementCount(held) !== outputs) return uneven;
  return {
    ...{ node, activations, inputs: 1, outputs, outputsFirst: false, outputAxes },
    ...{ biasDims: value.dims, addsBias },
  };
}

/** The axes that a normalization operator scales: those that it normalizes, or the channels. */
function normalizedAxes(node: Node): readonly [number, number] {
  if (node.op !== 'LayerNormalization') return [1, 2];
  const { rank } = outputOf(node);
  const axis = intAttribute(node, 'axis', -1);
  return [axis < 0 ? axis + rank : axis, rank];
}

/** The adjacent axes on which a tensor that broadcasts to a rank is larger than 1; undefined if it is one number. */
function occupiedAxes({ dims }: Value, rank: number): readonly [number, number] | undefined {
  const axes = dims.flatMap((size, axis) => (size > 1 ? [axis + rank - dims.length] : []));
  const [first] = axes;
  const last = axes.at(-1);
  if (first === undefined || last === undefined || last - first + 1 !== axes.length) return undefined;
  return [first, last + 1];
}

const isRoot = (value: Value | undefined): boolean => isNode(value?.producer, 'Sqrt');

/** Whether a value is the output of a normalization: of an operator, or of a division by a root in an exporter's nodes. */
function isNormalized(value: Value | undefined): boolean {
  const node = value && seeThrough(value, (each) => isNode(each, 'Reshape', 'Identity')).producer;
  if (!node) return false;
  const isInverseRoot = (input: Value | undefined) =>
    isNode(input?.producer, 'Reciprocal') && isRoot(input.producer.inputs[0]);
  const isQuotient = isNode(node, 'Div') && isRoot(node.inputs[1]);
  const isProduct = isNode(node, 'Mul') && node.inputs.some(isInverseRoot);
  return traitsOf(node).normalizes === true || isQuotient || isProduct;
}
