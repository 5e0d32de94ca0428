// The numbers ONNX files use for element types, and their protobuf messages for tensors, shared by reader and writer.
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type TensorProto, TensorProto_DataType, TensorProtoSchema } from 'onnx-buf';
import type { DataType, TensorData } from '../graph/tensor.js';

const codes: Readonly<Record<DataType, TensorProto_DataType>> = {
  float32: TensorProto_DataType.FLOAT,
  float64: TensorProto_DataType.DOUBLE,
  float16: TensorProto_DataType.FLOAT16,
  bfloat16: TensorProto_DataType.BFLOAT16,
  int8: TensorProto_DataType.INT8,
  int16: TensorProto_DataType.INT16,
  int32: TensorProto_DataType.INT32,
  int64: TensorProto_DataType.INT64,
  uint8: TensorProto_DataType.UINT8,
  uint16: TensorProto_DataType.UINT16,
  uint32: TensorProto_DataType.UINT32,
  uint64: TensorProto_DataType.UINT64,
  bool: TensorProto_DataType.BOOL,
};

const names = new Map(Object.entries(codes).map(([name, code]) => [code, name as DataType]));

export const onnxCode = (dtype: DataType): TensorProto_DataType => codes[dtype];
/** Undefined for element types that cgfac does not hold (strings, complex numbers, float8). */
export const dataTypeOf = (code: number): DataType | undefined => names.get(code);

/** Whether an attribute is an element type: a number in a file, and its name in a graph. */
export const isElementType = (op: string, attribute: string): boolean =>
  (op === 'Cast' && attribute === 'to') || (op === 'EyeLike' && attribute === 'dtype');

/** Elements as the little-endian bytes of `raw_data`; every platform that runs JavaScript today is little-endian. */
export function encodeTensor(value: TensorData, name = ''): TensorProto {
  const bytes = new Uint8Array(value.data.byteLength);
  bytes.set(new Uint8Array(value.data.buffer, value.data.byteOffset, value.data.byteLength));
  const message: MessageInitShape<typeof TensorProtoSchema> = {
    name,
    dataType: onnxCode(value.dtype),
    dims: value.dims.map(BigInt),
    rawData: bytes,
  };
  return create(TensorProtoSchema, message);
}
