// What a kind of layer is to curvature: how to find it in a graph, and the rows that its Kronecker factors are made of.
import { type Node, outputOf, type Value } from '../../graph/graph.js';
import { elementCount } from '../../graph/tensor.js';
import type { Builder } from '../../ops/builder.js';
import type { KroneckerBlock, LayerUses } from '../kronecker-block.js';

/** A node that reads a parameter, or its transpose. */
export interface Reading {
  readonly node: Node;
  /** What the node reads. */
  readonly value: Value;
  /** It is the parameter's transpose. */
  readonly transposed: boolean;
}

/** A layer `s = a·W + b` as one node applies it with a parameter as its weight W. */
export interface Application {
  readonly node: Node;
  /** What the rows a are made of. */
  readonly activations: Value;
  /**
   * Layers of equal size side by side, each of some channels, whose weights are the parts of the parameter along its first
   * axis; 1 if left out. Rows have a leading axis for several groups: `[groups, rows, …]`.
   */
  readonly groups?: number;
  /** Of one group, without the bias. */
  readonly inputs: number;
  readonly outputs: number;
  /** The weight is stored `[outputs, inputs]`, not `[inputs, outputs]`, each with further axes of its own. */
  readonly outputsFirst: boolean;
  /** The axes of the node's output that hold the outputs, from the first to the one after the last. */
  readonly outputAxes: readonly [number, number];
  /** The shape of a bias that can ride along as a homogeneous coordinate of the activations; left out if none can. */
  readonly biasDims?: readonly number[];
  /** The bias is the node's third input; if left out, it is added afterwards. */
  readonly addsBias?: boolean;
}

/** One use of a layer in the network. */
export interface LayerUse extends Application {
  readonly layer: LayerKind;
  readonly groups: number;
  /**
   * It applies the transpose of the block's matrix: its activations are the block's outputs, and its pre-activations
   * the block's inputs.
   */
  readonly exchanged: boolean;
  /** Before the bias is added or after: the cotangent is the same. */
  readonly preActivations: Value;
}

interface AnyKind {
  /** Its name, in tables and messages. */
  readonly kind: string;
  /**
   * Return the layer that a node applies with a parameter as its weight; in words, why the parameter has no block there
   * ("the weight of …"), if that is for this kind to say; else undefined.
   */
  match(reading: Reading): Application | string | undefined;
  /** Weight decay and the prior act on the weight: the size of its elements is a complexity. Biases never decay. */
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
  /** Return what tables of blocks call the layer; if left out, its kind. */
  describe?(block: KroneckerBlock): string;
}

/** A = E[aaᵀ] is a matrix that is estimated from rows of activations. */
interface FullKind extends AnyKind {
  readonly factor: 'full';
  /** Return the rows a `[rows, inputs]` of a use, without the bias. */
  inputRows(b: Builder, use: LayerUse): Value;
}

/** A is a diagonal: no two of the inputs are active at once. A layer of this kind has no bias in its block. */
interface DiagonalKind extends AnyKind {
  readonly factor: 'diagonal';
  inputRows(b: Builder, use: LayerUse): Value;
  /**
   * Return the diagonal `[inputs]` of E[aaᵀ], the mean over all rows of all uses.
   * @param shares `[rows]`: how much each row counts in the mean, 1 in all; each alike if left out
   */
  inputDiagonal(b: Builder, uses: LayerUses, shares?: Value): Value;
}

/** A is known: it is the identity, of the bias too. */
interface IdentityKind extends AnyKind {
  readonly factor: 'identity';
}

/**
 * A kind of layer that has Kronecker blocks: the library's own are such objects, and a user's join them as
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

/** A node of ONNX's own operator set. */
export const isNode = (node: Node, ...ops: readonly string[]): boolean => node.domain === '' && ops.includes(node.op);

/** The last axis of a node's output. */
export const lastAxis = (node: Node): readonly [number, number] => {
  const { rank } = outputOf(node);
  return [rank - 1, rank];
};

/**
 * Return a value as rows `[rows, outputs]`: the given axes, from the first to the one after the last, are the columns. With
 * several groups the outputs are the first of these axes' groups: `[groups, rows, outputs per group]`.
 * @example
 * // Of pictures `[batch, channels, height, width]` a row for each pixel:
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
