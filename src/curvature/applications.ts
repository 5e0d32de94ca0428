// How a node applies a parameter: as the weight of a dense layer or of a convolution, as a table, or in a way that
// has no block.
import { intAttribute, type Node, type Value } from '../graph/graph.js';

/** A node that reads a parameter, or its transpose. */
export interface Reading {
  readonly node: Node;
  /** What the node reads. */
  readonly value: Value;
  /** It is the parameter's transpose. */
  readonly transposed: boolean;
}

/** A layer as one node applies it. */
export interface Application {
  readonly kind: 'dense' | 'convolution' | 'embedding';
  readonly node: Node;
  readonly activations: Value;
  readonly inputs: number;
  readonly outputs: number;
  readonly outputsFirst: boolean;
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
  if (scalesOrShifts(reading)) return 'scale and shift of a normalization layer';
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
  return { kind: 'dense', node, activations, inputs, outputs, outputsFirst, addsBias: isGemm };
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
  return { kind: 'convolution', node, activations, inputs, outputs, outputsFirst: true, addsBias: true };
}

/** Why a bias is in no block: its weight is in none. */
function biasOf(node: Node): string {
  if (node.op === 'ConvTranspose') return 'the bias of a transposed convolution';
  const groups = intAttribute(node, 'group', 1);
  return groups === 1 ? 'the bias of a convolution without a block' : `the bias of a convolution with ${groups} groups`;
}

/** Rows of an embedding table that is a block, at most: its factor A is made of one-hot rows. Enough for bytes. */
const largestVocabulary = 256;

/** Rows of a table by number: a dense layer on one-hot rows, whose A is the diagonal of the tokens' frequencies. */
function embedding({ node, value, transposed }: Reading): Application | string {
  const [, indices] = node.inputs;
  if (value.rank !== 2 || transposed || !indices || intAttribute(node, 'axis', 0) !== 0) return 'read by Gather';
  // The gradients of rows that all examples read at once are sums over the batch.
  if (indices.constant) return 'an embedding table at fixed positions';
  const [inputs = 0, outputs = 0] = value.dims;
  if (inputs > largestVocabulary) return `an embedding table of ${inputs} rows: more than ${largestVocabulary}`;
  return { kind: 'embedding', node, activations: indices, inputs, outputs, outputsFirst: false, addsBias: false };
}

/** A parameter of a normalization operator, or a factor or summand of what was normalized. */
function scalesOrShifts({ node, value }: Reading): boolean {
  if (isNormalization(node)) return node.inputs[0] !== value;
  if (!isNode(node, 'Mul', 'Add')) return false;
  const other = node.inputs.find((input) => input !== value);
  return isNormalized(other) || (isNode(node, 'Add') && isMadeBy(other, 'Mul') && inputsOf(other).some(isNormalized));
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
