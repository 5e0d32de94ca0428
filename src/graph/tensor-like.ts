// Tensors as users give them: cgfac's own, or ONNX Runtime's, recognized by their fields and not by their class, as each
// copy of onnxruntime-common has a class of its own.
import { OptionError } from '../errors.js';
import { described, isRecord } from '../options.js';
import { bitsOf, isDataType, type TensorData, type TypedArray, tensor } from './tensor.js';

/** What `Tensor` of onnxruntime-common, onnxruntime-node and onnxruntime-web looks like. */
export interface RuntimeTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: unknown;
}

/** A tensor: cgfac's `{ dtype, dims, data }`, or ONNX Runtime's `{ type, dims, data }`. */
export type TensorLike = TensorData | RuntimeTensor;

/** Whether a value is meant to be a tensor; `toTensorData` reports what is wrong with it. */
export const isTensorLike = (value: unknown): value is TensorLike =>
  isRecord(value) && Array.isArray(value.dims) && 'data' in value;

/**
 * Return the tensor as plain data, without copying elements.
 * @param what names the tensor in messages: `input 'x'`
 * @throws OptionError if it is not a tensor; GraphError if its elements do not fit its shape or element type
 */
export function toTensorData(value: TensorLike, what: string): TensorData {
  const given: unknown = value;
  if (!isTensorLike(given)) {
    throw new OptionError(
      `${what} is ${described(given)}; give a tensor: { dtype: 'float32', dims, data: new Float32Array(…) }, or one of ONNX Runtime`,
    );
  }
  const dtype: unknown = 'dtype' in given ? given.dtype : given.type;
  if (typeof dtype !== 'string' || !isDataType(dtype)) {
    throw new OptionError(`${what} is a tensor of ${String(dtype)}, which models do not take`);
  }
  const { data } = given;
  if (!ArrayBuffer.isView(data) || data instanceof DataView) {
    throw new OptionError(`the elements of ${what} are ${described(data)}; give them in a typed array`);
  }
  return tensor(dtype, given.dims, dtype === 'float16' ? bitsOf(data) : (data as TypedArray)); // `tensor` checks its class
}
