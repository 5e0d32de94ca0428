// Reads the tensors of ONNX files into typed arrays, whether the file has the elements raw, typed or in another file.
// Every size is checked against the bytes that are there before anything is allocated.
import { TensorProto_DataLocation as DataLocation, type TensorProto, TensorProto_DataType } from 'onnx-buf';
import { FileError, UnsupportedError } from '../../errors.js';
import { allocate, bytesPerElement, type DataType, elementCount, type TensorData, tensor } from '../../graph/tensor.js';
import { dataTypeOf } from '../types.js';

/**
 * Read `length` bytes at `offset` of a file that a model refers to by its relative location.
 * @throws FileError if the location leaves the model's folder or the file is shorter
 */
export type ReadExternal = (location: string, offset: number, length: number) => Uint8Array;

/** Return the tensor of a message. @throws FileError, UnsupportedError (for the element type), both naming the tensor */
export function decodeTensor(proto: TensorProto, readExternal?: ReadExternal): TensorData {
  const where = `tensor '${proto.name}'`;
  const dtype = elementTypeOf(proto.dataType, where);
  const dims = proto.dims.map((size) => checkedSize(size, where));
  const count = elementCount(dims);
  if (!Number.isSafeInteger(count * bytesPerElement(dtype))) {
    throw new FileError(`${where} of shape [${dims.join(', ')}] is larger than any file; the model file is damaged`);
  }
  if (proto.segment) throw new FileError(`${where} is stored in segments, which no ONNX runtime reads; save it whole`);
  const bytes = count * bytesPerElement(dtype);
  if (proto.dataLocation === DataLocation.EXTERNAL) {
    return tensor(dtype, dims, fromBytes(dtype, count, externalBytes(proto, bytes, where, readExternal)));
  }
  if (proto.rawData.length > 0 || count === 0) {
    if (proto.rawData.length !== bytes) throw wrongLength(where, dtype, dims, `${bytes} bytes`, proto.rawData.length);
    return tensor(dtype, dims, fromBytes(dtype, count, proto.rawData));
  }
  const elements = typedElements(proto, dtype);
  if (elements.length !== count) throw wrongLength(where, dtype, dims, `${count} elements`, elements.length);
  return tensor(dtype, dims, fromElements(dtype, elements));
}

/** Return the element type of an ONNX number. @throws FileError, UnsupportedError if cgfac has none for it */
export function elementTypeOf(code: number, where: string): DataType {
  const dtype = dataTypeOf(code);
  if (dtype) return dtype;
  const name = TensorProto_DataType[code];
  if (name === undefined || code === 0) {
    throw new FileError(`${where} has the element type ${code}, which ONNX does not define`);
  }
  throw new UnsupportedError(`${where} has elements of type ${name.toLowerCase()}, which cgfac does not read`);
}

/** Return a size of a file as a number. @throws FileError if it is negative, or too large to count with */
export function checkedSize(size: bigint, where: string): number {
  if (size < 0n || size > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new FileError(`${where} has a dimension of size ${size}; the model file is damaged`);
  }
  return Number(size);
}

/** The place of an external tensor's bytes. */
function externalRange(proto: TensorProto): { location: string; offset: number; length: number | undefined } {
  const where = `tensor '${proto.name}'`;
  const entries = new Map(proto.externalData.map(({ key, value }) => [key, value]));
  const integer = (key: string): number | undefined => {
    const value = entries.get(key);
    if (value === undefined || value === '') return undefined;
    if (!/^\d{1,15}$/.test(value)) {
      throw new FileError(`${where}: the ${key} '${value}' of its external data is not a number of bytes`);
    }
    return Number(value);
  };
  const location = entries.get('location');
  if (!location) throw new FileError(`${where} is in another file, but its location is not given`);
  return { location, offset: integer('offset') ?? 0, length: integer('length') };
}

function externalBytes(proto: TensorProto, bytes: number, where: string, readExternal?: ReadExternal): Uint8Array {
  const { location, offset, length } = externalRange(proto);
  if (length !== undefined && length !== bytes) {
    throw new FileError(`${where} needs ${bytes} bytes of external data, but the model declares ${length}`);
  }
  if (!readExternal) {
    throw new FileError(`${where} is in the file '${location}' beside the model: load the model by its path`);
  }
  return readExternal(location, offset, bytes);
}

const wrongLength = (where: string, dtype: DataType, dims: readonly number[], expected: string, found: number) =>
  new FileError(
    `${where} is ${dtype}[${dims.join(', ')}] and needs ${expected}, but the file holds ${found}; it is truncated or damaged`,
  );

/** Return the bytes as elements: the same memory if it is aligned, a copy otherwise. Constants are never written to. */
function fromBytes(dtype: DataType, count: number, bytes: Uint8Array): TensorData['data'] {
  const aligned = bytes.byteOffset % bytesPerElement(dtype) === 0 ? bytes : new Uint8Array(bytes); // slice() of a Node Buffer copies nothing
  const empty = allocate(dtype, 0);
  const ArrayType = empty.constructor as new (buffer: ArrayBufferLike, offset: number, length: number) => typeof empty;
  return new ArrayType(aligned.buffer, aligned.byteOffset, count);
}

/** Return the field that ONNX prescribes for the type: small types share `int32_data`, floats of 16 bits as their bits. */
function typedElements(proto: TensorProto, dtype: DataType): readonly (number | bigint)[] {
  switch (dtype) {
    case 'float32':
      return proto.floatData;
    case 'float64':
      return proto.doubleData;
    case 'int64':
      return proto.int64Data;
    case 'uint32':
    case 'uint64':
      return proto.uint64Data;
    default:
      return proto.int32Data;
  }
}

function fromElements(dtype: DataType, elements: readonly (number | bigint)[]): TensorData['data'] {
  const data = allocate(dtype, elements.length);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    for (let i = 0; i < elements.length; i++) data[i] = BigInt(elements[i] ?? 0);
  } else {
    for (let i = 0; i < elements.length; i++) data[i] = Number(elements[i]);
  }
  return data;
}
