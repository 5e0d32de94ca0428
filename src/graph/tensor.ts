// Tensors as plain data: an element type, dimensions, and a typed array in row-major order.
import { GraphError } from '../errors.js';
import { described } from '../options.js';

const arrayTypes = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
} as const;

/** Element types that a tensor may have; float16 and bfloat16 are held as their bits. */
export type DataType = keyof typeof arrayTypes;

export type TypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array;

/** A tensor that lives in JavaScript memory. */
export interface TensorData {
  readonly dtype: DataType;
  /** Sizes, outermost first; empty for a scalar. */
  readonly dims: readonly number[];
  readonly data: TypedArray;
}

export const isDataType = (name: string): name is DataType => Object.hasOwn(arrayTypes, name);

export const isFloatingPoint = (dtype: DataType): boolean =>
  dtype === 'float32' || dtype === 'float64' || dtype === 'float16' || dtype === 'bfloat16';

export const isInteger = (dtype: DataType): boolean => !isFloatingPoint(dtype) && dtype !== 'bool';

/** Return the bytes of one element. */
export const bytesPerElement = (dtype: DataType): number => arrayTypes[dtype].BYTES_PER_ELEMENT;

/** Return the number of elements: the product of the dimensions. */
export const elementCount = (dims: readonly number[]): number => dims.reduce((product, size) => product * size, 1);

/** @throws GraphError unless it is the name of an element type */
export function checkDataType(dtype: DataType): void {
  if (typeof dtype === 'string' && isDataType(dtype)) return;
  throw new GraphError(`${described(dtype)} is no element type; give one such as 'float32' or 'int64'`);
}

export function allocate(dtype: DataType, length: number): TypedArray {
  checkDataType(dtype);
  return new arrayTypes[dtype](length);
}

/** Return the data as a tensor. @throws GraphError if they do not fit the dimensions or the element type */
export function tensor(dtype: DataType, dims: readonly number[], data: TypedArray): TensorData {
  if (!(data instanceof arrayTypes[dtype])) {
    throw new GraphError(`a ${dtype} tensor is held in a ${arrayTypes[dtype].name}, not a ${data.constructor.name}`);
  }
  if (data.length !== elementCount(dims)) {
    throw new GraphError(
      `a tensor of shape [${dims.join(', ')}] has ${elementCount(dims)} elements, not ${data.length}`,
    );
  }
  return { dtype, dims, data };
}

/** Return the bits of float16 elements, the same memory: JavaScript may hold them in a Float16Array. */
export const bitsOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint16Array =>
  new Uint16Array(buffer, byteOffset, byteLength / 2);

/**
 * Return the position of the first element that is not finite, or -1. Only float32 and float64 are searched: integers are
 * finite, and 16-bit floats are held as bits.
 */
export function firstNotFinite({ data }: Pick<TensorData, 'data'>): number {
  if (!(data instanceof Float32Array || data instanceof Float64Array)) return -1;
  // x − x is 0 for finite numbers only; a sum is several times as fast as a search that calls a function for each.
  let sum = 0;
  for (const element of data) sum += element - element;
  return sum === 0 ? -1 : data.findIndex((element: number) => !Number.isFinite(element));
}

/** Return a tensor of numbers, converted to the element type. */
export function tensorFrom(dtype: DataType, dims: readonly number[], values: Iterable<number>): TensorData {
  const numbers = Array.from(values);
  const data = allocate(dtype, numbers.length);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    for (const [i, value] of numbers.entries()) {
      if (!Number.isInteger(value)) throw new GraphError(`${dtype} does not hold ${value}`);
      data[i] = BigInt(value);
    }
  } else if (dtype === 'float16' || dtype === 'bfloat16') {
    throw new GraphError(`tensorFrom: make a float32 tensor and cast it to ${dtype}`);
  } else {
    data.set(numbers);
  }
  return tensor(dtype, dims, data);
}

/** Return the elements as JavaScript numbers; int64 beyond 2^53 loses precision, and ±2^63 stays usable as "very large". */
export function toNumbers(value: TensorData): number[] {
  return Array.from<number | bigint, number>(value.data, Number);
}
