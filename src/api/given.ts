// Conversion of a user's tensors and arrays to the types that a model declares: inputs, parameters, targets.
import { GraphError, OptionError } from '../errors.js';
import { formatType, intAttribute, type TensorType, type Value } from '../graph/graph.js';
import {
  allocate,
  type DataType,
  elementCount,
  isFloatingPoint,
  isInteger,
  type TensorData,
  type TypedArray,
  tensor,
} from '../graph/tensor.js';
import { isTensorLike, type TensorLike, toTensorData } from '../graph/tensor-like.js';
import type { Model } from '../model/model.js';
import { widen } from '../onnx/edits/widen.js';
import { isSameNumbers } from '../ops/table.js';
import { described, isRecord } from '../options.js';

/** Numbers in rows, rows of rows, …: `[[1, 2], [3, 4]]` is of shape [2, 2]. */
export type NestedArray = number | bigint | boolean | readonly NestedArray[];

type ArrayOfNumbers = TypedArray | Uint8ClampedArray;

/**
 * A tensor, or its numbers: nested arrays in its shape, or a typed array with the elements of any number of examples.
 */
export type ArrayLike = TensorLike | NestedArray | ArrayOfNumbers;

/** A model's one input, or its inputs by name; the first axis is the batch. */
export type ModelInputs = ArrayLike | Readonly<Record<string, ArrayLike>>;

/**
 * Return the inputs by name, in the element types that the model declares. Flat examples are given the declared shape, and
 * others are made flat, as data sets are.
 * @throws OptionError for an input that is missing or that the model does not have; GraphError if one does not fit
 */
export function fittedInputs(model: Model, inputs: ModelInputs): Map<string, TensorData> {
  const expected = model.graph.inputs;
  const names = expected.map(({ name }) => name).join(', ');
  const given = inputsByName(model, inputs, names);
  for (const name of given.keys()) {
    if (!expected.some((value) => value.name === name)) {
      throw new OptionError(`model '${model.name}' has no input '${name}'; its inputs are ${names}`);
    }
  }
  return new Map(
    expected.map((value) => {
      const input = given.get(value.name);
      if (input === undefined) throw new OptionError(`the input '${value.name}' of model '${model.name}' is missing`);
      const what = `the input '${value.name}'`;
      const tensor = fitted(arranged(asTensor(input, value.type, what), value.type), value.type, what);
      checkTokens(model, value, tensor);
      return [value.name, tensor];
    }),
  );
}

/** Examples in the arrangement that is declared: flat ones as pictures, pictures as flat, axes of one element left out or added. */
function arranged(data: TensorData, { shape: [first, ...wanted] }: TensorType): TensorData {
  const [batch, ...example] = data.dims;
  if (first === undefined || batch === undefined || !wanted.every(isNumber)) return data;
  if (elementCount(example) !== elementCount(wanted)) return data;
  const long = (sizes: readonly number[]): string => sizes.filter((size) => size > 1).join();
  const isFlat = example.length === 1 || wanted.length === 1;
  return isFlat || long(example) === long(wanted) ? { ...data, dims: [batch, ...wanted] } : data;
}

/** @throws GraphError for a number that no row of a table has that it looks up */
function checkTokens({ graph }: Model, input: Value, { dtype, data }: TensorData): void {
  if (!isInteger(dtype)) return;
  const isInput = (value: Value | undefined): boolean =>
    value === input ||
    (value?.producer !== undefined && isSameNumbers(value.producer) && isInput(value.producer.inputs[0]));
  for (const { op, domain, inputs, attributes } of graph.nodes) {
    const [table, indices] = inputs;
    if (op !== 'Gather' || domain !== '' || !table?.constant || !isInput(indices)) continue;
    if (table.rank < 2 || intAttribute({ attributes }, 'axis', 0) !== 0) continue;
    const [rows = 0] = table.dims;
    for (const number of data) {
      if (number >= -rows && number < rows) continue;
      throw new GraphError(
        `the input '${input.name}' holds ${number}, and '${table.name}', which it is looked up in, has the rows 0 to ${rows - 1}`,
      );
    }
  }
}

function inputsByName(model: Model, inputs: ModelInputs, names: string): Map<string, ArrayLike> {
  if (isRecord(inputs) && !isTensorLike(inputs)) return new Map(Object.entries(inputs as Record<string, ArrayLike>));
  if (!isTensorLike(inputs) && !Array.isArray(inputs) && !ArrayBuffer.isView(inputs)) {
    throw new OptionError(`the inputs are ${described(inputs)}; give a tensor or an array, or several by name`);
  }
  const [only, ...others] = model.graph.inputs;
  if (!only || others.length > 0) {
    throw new OptionError(`model '${model.name}' has ${1 + others.length} inputs (${names}): give them by name`);
  }
  return new Map([[only.name, inputs]]);
}

/**
 * Return a tensor, or an array in the declared element type and shape, as a tensor that fits them.
 * @param what what it is, for messages
 * @throws OptionError if it is neither; GraphError if it does not fit
 */
export const fittedArray = (value: ArrayLike, declared: TensorType, what: string): TensorData =>
  fitted(asTensor(value, declared, what), declared, what);

/** The sizes of a tensor or of nested arrays; undefined for a typed array, which has none. */
export function sizesOf(value: ArrayLike): readonly number[] | undefined {
  if (isTensorLike(value)) return value.dims;
  return ArrayBuffer.isView(value) ? undefined : dimsOf(value as NestedArray);
}

/** Whether all numbers of an array are integers, so that they may be labels. */
export function isOfIntegers(value: ArrayLike): boolean {
  if (Array.isArray(value)) return (value as readonly NestedArray[]).every(isOfIntegers);
  if (!ArrayBuffer.isView(value)) return typeof value === 'bigint' || Number.isInteger(value);
  return Array.from<number | bigint, number>(value, Number).every(Number.isInteger);
}

/** An array in the declared element type. */
function asTensor(value: ArrayLike, declared: TensorType, what: string): TensorData {
  if (isTensorLike(value) || isRecord(value)) return toTensorData(value as TensorLike, what);
  const { dtype, shape } = declared;
  if (ArrayBuffer.isView(value)) {
    const dims = shape.map((size) => (typeof size === 'number' ? size : -1));
    const unknown = dims.filter((size) => size === -1);
    const known = elementCount(dims.filter((size) => size !== -1));
    const count = value.length / known;
    if (unknown.length > 1 || !Number.isInteger(count) || (unknown.length === 0 && count !== 1)) {
      throw new GraphError(
        `${what} is ${formatType(declared)}; an array of ${value.length} numbers does not tell its shape: give a tensor, { dtype, dims, data }`,
      );
    }
    return converted(
      dtype,
      dims.map((size) => (size === -1 ? count : size)),
      value,
      what,
    );
  }
  const dims = dimsOf(value);
  const numbers: (number | bigint)[] = [];
  collect(value, dims, 0, numbers, what);
  return converted(dtype, dims, numbers, what);
}

function dimsOf(value: NestedArray): number[] {
  return Array.isArray(value) ? [value.length, ...(value.length === 0 ? [] : dimsOf(value[0] as NestedArray))] : [];
}

function collect(
  value: NestedArray,
  dims: readonly number[],
  axis: number,
  numbers: (number | bigint)[],
  what: string,
) {
  if (axis === dims.length) {
    if (typeof value === 'number' || typeof value === 'bigint') numbers.push(value);
    else if (typeof value === 'boolean') numbers.push(Number(value));
    else throw new GraphError(`${what} holds ${described(value)} where a number is expected, in the shape [${dims}]`);
    return;
  }
  if (!Array.isArray(value) || value.length !== dims[axis]) {
    throw new GraphError(
      `${what} is no array of one shape: its first entries are of shape [${dims}], and there is ${described(value)} on axis ${axis}`,
    );
  }
  for (const entry of value as readonly NestedArray[]) collect(entry, dims, axis + 1, numbers, what);
}

/** Numbers in an element type that holds them. */
function converted(
  dtype: DataType,
  dims: readonly number[],
  numbers: { readonly length: number; readonly [index: number]: number | bigint },
  what: string,
): TensorData {
  const data = allocate(dtype, numbers.length);
  const isWide = data instanceof BigInt64Array || data instanceof BigUint64Array;
  for (let i = 0; i < numbers.length; i++) {
    const number = numbers[i] ?? 0;
    if (!isFloatingPoint(dtype) && typeof number === 'number' && !Number.isInteger(number)) {
      throw new GraphError(`${what} holds ${number}, and its elements are ${dtype}`);
    }
    data[i] = isWide ? BigInt(number) : Number(number);
    if (isInteger(dtype) && BigInt(data[i] ?? 0) !== BigInt(number)) {
      throw new GraphError(`${what} holds ${number}, which ${dtype} does not hold`);
    }
  }
  return tensor(dtype, dims, data);
}

/**
 * Return a tensor in the element type of a declared one: 16-bit floats widened, integers in the type that is declared.
 * @throws GraphError if its shape or element type does not fit
 */
function fitted(data: TensorData, declared: TensorType, what: string): TensorData {
  const { dtype, shape } = declared;
  const given = isFloatingPoint(dtype) ? widen(data) : asIntegers(data, dtype);
  const fits =
    given.dtype === dtype &&
    given.dims.length === shape.length &&
    shape.every((size, axis) => typeof size === 'string' || size === given.dims[axis]);
  if (fits) return given;
  const shaped = shape.map((size, axis) => (axis === 0 && typeof size === 'string' ? given.dims[0] : size));
  const isReshaped = given.dtype === dtype && shaped.every(isNumber) && elementCount(shaped) === given.data.length;
  throw new GraphError(
    `${what} is ${formatType(declared)}; a tensor ${formatType({ dtype: data.dtype, shape: data.dims })} does not fit it` +
      (isReshaped ? `, though it has as many elements as [${shaped.join(', ')}]` : ''),
  );
}

const isNumber = (size: number | string | undefined): size is number => typeof size === 'number';

/** Integers in another integer type if all of them fit it; anything else as it is. */
function asIntegers(data: TensorData, dtype: DataType): TensorData {
  if (data.dtype === dtype || !isInteger(data.dtype) || !isInteger(dtype)) return data;
  const changed = allocate(dtype, data.data.length);
  const isWide = changed instanceof BigInt64Array || changed instanceof BigUint64Array;
  for (let i = 0; i < data.data.length; i++) {
    const element = data.data[i] ?? 0;
    changed[i] = isWide ? BigInt(element) : Number(element);
    if (BigInt(changed[i] ?? 0) !== BigInt(element)) return data;
  }
  return tensor(dtype, data.dims, changed);
}
