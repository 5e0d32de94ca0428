// Reads the attributes of ONNX nodes, and Constant nodes, whose value is an attribute.

import { type AttributeProto, type GraphProto, type NodeProto, AttributeProto_AttributeType as Type } from 'onnx-buf';
import { FileError, UnsupportedError } from '../../errors.js';
import {
  type Attribute,
  type Attributes,
  body,
  elements,
  float,
  floats,
  type Graph,
  int,
  ints,
  text,
  texts,
} from '../../graph/graph.js';
import { type TensorData, tensorFrom } from '../../graph/tensor.js';
import { shallowCopy } from '../message-copy.js';
import { dataTypeOf, isElementType } from '../types.js';
import { decodeTensor, type ReadExternal } from './tensor.js';

export type DecodeGraph = (proto: GraphProto) => Graph;

/**
 * Return the attributes of a node.
 * @param what names the node in messages
 * @throws FileError, UnsupportedError, naming the node and the attribute
 */
export function decodeAttributes(
  given: readonly AttributeProto[],
  op: string,
  what: string,
  decodeGraph: DecodeGraph,
  readExternal?: ReadExternal,
): Attributes {
  const attributes = new Map<string, Attribute>();
  for (const proto of given) {
    if (attributes.has(proto.name)) throw new FileError(`${what} has two attributes '${proto.name}'`);
    attributes.set(proto.name, decodeAttribute(proto, op, what, decodeGraph, readExternal));
  }
  return Object.fromEntries(attributes);
}

function decodeAttribute(
  proto: AttributeProto,
  op: string,
  what: string,
  decodeGraph: DecodeGraph,
  readExternal?: ReadExternal,
): Attribute {
  const where = `the attribute '${proto.name}' of ${what}`;
  switch (kindOf(proto)) {
    case Type.INT: {
      const target = isElementType(op, proto.name) ? dataTypeOf(Number(proto.i)) : undefined;
      return target ? text(target) : int(clamped(proto.i));
    }
    case Type.FLOAT:
      return float(proto.f);
    case Type.STRING:
      return text(decodeText(proto.s));
    case Type.INTS:
      return ints(proto.ints.map(clamped));
    case Type.FLOATS:
      return floats(proto.floats);
    case Type.STRINGS:
      return texts(proto.strings.map(decodeText));
    case Type.TENSOR:
      if (!proto.t) throw new FileError(`${where} holds no tensor`);
      return elements(decodeTensor(proto.t, readExternal));
    case Type.GRAPH:
      if (!proto.g) throw new FileError(`${where} holds no graph`);
      return body(decodeGraph(proto.g));
    default:
      if (Type[proto.type] === undefined) throw new FileError(`${where} has a kind that ONNX does not define`);
      throw new UnsupportedError(`${where} is of the kind ${Type[proto.type]}, which cgfac does not read`);
  }
}

/** Files of IR version 1 do not give the kind; it is that of the one field that is set. */
function kindOf(proto: AttributeProto): Type {
  if (proto.type !== Type.UNDEFINED) return proto.type;
  if (proto.t) return Type.TENSOR;
  if (proto.g) return Type.GRAPH;
  if (proto.ints.length > 0) return Type.INTS;
  if (proto.floats.length > 0) return Type.FLOATS;
  if (proto.strings.length > 0) return Type.STRINGS;
  if (proto.s.length > 0) return Type.STRING;
  return proto.f !== 0 ? Type.FLOAT : Type.INT;
}

/** Only limits of slices exceed what a JavaScript number counts exactly, and they mean "to the end". */
function clamped(value: bigint): number {
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(value)));
}

const decodeText = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** Return the value of a Constant node, in any of the forms that ONNX has for it. @throws FileError, UnsupportedError */
export function decodeConstant(
  node: NodeProto,
  given: readonly AttributeProto[],
  readExternal?: ReadExternal,
): TensorData {
  const what = `the Constant node '${node.name || node.output[0]}'`;
  const [attribute, ...others] = given;
  if (!attribute || others.length > 0) throw new FileError(`${what} needs one attribute, not ${given.length}`);
  switch (attribute.name) {
    case 'value':
      if (!attribute.t) throw new FileError(`${what} holds no tensor`);
      return decodeTensor(attribute.t, readExternal);
    case 'value_int':
      return tensorFrom('int64', [], [clamped(attribute.i)]);
    case 'value_ints':
      return tensorFrom('int64', [attribute.ints.length], attribute.ints.map(clamped));
    case 'value_float':
      return tensorFrom('float32', [], [attribute.f]);
    case 'value_floats':
      return tensorFrom('float32', [attribute.floats.length], attribute.floats);
    default:
      throw new UnsupportedError(`${what} holds its value as '${attribute.name}', which cgfac does not read`);
  }
}

/** Return the attributes of a node, those that refer to an attribute of the enclosing function replaced by its value. */
export const boundAttributes = (node: NodeProto, bindings: ReadonlyMap<string, AttributeProto>): AttributeProto[] =>
  node.attribute.flatMap((attribute) => {
    if (attribute.refAttrName === '') return [attribute];
    const value = bindings.get(attribute.refAttrName);
    return value ? [shallowCopy<AttributeProto>(value, { name: attribute.name })] : [];
  });
