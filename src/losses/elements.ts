// Helpers of losses that are means over the elements of outputs: sizes, and diagonal Hessians.
import type { TensorType, Value } from '../graph/graph.js';
import { elementCount, tensorFrom } from '../graph/tensor.js';
import type { Builder } from '../ops/builder.js';

export const elementsPerExample = (output: Value): number => elementCount(output.dims.slice(1));

export const examplesOf = (output: Value): number => output.dims[0] ?? 1;

/** Return the output's type: targets have the same. */
export const asOutput = (output: TensorType): TensorType => output;

export const dimsOf = (output: Value): readonly number[] => output.dims;

/** Return the columns of the square root of a diagonal Hessian: one for each output of an example. */
export function diagonalRoot(b: Builder, output: Value, root: Value): readonly Value[] {
  const width = elementsPerExample(output);
  return Array.from({ length: width }, (_, k) => {
    const unit = Array.from({ length: width }, (_, i) => Number(i === k));
    return b.mul(root, b.constant(tensorFrom(output.dtype, output.dims.slice(1), unit)));
  });
}
