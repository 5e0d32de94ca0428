// The gradients of a convolution by its input and by its weight, each in the ways that are fastest on some shapes.
import { type Attributes, int, ints, type Value } from '../../graph/graph.js';
import { elementCount } from '../../graph/tensor.js';
import type { Builder } from '../builder.js';
import { channelsFirst, copiesOf, patchColumns, weightGradientByShifts } from './patches.js';
import { extent, leftover, type WindowAxis } from './windows.js';

const attributesOf = (axes: readonly WindowAxis[], groups: number): Record<string, Attributes[string]> => ({
  strides: ints(axes.map(({ stride }) => stride)),
  dilations: ints(axes.map(({ dilation }) => dilation)),
  pads: ints([...axes.map(({ before }) => before), ...axes.map(({ after }) => after)]),
  group: int(groups),
});

/** Return the convolution of x with a weight by given windows. */
export function convolve(b: Builder, x: Value, w: Value, axes: readonly WindowAxis[], groups: number): Value {
  const y = b.op('Conv', [x, w], attributesOf(axes, groups));
  // With batch and channels transposed, elements after the last window give windows that the kernel does not have.
  return axes.reduce((cropped, { count }, i) => b.slice(cropped, i + 2, 0, count), y);
}

/** Return the input gradient as ConvTranspose: a product for each image, whose overlapping columns are added up. */
export function inputGradientByTranspose(
  b: Builder,
  dy: Value,
  w: Value,
  axes: readonly WindowAxis[],
  groups: number,
): Value {
  return b.op('ConvTranspose', [dy, w], { ...attributesOf(axes, groups), output_padding: ints(axes.map(leftover)) });
}

/** Return the input gradient for stride 1 as a Conv of the output gradient with the flipped kernel, channels transposed. */
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
  const transposed = b.reshape(b.transpose(flipped, [0, 2, 1, 3]), [groups * channels, outputs / groups, ...kernel]);
  const reach = axes.map((axis) => ({
    ...axis,
    size: axis.count,
    count: axis.size,
    before: extent(axis) - 1 - axis.before,
    after: extent(axis) - 1 - axis.after + leftover(axis),
  }));
  return convolve(b, dy, transposed, reach, groups);
}

/**
 * Return the cotangent of a convolution's input. Both ways unfold the kernel over one side's channels and positions; the
 * Conv does so over the input's positions and the output's channels, and is taken if that is not much larger.
 */
export function inputGradient(b: Builder, dy: Value, w: Value, axes: readonly WindowAxis[], groups: number): Value {
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

/** Return the weight gradient `[outputs, channels per group, …kernel]` by products with patches, for any geometry. */
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
  const cotangent = b.reshape(channelsFirst(b, dy), [outputs, length]);
  if (groups === 1) return b.reshape(b.gemm(cotangent, columns, undefined, { transposeY: true }), shape);
  const left = b.reshape(cotangent, [groups, outputs / groups, length]);
  const right = b.reshape(columns, [groups, rows / groups, length]);
  return b.reshape(b.matmul(left, b.transposeMatrices(right)), shape);
}

/** Return the weight gradient of a kernel of one element: a product for each image, summed. */
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

/** Return the weight gradient as one Conv: batch and channels are transposed, strides and dilations swapped. */
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

/** Return the cotangent of a convolution's weight; docs/decisions.md has the measurements behind the choice. */
export function weightGradient(b: Builder, x: Value, dy: Value, axes: readonly WindowAxis[], groups: number): Value {
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
