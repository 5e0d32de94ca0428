// Pools: the largest or the mean element of sliding windows, or of whole pictures.
import { GraphError } from '../../errors.js';
import {
  type Attributes,
  inputOf,
  int,
  intAttribute,
  type Node,
  outputOf,
  type TensorType,
  text,
  type Value,
} from '../../graph/graph.js';
import type { Builder } from '../builder.js';
import { type GradientContext, type NodeDraft, type OpFamily, oneForEachInput } from '../definition.js';
import { knownCount, range } from '../shapes/shapes.js';
import { type AxisMatrix, applyTransposed } from './separable.js';
import { kernelShape, type WindowAxis, windowAxes, windowCounts } from './windows.js';

const spatialAxes = (x: Value): number[] => range(2, x.rank);
const isCeil = (node: NodeDraft): boolean => intAttribute(node, 'ceil_mode', 0) === 1;

function pooledType(node: NodeDraft): TensorType {
  const { dtype, shape, rank } = inputOf(node, 0);
  if (rank < 3) throw new GraphError('needs x [batch, channels, …spatial]');
  return {
    dtype,
    shape: [...shape.slice(0, 2), ...windowCounts(node, shape.slice(2), kernelShape(node), isCeil(node))],
  };
}

/** All elements as a vector. */
const flat = (b: Builder, value: Value): Value => b.reshape(value, [-1]);

// --- MaxPool --------------------------------------------------------------------------------------------------------

/** Positions of the largest elements, counted through the whole tensor: the operator's own output, or computed anew. */
function positions(b: Builder, node: Node): Value {
  const [, own] = node.outputs;
  if (own && intAttribute(node, 'storage_order', 0) === 0) return own;
  const attributes: Attributes = { ...node.attributes, storage_order: int(0) };
  const [, indices] = b.node('MaxPool', node.inputs, attributes, { outputs: ['pooled', 'positions'] });
  return indices as Value; // two outputs are asked for
}

/** The cotangents go back to the largest elements; if several of a window are equal, to the first. */
function maxPoolGradient({ b, node, x, dy }: GradientContext): Value[] {
  const zeros = flat(b, b.zerosLike(x(0)));
  const indices = flat(b, positions(b, node));
  const sums = b.op('ScatterElements', [zeros, indices, flat(b, dy)], { axis: int(0), reduction: text('add') });
  return [b.reshapeLike(sums, x(0))];
}

// --- AveragePool ----------------------------------------------------------------------------------------------------

/** The means over the windows of one axis as a matrix [windows, size]. */
function meanMatrix(axis: WindowAxis, includePadding: boolean): AxisMatrix {
  return Array.from({ length: axis.count }, (_, window) => {
    const touched = Array.from(
      { length: axis.kernel },
      (_, k) => window * axis.stride - axis.before + k * axis.dilation,
    );
    const inside = touched.filter((position) => position >= 0 && position < axis.size);
    // The mean of a window that ceil_mode lets reach beyond the padding does not count what is beyond.
    const counted = touched.filter((position) => position < axis.size + axis.after).length;
    const weight = 1 / (includePadding ? counted : inside.length);
    return Array.from({ length: axis.size }, (_, position) => (inside.includes(position) ? weight : 0));
  });
}

function averagePoolGradient({ b, node, x, dy }: GradientContext): Value[] {
  const axes = windowAxes(node, x(0).dims.slice(2), kernelShape(node), isCeil(node));
  const includePadding = intAttribute(node, 'count_include_pad', 0) === 1;
  return [applyTransposed(b, dy, [undefined, undefined, ...axes.map((axis) => meanMatrix(axis, includePadding))])];
}

// --- Global pools ---------------------------------------------------------------------------------------------------

function inferGlobal(node: NodeDraft): TensorType[] {
  const { dtype, shape, rank } = inputOf(node, 0);
  if (rank < 3) throw new GraphError('needs x [batch, channels, …spatial]');
  return [{ dtype, shape: shape.map((size, axis) => (axis < 2 ? size : 1)) }];
}

/** One operation for each element of each window. */
const windowFlops = (node: Node): number => knownCount([...outputOf(node).shape, ...kernelShape(node)]);

const average = { linear: true, keepsClasses: true } as const;

export type PoolingOp = 'MaxPool' | 'AveragePool' | 'GlobalAveragePool' | 'GlobalMaxPool';

export const poolingOps: OpFamily<PoolingOp> = {
  MaxPool: {
    infer: (node) => {
      const pooled = pooledType(node);
      return [pooled, { dtype: 'int64', shape: pooled.shape }];
    },
    gradient: maxPoolGradient,
    flops: windowFlops,
    traits: { keepsClasses: true },
  },
  AveragePool: {
    infer: (node) => [pooledType(node)],
    gradient: averagePoolGradient,
    flops: windowFlops,
    traits: average,
  },
  GlobalAveragePool: {
    infer: inferGlobal,
    gradient: ({ b, x, dy }) => [b.expandLike(b.div(dy, b.sizeOf(x(0), spatialAxes(x(0)), dy.dtype)), x(0))],
    flops: oneForEachInput,
    traits: average,
  },
  // The elements that are the largest share the cotangent.
  GlobalMaxPool: {
    infer: inferGlobal,
    gradient: ({ b, x, y, dy }) => {
      const largest = b.equal(x(0), y);
      const count = b.sum(b.cast(largest, dy.dtype), spatialAxes(x(0)), true);
      return [b.where(largest, b.div(dy, count), 0)];
    },
    flops: oneForEachInput,
    traits: { keepsClasses: true },
  },
};
