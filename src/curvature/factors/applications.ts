// How a node applies a parameter: as the weight of a dense layer or of a convolution, as a table, as the scale of what
// was normalized, or in a way that has no block.
import { intAttribute, type Node, outputOf, type Value } from '../../graph/graph.js';
import { elementCount } from '../../graph/tensor.js';

/** A node that reads a parameter, or its transpose. */
export interface Reading {
  readonly node: Node;
  /** What the node reads. */
  readonly value: Value;
  /** It is the parameter's transpose. */
  readonly transposed: boolean;
}

export type LayerKind = 'dense' | 'convolution' | 'embedding' | 'scale-and-shift';

/** A layer as one node applies it. */
export interface Application {
  readonly kind: LayerKind;
  readonly node: Node;
  readonly activations: Value;
  readonly inputs: number;
  readonly outputs: number;
  readonly outputsFirst: boolean;
  /** The axes of the node's output that hold the outputs, from the first to the one after the last. */
  readonly outputAxes: readonly [number, number];
  /** The bias is an input of the node, and not added afterwards. */
  readonly addsBias: boolean;
}

/** A node of ONNX's own operator set. */
export const isNode = (node: Node, ...ops: readonly string[]): boolean => node.domain === '' && ops.includes(node.op);

/** The layer that a node applies with a parameter as its weight, or why there is none. */
export function applicationOf(reading: Reading): Application | string {
  const { node, value } = reading;
  if (isNode(node, 'Gemm', 'MatMul') && value.rank === 2) return dense(reading);
  if (isNode(node, 'Conv') && node.inputs[1] === value) return convolution(reading);
  if (isNode(node, 'ConvTranspose') && node.inputs[1] === value) return 'the weight of a transposed convolution';
  if (isNode(node, 'Conv', 'ConvTranspose') && node.inputs[2] === value) return biasOf(node);
  if (isNode(node, 'Gather') && node.inputs[0] === value) return embedding(reading);
  const scale = scaling(reading);
  if (scale) return scale;
  if (value.rank !== 2) return `a parameter of rank ${value.rank} outside a dense layer`;
  return `read by ${node.op}, which is not a dense layer`;
}

function dense({ node, value, transposed }: Reading): Application | string {
  const [activations, factor] = node.inputs;
  if (activations === value && factor === value) return 'multiplied by itself';
  if (factor !== value || !activations) return `read by ${node.op}, which is not a dense layer`;
  const isGemm = node.op === 'Gemm';
  if (isGemm && !isPlainGemm(node)) return 'a Gemm with scaling or a transposed input';
  const [rows = 0, columns = 0] = value.dims;
  const exchanged = isGemm && intAttribute(node, 'transB', 0) === 1;
  const [inputs, outputs] = exchanged ? [columns, rows] : [rows, columns];
  const outputsFirst = transposed !== exchanged;
  const outputAxes = lastAxis(node);
  return { kind: 'dense', node, activations, inputs, outputs, outputsFirst, outputAxes, addsBias: isGemm };
}

function isPlainGemm(node: Node): boolean {
  const scaled = ['alpha', 'beta'].some((name) => {
    const attribute = node.attributes[name];
    return attribute?.kind === 'float' && attribute.value !== 1;
  });
  return !scaled && intAttribute(node, 'transA', 0) === 0;
}

function convolution({ node, value }: Reading): Application | string {
  const groups = intAttribute(node, 'group', 1);
  // Each group would be a block of its own; depthwise ones have as many as channels, each of a few numbers.
  if (groups !== 1) return `the weight of a convolution with ${groups} groups`;
  const [activations] = node.inputs;
  if (!activations || activations === value) return 'convolved with itself';
  const [outputs = 0, ...field] = value.dims;
  const inputs = field.reduce((product, size) => product * size, 1);
  const layout = { outputsFirst: true, outputAxes: [1, 2] } as const;
  return { kind: 'convolution', node, activations, inputs, outputs, ...layout, addsBias: true };
}

/** Why a bias is in no block: its weight is in none. */
function biasOf(node: Node): string {
  if (node.op === 'ConvTranspose') return 'the bias of a transposed convolution';
  const groups = intAttribute(node, 'group', 1);
  return groups === 1 ? 'the bias of a convolution without a block' : `the bias of a convolution with ${groups} groups`;
}

/** Rows of a table by number: a dense layer on one-hot rows, whose A is the diagonal of the tokens' frequencies. */
function embedding({ node, value, transposed }: Reading): Application | string {
  const [, indices] = node.inputs;
  if (value.rank !== 2 || transposed || !indices || intAttribute(node, 'axis', 0) !== 0) return 'read by Gather';
  // The gradients of rows that all examples read at once are sums over the batch.
  if (indices.constant) return 'an embedding table at fixed positions';
  const [inputs = 0, outputs = 0] = value.dims;
  const layout = { outputsFirst: false, outputAxes: lastAxis(node) };
  return { kind: 'embedding', node, activations: indices, inputs, outputs, ...layout, addsBias: false };
}

const lastAxis = (node: Node): readonly [number, number] => {
  const { rank } = outputOf(node);
  return [rank - 1, rank];
};

/**
 * The scale γ of what was normalized, y = γ⊙x̂ + β, by a normalization operator or as exporters spell it out; its reason
 * where the parameter is the shift, which belongs to the block of the scale.
 */
function scaling({ node, value }: Reading): Application | string | undefined {
  const made = outputOf(node);
  if (isNormalization(node)) {
    if (node.inputs[2] === value) return 'the shift of a normalization layer without a trained scale';
    if (node.inputs[1] !== value) return undefined;
    return scaleOf(node, value, normalizedAxes(node), true);
  }
  const other = node.inputs.find((input) => input !== value);
  if (isNode(node, 'Mul') && isNormalized(other)) {
    const axes = occupiedAxes(value, made.rank);
    return axes ? scaleOf(node, value, axes, false) : 'a scale that is not one number for each feature';
  }
  const scaled = isMadeBy(other, 'Mul') && inputsOf(other).some(isNormalized);
  if (!isNode(node, 'Add') || !(scaled || isNormalized(other))) return undefined;
  return 'the shift of a normalization layer without a trained scale';
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
  if (!activations || elementCount(held) !== outputs) return 'a scale that is not one number for each feature';
  const layout = { outputsFirst: false, outputAxes };
  return { kind: 'scale-and-shift', node, activations, inputs: 1, outputs, ...layout, addsBias };
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
