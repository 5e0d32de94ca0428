// The patches that a convolution's kernel sees (im2col), made of slices: what its weight gradient and its Kronecker
// factor are products of.

import type { Value } from '../../graph/graph.js';
import { elementCount } from '../../graph/tensor.js';
import type { Builder } from '../builder.js';
import { range } from '../shapes/shapes.js';
import { extent, type WindowAxis } from './windows.js';

/** Transpose the first two axes: [batch, channels, …] to [channels, batch, …]. A Reshape if one of them has size 1. */
export function channelsFirst(b: Builder, x: Value): Value {
  const [batch = 1, channels = 1, ...spatial] = x.dims;
  if (batch === 1 || channels === 1) return b.reshape(x, [channels, batch, ...spatial]);
  return b.transpose(x, [1, 0, ...range(2, x.rank)]);
}

/** Pad the spatial axes (all but the first two) with zeros. */
function padSpatial(b: Builder, x: Value, pads: readonly { before: number; after: number }[]): Value {
  if (pads.every(({ before, after }) => before === 0 && after === 0)) return x;
  const [before, after] = [pads.map((pad) => pad.before), pads.map((pad) => pad.after)];
  return b.op('Pad', [x, b.integers([0, 0, ...before, 0, 0, ...after])]);
}

/** The element at one offset of each window: a strided slice of a padded [·, ·, …spatial] of the windows' counts. */
function sliceAt(b: Builder, padded: Value, axes: readonly WindowAxis[], offset: readonly number[]): Value {
  const starts = axes.map(({ dilation }, i) => (offset[i] ?? 0) * dilation);
  const ends = axes.map(({ count, stride }, i) => (starts[i] ?? 0) + (count - 1) * stride + 1);
  const whole = axes.every(({ count }, i) => starts[i] === 0 && ends[i] === padded.dims[i + 2] && count === ends[i]);
  if (whole) return padded;
  const inputs = [starts, ends, axes.map((_, i) => i + 2), axes.map(({ stride }) => stride)];
  return b.op('Slice', [padded, ...inputs.map((values) => b.integers(values))]);
}

/** Return all offsets in a kernel, row by row. */
function offsets(axes: readonly WindowAxis[]): number[][] {
  return axes.reduce<number[][]>(
    (all, { kernel }) => all.flatMap((offset) => range(0, kernel).map((i) => [...offset, i])),
    [[]],
  );
}

/**
 * Return the patches as columns: `[channels · kernel area, batch · windows]` for `x: [batch, channels, …spatial]`. Made channels
 * first, so that the joining of the slices copies long runs and the product with them needs no transposition.
 */
export function patchColumns(b: Builder, x: Value, axes: readonly WindowAxis[]): Value {
  const [batch = 1, channels = 1] = x.dims;
  const columns = batch * elementCount(axes.map(({ count }) => count));
  const padded = padSpatial(b, channelsFirst(b, x), axes);
  const slices = offsets(axes).map((offset) => b.reshape(sliceAt(b, padded, axes, offset), [channels, 1, columns]));
  return b.reshape(b.concat(slices, 1), [channels * slices.length, columns]);
}

/**
 * Return the patches that a kernel sees: `[batch · windows, channels · kernel area]`, the columns in the order of
 * `weight.reshape(outputs, -1)`, so that `patches · weightᵀ` is the convolution, rows in the order (batch, …spatial).
 * With groups, the channels of each group separately: `[groups, batch · windows, channels per group · kernel area]`.
 */
export function patches(b: Builder, x: Value, axes: readonly WindowAxis[], groups = 1): Value {
  const columns = patchColumns(b, x, axes);
  const [rows = 1, count = 1] = columns.dims;
  return b.transposeMatrices(groups === 1 ? columns : b.reshape(columns, [groups, rows / groups, count]));
}

/**
 * Return a convolution's weight gradient as sums over batch and windows of products of shifts, `[outputs, channels, …kernel]`, for two spatial axes and stride 1.
 * Rows are shifted on the output gradient and columns on the input: kernel height + kernel width copies in place of
 * their product, and one product over all combinations.
 * @param dy `[batch, outputs, …windows]`
 */
export function weightGradientByShifts(
  b: Builder,
  x: Value,
  dy: Value,
  [rows, columns]: readonly [WindowAxis, WindowAxis],
): Value {
  const [batch = 1, channels = 1, outputs = 1] = [...x.dims.slice(0, 2), dy.dims[1] ?? 1];
  const height = rows.count + extent(rows) - 1;
  const length = batch * height * columns.count;
  const padded = padSpatial(b, channelsFirst(b, x), [rows, columns]);
  const wholeRows = { ...rows, kernel: 1, count: height };
  const inputs = range(0, columns.kernel).map((j) =>
    b.reshape(sliceAt(b, padded, [wholeRows, columns], [0, j]), [channels, 1, length]),
  );
  const cotangent = channelsFirst(b, dy);
  const gradients = range(0, rows.kernel).map((i) => {
    const before = i * rows.dilation;
    const shifted = padSpatial(b, cotangent, [
      { before, after: height - rows.count - before },
      { before: 0, after: 0 },
    ]);
    return b.reshape(shifted, [outputs, 1, length]);
  });
  const left = b.reshape(b.concat(gradients, 1), [outputs * rows.kernel, length]);
  const right = b.reshape(b.concat(inputs, 1), [channels * columns.kernel, length]);
  const products = b.gemm(left, right, undefined, { transposeY: true });
  const apart = b.reshape(products, [outputs, rows.kernel, channels, columns.kernel]);
  return b.transpose(apart, [0, 2, 1, 3]);
}

/** Return the elements that `patchColumns` and `weightGradientByShifts` copy, beside those that both do: their times follow. */
export function copiesOf(channels: number, outputs: number, axes: readonly WindowAxis[]) {
  const windows = elementCount(axes.map(({ count }) => count));
  const [rows, columns] = axes;
  const byPatches = channels * elementCount(axes.map(({ kernel }) => kernel)) * windows;
  if (!rows || !columns || axes.length !== 2 || axes.some(({ stride }) => stride !== 1)) {
    return { byPatches, byShifts: Number.POSITIVE_INFINITY };
  }
  const height = rows.count + extent(rows) - 1;
  return { byPatches, byShifts: (channels * columns.kernel + outputs * rows.kernel) * height * columns.count };
}
