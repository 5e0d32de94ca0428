// Models with 16-bit floats are trained in float32: their elements, inputs, casts and declared types are widened, and
// new parameters are rounded back when the file is written in its own types.
import {
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type TensorProto,
  TensorProto_DataType as Type,
  type TypeProto,
} from 'onnx-buf';
import { type TensorData, tensor } from '../../graph/tensor.js';
import { decodeTensor, type ReadExternal, replaceElements } from '../tensor.js';

const isHalf = (code: number): boolean => code === Type.FLOAT16 || code === Type.BFLOAT16;

/** The value of IEEE half-precision bits: 1 sign bit, 5 of exponent, 10 of fraction. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Half-precision bits nearest to a number; ties go to the even fraction, as IEEE 754 rounds. */
function numberToHalf(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size >= 65520) return sign | 0x7c00; // halfway to 2^16 and beyond
  const exponent = Math.max(-14, Math.min(15, Math.floor(Math.log2(size || 2 ** -14))));
  // The fraction in units of the last place; a carry into the exponent comes out right by itself.
  const units = roundHalfToEven(size / 2 ** (exponent - 10));
  return sign | (exponent === -14 ? units : ((exponent + 14) << 10) + units);
}

function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/** A tensor of 16-bit floats in float32, exactly; other tensors as they are. */
export function widen(value: TensorData): TensorData {
  if (value.dtype === 'float16')
    return tensor('float32', value.dims, Float32Array.from(value.data as Uint16Array, halfToNumber));
  if (value.dtype !== 'bfloat16') return value;
  const bits = Uint32Array.from(value.data as Uint16Array, (half) => half << 16);
  return tensor('float32', value.dims, new Float32Array(bits.buffer));
}

/** A float32 tensor rounded to 16 bits. */
export function narrow(value: TensorData, dtype: 'float16' | 'bfloat16'): TensorData {
  const numbers = value.data as Float32Array;
  if (dtype === 'float16') return tensor(dtype, value.dims, Uint16Array.from(numbers, numberToHalf));
  const bits = new Uint32Array(numbers.slice().buffer);
  // Adding half a unit, less one where the last bit kept is even, and cutting rounds to nearest even.
  const rounded = Uint16Array.from(bits, (word, i) =>
    Number.isNaN(numbers[i]) ? 0x7fc0 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16,
  );
  return tensor(dtype, value.dims, rounded);
}

/** True where some tensor of the model has 16-bit floats. */
export function usesHalfPrecision(model: ModelProto): boolean {
  let found = false;
  visit(model, {
    tensor: (proto) => {
      found ||= isHalf(proto.dataType);
    },
    type: (proto) => {
      found ||= proto.value.case === 'tensorType' && isHalf(proto.value.value.elemType);
    },
    node: (proto) => {
      found ||= proto.attribute.some((attribute) => isTypeAttribute(attribute.name) && isHalf(Number(attribute.i)));
    },
  });
  return found;
}

/** Turns every 16-bit float of the model into float32, in place. */
export function widenModel(model: ModelProto, readExternal?: ReadExternal): void {
  visit(model, {
    tensor: (proto) => {
      if (isHalf(proto.dataType)) replaceElements(proto, widen(decodeTensor(proto, readExternal)));
    },
    type: (proto) => {
      if (proto.value.case === 'tensorType' && isHalf(proto.value.value.elemType))
        proto.value.value.elemType = Type.FLOAT;
    },
    node: (proto) => {
      for (const attribute of proto.attribute) {
        if (isTypeAttribute(attribute.name) && isHalf(Number(attribute.i))) attribute.i = BigInt(Type.FLOAT);
      }
    },
  });
}

/** Attributes that hold an element type by its number: Cast's target, the type of random and filled tensors. */
const isTypeAttribute = (name: string): boolean => name === 'to' || name === 'dtype';

/** Visits every tensor of a model: initializers, and those in the attributes of nodes. */
export function visitTensors(model: ModelProto, tensor: (proto: TensorProto) => void): void {
  visit(model, { tensor, type: () => undefined, node: () => undefined });
}

interface Visitor {
  tensor(proto: TensorProto): void;
  type(proto: TypeProto): void;
  node(proto: NodeProto): void;
}

function visit(model: ModelProto, visitor: Visitor): void {
  if (model.graph) visitGraph(model.graph, visitor);
  for (const { node } of model.functions) for (const inner of node) visitNode(inner, visitor);
}

function visitGraph(graph: GraphProto, visitor: Visitor): void {
  for (const proto of graph.initializer) visitor.tensor(proto);
  for (const { type } of [...graph.input, ...graph.output, ...graph.valueInfo]) if (type) visitor.type(type);
  for (const node of graph.node) visitNode(node, visitor);
}

function visitNode(node: NodeProto, visitor: Visitor): void {
  visitor.node(node);
  for (const attribute of node.attribute) {
    if (attribute.type === AttributeType.TENSOR && attribute.t) visitor.tensor(attribute.t);
    if (attribute.g) visitGraph(attribute.g, visitor);
  }
}
