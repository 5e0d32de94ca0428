// Element types and domains as ONNX files write them, shared by reader, writer and edits.
import { TensorProto_DataType } from 'onnx-buf';
import type { DataType } from '../graph/tensor.js';

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

/** Return the element type of a number; undefined for types that cgfac does not hold (strings, complex numbers, float8). */
export const dataTypeOf = (code: number): DataType | undefined => names.get(code);

/** Whether an attribute is an element type: a number in a file, and its name in a graph. */
export const isElementType = (op: string, attribute: string): boolean =>
  (op === 'Cast' && attribute === 'to') || (op === 'EyeLike' && attribute === 'dtype');

/** Whether a domain is that of ONNX's own operators. */
export const isOnnx = (domain: string): boolean => domain === '' || domain === 'ai.onnx';
