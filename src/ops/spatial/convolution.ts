// Conv and ConvTranspose: each is the other's input gradient, and both weight gradients are products with patches.

import { GraphError } from '../../errors.js';
import {
  type Attributes,
  type Dimension,
  inputOf,
  int,
  intAttribute,
  ints,
  intsAttribute,
  type Node,
  outputOf,
  type TensorType,
  type Value,
} from '../../graph/graph.js';
import { elementCount } from '../../graph/tensor.js';
import type { Builder } from '../builder.js';
import type { GradientContext, NodeDraft, OpFamily } from '../definition.js';
import { formatShape } from '../shapes/shapes.js';
import { channelsFirst, copiesOf, patchColumns, weightGradientByShifts } from './patches.js';
import {
  explicitPads,
  extent,
  leftover,
  paddingRule,
  perAxis,
  sharePadding,
  type WindowAxis,
  windowAxes,
  windowCounts,
} from './windows.js';

export { patches, weightGradientByShifts } from './patches.js';

const groupsOf = (node: NodeDraft): number => intAttribute(node, 'group', 1);

/** Checks what both directions share; the weight is `[·, ·, …kernel]` and has to be known. */
function operands(node: NodeDraft): { x: Value; w: Value; kernel: readonly number[] } {
  const [x, w] = [inputOf(node, 0), inputOf(node, 1)];
  if (x.rank < 3 || w.rank !== x.rank) {
    throw new GraphError(`wants x [batch, channels, …spatial] and a weight of equal rank`);
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

/** The windows of the convolution that a ConvTranspose is the adjoint of: its input is the node's output. */
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
      throw new GraphError(`output_padding [${extra.join(', ')}] is not below the strides, as the runtime wants it`);
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

const attributesOf = (axes: readonly WindowAxis[], groups: number): Record<string, Attributes[string]> => ({
  strides: ints(axes.map(({ stride }) => stride)),
  dilations: ints(axes.map(({ dilation }) => dilation)),
  pads: ints([...axes.map(({ before }) => before), ...axes.map(({ after }) => after)]),
  group: int(groups),
});

function convolve(b: Builder, x: Value, w: Value, axes: readonly WindowAxis[], groups: number): Value {
  const y = b.op('Conv', [x, w], attributesOf(axes, groups));
  // With batch and channels exchanged, elements behind the last window give windows that the kernel does not have.
  return axes.reduce((cropped, { count }, i) => b.slice(cropped, i + 2, 0, count), y);
}

/** The input gradient as ConvTranspose: a product per image, its columns added up where they overlap. */
export function inputGradientByTranspose(
  b: Builder,
  dy: Value,
  w: Value,
  axes: readonly WindowAxis[],
  groups: number,
): Value {
  return b.op('ConvTranspose', [dy, w], { ...attributesOf(axes, groups), output_padding: ints(axes.map(leftover)) });
}

/** The input gradient for stride 1 as a Conv of the output gradient with the flipped kernel, channels exchanged. */
export function inputGradientByConv(
  b: Builder,
  dy: Value,
  w: Value,
  axes: readonly WindowAxis[],
  groups: number,
): Value {
  const [outputs = 1, channels = 1, ...kernel] = w.dims;
  const area = elementCount(kernel);
  const reversed = b.integers(Array.from({ length: area }, (_, i) => area - 1 - i));
  const flat = b.reshape(w, [groups, outputs / groups, channels, area]);
  const flipped = area === 1 ? flat : b.gather(flat, reversed, 3);
  const exchanged = b.reshape(b.transpose(flipped, [0, 2, 1, 3]), [groups * channels, outputs / groups, ...kernel]);
  const reach = axes.map((axis) => ({
    ...axis,
    size: axis.count,
    count: axis.size,
    before: extent(axis) - 1 - axis.before,
    after: extent(axis) - 1 - axis.after + leftover(axis),
  }));
  return convolve(b, dy, exchanged, reach, groups);
}

/**
 * The cotangent of a convolution's input. Both ways unfold the kernel over one side's channels and positions; the Conv
 * does so over the input's positions and the output's channels, and is taken where that is not the larger.
 */
function inputGradient(b: Builder, dy: Value, w: Value, axes: readonly WindowAxis[], groups: number): Value {
  const [outputs = 1, perGroup = 1] = w.dims;
  const fits = axes.every(
    (axis) => axis.stride === 1 && axis.before < extent(axis) && axis.after < extent(axis) + leftover(axis),
  );
  const byConv = outputs * elementCount(axes.map(({ size }) => size));
  const byTranspose = groups * perGroup * elementCount(axes.map(({ count }) => count));
  return fits && byConv <= 1.3 * byTranspose
    ? inputGradientByConv(b, dy, w, axes, groups)
    : inputGradientByTranspose(b, dy, w, axes, groups);
}

/** `[outputs, channels per group, …kernel]` by products with patches, for any geometry. */
export function weightGradientByPatches(
  b: Builder,
  x: Value,
  dy: Value,
  axes: readonly WindowAxis[],
  groups: number,
): Value {
  const [outputs = 1, channels = 1] = [dy.dims[1] ?? 1, x.dims[1] ?? 1];
  const shape = [outputs, channels / groups, ...axes.map(({ kernel }) => kernel)];
  const columns = patchColumns(b, x, axes);
  const [rows = 1, length = 1] = columns.dims;
  const slopes = b.reshape(channelsFirst(b, dy), [outputs, length]);
  if (groups === 1) return b.reshape(b.gemm(slopes, columns, undefined, { transposeY: true }), shape);
  const left = b.reshape(slopes, [groups, outputs / groups, length]);
  const right = b.reshape(columns, [groups, rows / groups, length]);
  return b.reshape(b.matmul(left, b.transposeMatrices(right)), shape);
}

/** The weight gradient of a kernel of one element: a product for each image, summed. */
export function weightGradientByImages(b: Builder, x: Value, dy: Value, axes: readonly WindowAxis[]): Value {
  const [batch = 1, outputs = 1] = dy.dims;
  const channels = x.dims[1] ?? 1;
  const windows = elementCount(axes.map(({ count }) => count));
  const ends = axes.map(({ count, stride }) => (count - 1) * stride + 1);
  const spatial = axes.map((_, i) => i + 2);
  const strided = axes.some(({ size, count }) => size !== count);
  const steps = axes.map(({ stride }) => stride);
  const chosen = strided
    ? b.op('Slice', [x, b.integers(ends.map(() => 0)), b.integers(ends), b.integers(spatial), b.integers(steps)])
    : x;
  const columns = b.transposeMatrices(b.reshape(chosen, [batch, channels, windows]));
  const products = b.matmul(b.reshape(dy, [batch, outputs, windows]), columns);
  return b.reshape(b.sum(products, [0]), [outputs, channels, ...axes.map(() => 1)]);
}

/** The weight gradient as one Conv: batch and channels change places, and so do strides and dilations. */
export function weightGradientByConv(
  b: Builder,
  x: Value,
  dy: Value,
  axes: readonly WindowAxis[],
  groups: number,
): Value {
  const [batch = 1, channels = 1, ...sizes] = x.dims;
  const [outputs, counts] = [dy.dims[1] ?? 1, dy.dims.slice(2)];
  const perGroup = channels / groups;
  const order = axes.map((_, i) => i + 3);
  const byGroup = b.transpose(b.reshape(x, [batch, groups, perGroup, ...sizes]), [2, 1, 0, ...order]);
  const images = b.reshape(byGroup, [perGroup, groups * batch, ...sizes]);
  const kernels = b.reshape(channelsFirst(b, dy), [outputs, batch, ...counts]);
  const swapped = axes.map((axis) => ({
    ...axis,
    kernel: axis.count,
    count: axis.kernel,
    stride: axis.dilation,
    dilation: axis.stride,
  }));
  return channelsFirst(b, convolve(b, images, kernels, swapped, groups));
}

/** The cotangent of a convolution's weight; docs/decisions.md has the measurements behind the choice. */
function weightGradient(b: Builder, x: Value, dy: Value, axes: readonly WindowAxis[], groups: number): Value {
  const [outputs = 1, channels = 1] = [dy.dims[1] ?? 1, x.dims[1] ?? 1];
  if (groups > 1) return weightGradientByPatches(b, x, dy, axes, groups);
  const windows = elementCount(axes.map(({ count }) => count));
  const pointwise = axes.every(({ kernel, before, after }) => kernel === 1 && before === 0 && after === 0);
  // A product for each image saves transpositions of both tensors and costs a weight for each image.
  if (pointwise && outputs * channels <= (outputs + channels) * windows) return weightGradientByImages(b, x, dy, axes);
  const { byPatches, byShifts } = copiesOf(channels, outputs, axes);
  const [rows, columns] = axes;
  return rows && columns && byShifts <= 1.05 * byPatches
    ? weightGradientByShifts(b, x, dy, [rows, columns])
    : weightGradientByPatches(b, x, dy, axes, groups);
}

const biasGradient = ({ b, dy }: GradientContext): Value =>
  b.sum(
    dy,
    Array.from({ length: dy.rank }, (_, axis) => axis).filter((axis) => axis !== 1),
  );

function convGradient(context: GradientContext): (Value | undefined)[] {
  const { b, node, x, dy } = context;
  const groups = groupsOf(node);
  const axes = windowAxes(node, x(0).dims.slice(2), x(1).dims.slice(2));
  const slopes = [inputGradient(b, dy, x(1), axes, groups), weightGradient(b, x(0), dy, axes, groups)];
  return node.inputs[2] ? [...slopes, biasGradient(context)] : slopes;
}

/** y = Cᵀx for the convolution C of the same weight: dx = C dy, and x and dy change their roles in the weight gradient. */
function convTransposeGradient(context: GradientContext): (Value | undefined)[] {
  const { b, node, x, dy } = context;
  const groups = groupsOf(node);
  const axes = adjointAxes(node, x(0).dims.slice(2), x(1).dims.slice(2));
  // As a Conv also because forward mode differentiates it by dy: patches of dy would be added up one by one.
  const slopes = [convolve(b, dy, x(1), axes, groups), weightGradientByConv(b, dy, x(0), axes, groups)];
  return node.inputs[2] ? [...slopes, biasGradient(context)] : slopes;
}

/** Two for each multiply-add: each position of `windows` meets the kernel once. */
function flopsOver(windows: Value, node: Node): number {
  const [first = 1, ...others] = inputOf(node, 1).dims;
  const positions = [windows.shape[0] ?? 1, ...windows.shape.slice(2)];
  return (
    2 * first * elementCount(others) * elementCount(positions.map((size) => (typeof size === 'number' ? size : 1)))
  );
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
