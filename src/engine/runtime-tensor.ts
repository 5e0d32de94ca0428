// Converts between cgfac's tensors and ONNX Runtime's, without copying elements.
import type { InferenceSession, Tensor } from 'onnxruntime-common';
import { UnsupportedError } from '../errors.js';
import { bitsOf, isDataType, type TensorData, type TypedArray } from '../graph/tensor.js';

/** The part of the runtime that is used: of `onnxruntime-node` and `onnxruntime-web`. */
export interface OnnxRuntime {
  readonly InferenceSession: {
    create(bytes: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly env: { readonly versions: { readonly common: string; readonly node?: string; readonly web?: string } };
  readonly Tensor: new (type: Tensor.Type, data: TypedArray, dims: readonly number[]) => Tensor;
}

/** Return the runtime's tensor. @throws UnsupportedError for bfloat16, which ONNX Runtime does not take from JavaScript */
export function toRuntime(ort: OnnxRuntime, { dtype, dims, data }: TensorData, where: string): Tensor {
  if (dtype === 'bfloat16') {
    throw new UnsupportedError(`${where} is bfloat16, which ONNX Runtime does not take from JavaScript: use float32`);
  }
  const value = new ort.Tensor(dtype, data, dims);
  return dtype === 'float16' ? asBits(value) : value;
}

/** Return cgfac's tensor. The elements must be in JavaScript's memory. */
export function fromRuntime({ type, dims, data }: Tensor, where: string): TensorData {
  if (!isDataType(type)) throw new UnsupportedError(`${where} has elements of type ${type}, which cgfac does not hold`);
  return { dtype: type, dims, data: type === 'float16' ? bitsOf(data as Uint16Array) : (data as TypedArray) };
}

/**
 * Return the tensor with its float16 elements as their bits, which the runtime takes everywhere. If JavaScript has
 * Float16Array (Node 24), onnxruntime-common holds the elements in it, and onnxruntime-node does not know that class.
 */
export function asBits(value: Tensor): Tensor {
  return Object.defineProperty(value, 'data', { value: bitsOf(value.data as Uint16Array) });
}
