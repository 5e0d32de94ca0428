// Models with 16-bit floats are trained in float32: their elements, inputs, casts and declared types are widened, and
// new parameters are rounded back when the file is written in its own types.
import {
  type AttributeProto,
  type ModelProto,
  type NodeProto,
  TensorProto_DataType as Type,
  type TypeProto,
} from 'onnx-buf';
import { halfToNumber, numberToHalf } from '../../graph/half-floats.js';
import { type TensorData, tensor } from '../../graph/tensor.js';
import { decodeTensor, type ReadExternal } from '../decode/tensor.js';
import { withElements } from '../encode/tensor.js';
import { shallowCopy } from '../message-copy.js';
import { mapMessage } from './map-message.js';

const isHalf = (code: number): boolean => code === Type.FLOAT16 || code === Type.BFLOAT16;

/** A tensor of 16-bit floats in float32, exactly; other tensors as they are. */
export function widen(value: TensorData): TensorData {
  if (value.dtype === 'float16') {
    return tensor('float32', value.dims, Float32Array.from(value.data as Uint16Array, halfToNumber));
  }
  if (value.dtype !== 'bfloat16') return value;
  const bits = Uint32Array.from(value.data as Uint16Array, (half) => half << 16);
  return tensor('float32', value.dims, new Float32Array(bits.buffer));
}

/** Return a float32 tensor rounded to 16 bits. */
export function narrow(value: TensorData, dtype: 'float16' | 'bfloat16'): TensorData {
  const numbers = value.data as Float32Array;
  if (dtype === 'float16') return tensor(dtype, value.dims, Uint16Array.from(numbers, numberToHalf));
  const bits = new Uint32Array(numbers.slice().buffer);
  // Adding half a unit (less one if the last bit that stays is even) and truncating rounds to nearest even.
  const rounded = Uint16Array.from(bits, (word, i) =>
    Number.isNaN(numbers[i]) ? 0x7fc0 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16,
  );
  return tensor(dtype, value.dims, rounded);
}

/**
 * Return the message with every 16-bit float turned into float32; the message itself if there is none.
 * @throws FileError, UnsupportedError if a tensor cannot be read
 */
export const widened = (proto: ModelProto, readExternal?: ReadExternal): ModelProto =>
  mapMessage(proto, {
    tensor: (tensor) =>
      isHalf(tensor.dataType) ? withElements(tensor, widen(decodeTensor(tensor, readExternal))) : tensor,
    type: (type) => {
      if (type.value.case !== 'tensorType' || !isHalf(type.value.value.elemType)) return type;
      const value = shallowCopy(type.value.value, { elemType: Type.FLOAT });
      return shallowCopy<TypeProto>(type, { value: { case: 'tensorType', value } });
    },
    node: (node) => {
      const isWide = ({ name, i }: AttributeProto) => !isTypeAttribute(name) || !isHalf(Number(i));
      if (node.attribute.every(isWide)) return node;
      const attribute = node.attribute.map((each) =>
        isWide(each) ? each : shallowCopy<AttributeProto>(each, { i: BigInt(Type.FLOAT) }),
      );
      return shallowCopy<NodeProto>(node, { attribute });
    },
  });

/** Attributes that hold an element type by its number: Cast's target, the type of random and filled tensors. */
const isTypeAttribute = (name: string): boolean => name === 'to' || name === 'dtype';
