// Conv and ConvTranspose: each is the other's input gradient, and both weight gradients are products with patches.

import { GraphError } from '../../errors.js';
import {
  type Dimension,
  inputOf,
  intAttribute,
  intsAttribute,
  type Node,
  outputOf,
  type TensorType,
  type Value,
} from '../../graph/graph.js';
import { elementCount } from '../../graph/tensor.js';
import type { GradientContext, NodeDraft, OpFamily } from '../definition.js';
import { formatShape, knownCount, range } from '../shapes/shapes.js';
import { convolve, inputGradient, weightGradient, weightGradientByConv } from './convolution-gradients.js';
import {
  explicitPads,
  extent,
  paddingRule,
  perAxis,
  sharePadding,
  type WindowAxis,
  windowAxes,
  windowCounts,
} from './windows.js';

const groupsOf = (node: NodeDraft): number => intAttribute(node, 'group', 1);

/** Return the operands of either operator and the kernel of the weight `[·, ·, …kernel]`. @throws GraphError if they do not fit */
function operands(node: NodeDraft): { x: Value; w: Value; kernel: readonly number[] } {
  const [x, w] = [inputOf(node, 0), inputOf(node, 1)];
  if (x.rank < 3 || w.rank !== x.rank) {
    throw new GraphError('needs x [batch, channels, …spatial] and a weight of equal rank');
  }
  if (x.dtype !== w.dtype) throw new GraphError(`mixes ${x.dtype} and ${w.dtype}; cast one of them`);
  const kernel = w.dims.slice(2);
  const declared = intsAttribute(node, 'kernel_shape');
  if (declared && declared.join() !== kernel.join()) {
    throw new GraphError(`kernel_shape [${declared.join(', ')}] differs from the weight's ${formatShape(w.shape)}`);
  }
  return { x, w, kernel };
}

function checkChannels(x: Value, channels: number, groups: number, outputs: number, bias: Value | undefined): void {
  const given = x.shape[1];
  if (typeof given === 'number' && given !== channels) {
    throw new GraphError(`the weight reads ${channels} channels in ${groups} groups; the input has ${given}`);
  }
  if (channels % groups !== 0 || outputs % groups !== 0) {
    throw new GraphError(`${channels} input and ${outputs} output channels do not divide into ${groups} groups`);
  }
  if (bias && formatShape(bias.shape) !== formatShape([outputs])) {
    throw new GraphError(`the bias is ${formatShape(bias.shape)}, not [${outputs}]`);
  }
}

function inferConv(node: NodeDraft): TensorType[] {
  const { x, w, kernel } = operands(node);
  const [outputs = 1, perGroup = 1] = w.dims;
  checkChannels(x, perGroup * groupsOf(node), groupsOf(node), outputs, node.inputs[2]);
  return [{ dtype: x.dtype, shape: [x.shape[0] ?? 1, outputs, ...windowCounts(node, x.shape.slice(2), kernel)] }];
}

/** Return the windows of the convolution that a ConvTranspose is the adjoint of: its input is the node's output. */
export function adjointAxes(node: NodeDraft, counts: readonly number[], kernel: readonly number[]): WindowAxis[] {
  const rank = counts.length;
  const strides = perAxis(node, 'strides', rank, 1);
  const dilations = perAxis(node, 'dilations', rank, 1);
  const extra = perAxis(node, 'output_padding', rank, 0);
  const pads = explicitPads(node, rank);
  const rule = paddingRule(node);
  const sizes = intsAttribute(node, 'output_shape')?.slice(-rank);
  return counts.map((count, i) => {
    const axis = { count, kernel: kernel[i] ?? 1, stride: strides[i] ?? 1, dilation: dilations[i] ?? 1 };
    if ((extra[i] ?? 0) >= axis.stride) {
      throw new GraphError(`output_padding [${extra.join(', ')}] is not below the strides, as the runtime demands`);
    }
    const full = (count - 1) * axis.stride + extent(axis) + (extra[i] ?? 0);
    const same = rule === 'SAME_UPPER' || rule === 'SAME_LOWER';
    const wanted = sizes?.[i] ?? (same ? count * axis.stride : undefined);
    if (wanted === undefined) {
      const pad = rule === 'VALID' ? { before: 0, after: 0 } : (pads[i] ?? { before: 0, after: 0 });
      return { ...axis, ...pad, size: full - pad.before - pad.after };
    }
    if (wanted > full) throw new GraphError(`spatial axis ${i} of ${full} elements cannot have ${wanted}`);
    return { ...axis, ...sharePadding(full - wanted, rule !== 'SAME_UPPER'), size: wanted };
  });
}

function inferConvTranspose(node: NodeDraft): TensorType[] {
  const { x, w, kernel } = operands(node);
  const [channels = 1, perGroup = 1] = w.dims;
  const outputs = perGroup * groupsOf(node);
  checkChannels(x, channels, groupsOf(node), outputs, node.inputs[2]);
  const spatial = x.shape.slice(2);
  const known = adjointAxes(
    node,
    spatial.map((count) => (typeof count === 'number' ? count : 1)),
    kernel,
  );
  const sizes = known.map((axis, i): Dimension => {
    const count = spatial[i] ?? 1;
    if (typeof count === 'number') return axis.size;
    return `spread(${count},${[axis.kernel, axis.stride, axis.dilation, axis.before, axis.after].join()})`;
  });
  return [{ dtype: x.dtype, shape: [x.shape[0] ?? 1, outputs, ...sizes] }];
}

const biasGradient = ({ b, dy }: GradientContext): Value => b.sum(dy, [0, ...range(2, dy.rank)]);

function convGradient(context: GradientContext): (Value | undefined)[] {
  const { b, node, x, dy } = context;
  const groups = groupsOf(node);
  const axes = windowAxes(node, x(0).dims.slice(2), x(1).dims.slice(2));
  const cotangents = [inputGradient(b, dy, x(1), axes, groups), weightGradient(b, x(0), dy, axes, groups)];
  return node.inputs[2] ? [...cotangents, biasGradient(context)] : cotangents;
}

/** y = Cᵀx for the convolution C of the same weight: dx = C dy, and x and dy change their roles in the weight gradient. */
function convTransposeGradient(context: GradientContext): (Value | undefined)[] {
  const { b, node, x, dy } = context;
  const groups = groupsOf(node);
  const axes = adjointAxes(node, x(0).dims.slice(2), x(1).dims.slice(2));
  // As a Conv also because forward mode differentiates it by dy: patches of dy would be added up one by one.
  const cotangents = [convolve(b, dy, x(1), axes, groups), weightGradientByConv(b, dy, x(0), axes, groups)];
  return node.inputs[2] ? [...cotangents, biasGradient(context)] : cotangents;
}

/** Two for each multiply-add: each position of `windows` meets the kernel once. */
function flopsOver(windows: Value, node: Node): number {
  const positions = [windows.shape[0] ?? 1, ...windows.shape.slice(2)];
  return 2 * elementCount(inputOf(node, 1).dims) * knownCount(positions);
}

const layer = { appliesWeights: true, linear: true } as const;

export type ConvolutionOp = 'Conv' | 'ConvTranspose';

export const convolutionOps: OpFamily<ConvolutionOp> = {
  Conv: { infer: inferConv, gradient: convGradient, flops: (node) => flopsOver(outputOf(node), node), traits: layer },
  ConvTranspose: {
    infer: inferConvTranspose,
    gradient: convTransposeGradient,
    flops: (node) => flopsOver(inputOf(node, 0), node),
    traits: layer,
  },
};
