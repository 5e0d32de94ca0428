// Linear maps that act on each spatial axis by a matrix: average pooling and interpolation, and their transposes.
import type { Value } from '../../graph/graph.js';
import { elementCount, tensorFrom } from '../../graph/tensor.js';
import type { Builder } from '../builder.js';

/** The matrix of one axis: `weights[output][input]`; undefined leaves the axis as it is. */
export type AxisMatrix = readonly (readonly number[])[] | undefined;

/**
 * Apply the transpose of the map that applies `matrices[i]` to axis i: for dy of the map's output shape the cotangent of its
 * input. The axes are contracted one after another, the last first, whose product needs no copies.
 */
export function applyTransposed(b: Builder, dy: Value, matrices: readonly AxisMatrix[]): Value {
  return matrices.reduceRight<Value>((value, matrix, axis) => {
    if (!matrix) return value;
    const [before, after] = [value.dims.slice(0, axis), value.dims.slice(axis + 1)];
    const [outputs, inputs] = [matrix.length, matrix[0]?.length ?? 0];
    const weights = (dims: readonly number[], elements: readonly (readonly number[])[]): Value =>
      b.constant(tensorFrom(dy.dtype, dims, elements.flat()));
    const [rows, columns] = [elementCount(before), elementCount(after)];
    const mapped =
      columns === 1
        ? b.matmul(b.reshape(value, [rows, outputs]), weights([outputs, inputs], matrix))
        : b.matmul(weights([inputs, outputs], transposed(matrix)), b.reshape(value, [rows, outputs, columns]));
    return b.reshape(mapped, [...before, inputs, ...after]);
  }, dy);
}

const transposed = (matrix: readonly (readonly number[])[]): number[][] =>
  (matrix[0] ?? []).map((_, column) => matrix.map((row) => row[column] ?? 0));
