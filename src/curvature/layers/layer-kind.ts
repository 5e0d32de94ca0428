// The contract of a kind of layer: how to find it in a graph, and the rows that its Kronecker factors are made of.
import { type Node, outputOf, type Value } from '../../graph/graph.js';
import { elementCount } from '../../graph/tensor.js';
import type { Builder } from '../../ops/builder.js';
import type { KroneckerBlock, LayerUses } from '../kronecker-block.js';

/** A node that reads a parameter, or its transpose. */
export interface Reading {
  readonly node: Node;
  /** The input that the node reads. */
  readonly value: Value;
  /** Whether it is the parameter's transpose. */
  readonly transposed: boolean;
}

/** A layer `s = a·W + b` as one node applies it with a parameter as its weight W. */
export interface Application {
  readonly node: Node;
  /** The value that the rows a are made of. */
  readonly activations: Value;
  /**
   * Number of layers of equal size side by side, each on some of the channels; their weights are parts of the parameter along
   * its first axis. 1 if left out. Rows of several groups have a leading axis: `[groups, rows, …]`.
   */
  readonly groups?: number;
  /** Number of inputs of one group, without the bias. */
  readonly inputs: number;
  /** Number of outputs of one group. */
  readonly outputs: number;
  /** Whether the weight is stored `[outputs, inputs]`, not `[inputs, outputs]`, each with further axes of its own. */
  readonly outputsFirst: boolean;
  /**
   * The value by which to differentiate to get the cotangents of the pre-activations; the node's output if left out. An
   * operator with several layers inside shows their pre-activations as inputs that are zero.
   */
  readonly preActivations?: Value;
  /** The axes of the pre-activations that hold the outputs, from the first to the one after the last. */
  readonly outputAxes: readonly [number, number];
  /** The shape of a bias that can be a homogeneous coordinate of the activations; left out if there can be none. */
  readonly biasDims?: readonly number[];
  /** Whether the bias is the node's third input; if false or left out, an addition after the node adds it. */
  readonly addsBias?: boolean;
  /** A parameter that holds the bias beside those of other layers of the node: the part of its last axis that is the layer's. */
  readonly biasPart?: BiasPart;
}

export interface BiasPart {
  readonly of: Value;
  /** From the first element to the one after the last. */
  readonly range: readonly [number, number];
}

/** One use of a layer in the network. */
export interface LayerUse extends Application {
  readonly layer: LayerKind;
  readonly groups: number;
  /**
   * Whether it applies the transpose of the block's matrix: its activations are the block's outputs, and its pre-activations
   * the block's inputs.
   */
  readonly transposed: boolean;
  /** What the layer gives out, before or after the bias is added: the cotangent is the same. */
  readonly preActivations: Value;
}

interface AnyKind {
  /** Its name, in tables and messages. */
  readonly kind: string;
  /**
   * Return the layer that a node applies with a parameter as its weight; a text that says why the parameter has no block
   * ("the weight of …"), if the node belongs to this kind; undefined if it does not.
   */
  match(reading: Reading): Application | string | undefined;
  /** Whether weight decay and the prior act on the weight. Biases never decay. */
  readonly decays: boolean;
  /**
   * Return the rows g `[rows, outputs]` of the cotangent of a use's pre-activations. If left out, the axes `outputAxes`
   * are the columns, and all others the rows.
   */
  outputRows?(b: Builder, use: LayerUse, cotangent: Value): Value;
  /**
   * Return how many of the first examples of the batch the rows a of a use are made of; if left out, all. Rows are in the
   * order of the examples, each of which has equally many: so they are given the weights of the cases.
   */
  rowExamples?(use: LayerUse): number;
  /** Return the name of the layer in tables of blocks; if left out, its kind. */
  describe?(block: KroneckerBlock): string;
}

/** A = E[aaᵀ] is estimated from rows of activations. */
interface FullKind extends AnyKind {
  readonly factor: 'full';
  /** Return the rows a `[rows, inputs]` of a use, without the bias. */
  inputRows(b: Builder, use: LayerUse): Value;
}

/** A is diagonal: no two of the inputs are active at once. A layer of this kind has no bias in its block. */
interface DiagonalKind extends AnyKind {
  readonly factor: 'diagonal';
  inputRows(b: Builder, use: LayerUse): Value;
  /**
   * Return the diagonal `[inputs]` of E[aaᵀ], the mean over all rows of all uses.
   * @param shares `[rows]`: how much each row counts in the mean, 1 in all; each alike if left out
   */
  inputDiagonal(b: Builder, uses: LayerUses, shares?: Value): Value;
}

/** A is known: it is the identity, including the bias. */
interface IdentityKind extends AnyKind {
  readonly factor: 'identity';
}

/**
 * A kind of layer that has Kronecker blocks. The library's own are such objects; give further ones as
 * `cgfac({ layerKinds: [...layerKinds, own] })`.
 * @example
 * // y = x ⊙ w for x: [batch, features]: a layer of one weight for each feature
 * const gain: LayerKind = {
 *   kind: 'gain',
 *   factor: 'full',
 *   decays: false,
 *   match({ node, value }) {
 *     const activations = node.inputs.find((input) => input !== value);
 *     if (node.op !== 'Mul' || value.rank !== 1 || activations?.rank !== 2) return undefined;
 *     const [groups = 1] = value.dims;
 *     return { node, activations, groups, inputs: 1, outputs: 1, outputsFirst: false, outputAxes: [1, 2] };
 *   },
 *   inputRows: (b, { activations, groups }) => axisRows(b, activations, [1, 2], groups),
 * };
 */
export type LayerKind = FullKind | DiagonalKind | IdentityKind;

/** The last axis of a node's output. */
export const lastAxis = (node: Node): readonly [number, number] => {
  const { rank } = outputOf(node);
  return [rank - 1, rank];
};

/**
 * Return a value as rows `[rows, outputs]`: the given axes, from the first to the one after the last, are the columns. With
 * several groups the outputs are the first of these axes' groups: `[groups, rows, outputs per group]`.
 * @example
 * // A row for each pixel of pictures `[batch, channels, height, width]`:
 * const pixels = (b: Builder, pictures: Value) => axisRows(b, pictures, [1, 2]);
 */
export function axisRows(b: Builder, value: Value, [from, to]: readonly [number, number], groups = 1): Value {
  const axes = value.dims.map((_, axis) => axis);
  const order = [...axes.slice(0, from), ...axes.slice(to), ...axes.slice(from, to)];
  const outputs = elementCount(value.dims.slice(from, to));
  const rows = elementCount(value.dims) / outputs;
  const arranged = to === axes.length ? value : b.transpose(value, order);
  if (groups === 1) return b.reshape(arranged, [rows, outputs]);
  return b.transpose(b.reshape(arranged, [rows, groups, outputs / groups]), [1, 0, 2]);
}
