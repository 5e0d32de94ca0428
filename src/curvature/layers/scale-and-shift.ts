// Scale and shift of a normalization, y = γ⊙x̂ + β: the two rows of a weight on x̂ and 1. What is normalized has mean 0
// and variance 1, E[x̂²] = E[1] = 1 and E[x̂] = 0, so A is the identity.
import { intAttribute, type Node, outputOf, type Value } from '../../graph/graph.js';
import { elementCount } from '../../graph/tensor.js';
import { type Application, isNode, type LayerKind, type Reading } from './layer-kind.js';

/** By a normalization operator, or as exporters spell it out. The size of a scale is no complexity. */
export const scaleAndShift: LayerKind = { kind: 'scale-and-shift', factor: 'identity', decays: false, match };

const loneShift = 'the shift of a normalization layer without a trained scale';
const uneven = 'a scale that is not one number for each feature';

/** The shift belongs to the block of the scale. */
function match({ node, value }: Reading): Application | string | undefined {
  if (isNormalization(node)) {
    if (node.inputs[2] === value) return loneShift;
    if (node.inputs[1] !== value) return undefined;
    return scaleOf(node, value, normalizedAxes(node), true);
  }
  const other = node.inputs.find((input) => input !== value);
  if (isNode(node, 'Mul') && isNormalized(other)) {
    const axes = occupiedAxes(value, outputOf(node).rank);
    return axes ? scaleOf(node, value, axes, false) : uneven;
  }
  const scaled = isMadeBy(other, 'Mul') && inputsOf(other).some(isNormalized);
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

/** The adjoining axes in which a tensor is larger than 1 when it is broadcast to a rank; none where it is one number. */
function occupiedAxes({ dims }: Value, rank: number): readonly [number, number] | undefined {
  const axes = dims.flatMap((size, axis) => (size > 1 ? [axis + rank - dims.length] : []));
  const [first] = axes;
  const last = axes.at(-1);
  if (first === undefined || last === undefined || last - first + 1 !== axes.length) return undefined;
  return [first, last + 1];
}

const isNormalization = (node: Node): boolean =>
  isNode(node, 'BatchNormalization', 'GroupNormalization', 'InstanceNormalization', 'LayerNormalization');

const isMadeBy = (value: Value | undefined, ...ops: readonly string[]): boolean =>
  value?.producer !== undefined && isNode(value.producer, ...ops);
const inputsOf = (value: Value | undefined): readonly (Value | undefined)[] => value?.producer?.inputs ?? [];

/** The output of a normalization: of an operator, or of a division by a root as exporters spell it out. */
function isNormalized(value: Value | undefined): boolean {
  if (!value?.producer) return false;
  if (isNormalization(value.producer)) return true;
  if (isMadeBy(value, 'Reshape', 'Identity')) return isNormalized(inputsOf(value)[0]);
  if (isMadeBy(value, 'Div')) return isMadeBy(inputsOf(value)[1], 'Sqrt');
  return (
    isMadeBy(value, 'Mul') &&
    inputsOf(value).some((input) => isMadeBy(input, 'Reciprocal') && isMadeBy(inputsOf(input)[0], 'Sqrt'))
  );
}
