// Writes tensors as the messages of ONNX files, their elements raw.
import { clearField, create } from '@bufbuild/protobuf';
import { type TensorProto, TensorProtoSchema } from 'onnx-buf';
import type { TensorData } from '../../graph/tensor.js';
import { shallowCopy } from '../message-copy.js';
import { onnxCode } from '../types.js';

/** Return the message of a tensor. */
export const encodeTensor = (value: TensorData, name = ''): TensorProto =>
  create(TensorProtoSchema, { name, ...fieldsOf(value) });

/** Return the tensor of a file with other elements; its name and documentation stay. */
export function withElements(proto: TensorProto, value: TensorData): TensorProto {
  const typed = { floatData: [], doubleData: [], int32Data: [], int64Data: [], uint64Data: [] };
  const copy = shallowCopy<TensorProto>(proto, { ...fieldsOf(value), ...typed, externalData: [] });
  clearField(copy, TensorProtoSchema.field.dataLocation);
  return copy;
}

/** Return the fields of a tensor's message. `raw_data` is little-endian, as every platform that runs JavaScript today is. */
function fieldsOf({ dtype, dims, data }: TensorData) {
  const rawData = new Uint8Array(data.byteLength);
  rawData.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return { dataType: onnxCode(dtype), dims: dims.map(BigInt), rawData };
}
