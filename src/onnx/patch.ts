// The way back from a model to the file that it was read from: new elements in the file's own message. Inputs, outputs,
// nodes, names, metadata and operator set stay as they were.
import { toBinary } from '@bufbuild/protobuf';
import {
  TensorProto_DataLocation as DataLocation,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type TensorProto,
} from 'onnx-buf';
import { FileError } from '../errors.js';
import type { TensorData } from '../graph/tensor.js';
import { narrow } from './edits/widen.js';
import { withElements } from './encode/tensor.js';
import { shallowCopy } from './message-copy.js';
import { dataTypeOf } from './types.js';

/** Element type that the 16-bit floats of a file are written in: their own, or float32, as they were trained. */
export type FileDataType = 'float16' | 'float32';

/** New elements of a model's tensors by name; the others keep theirs. */
export type Elements = ReadonlyMap<string, TensorData>;

export class Patch {
  readonly #name: string;
  readonly #message: (elements: Elements, dtype?: FileDataType) => ModelProto;

  /**
   * @param name the model's, for messages
   * @param message the file's message with new elements, which it checks
   */
  constructor(name: string, message: (elements: Elements, dtype?: FileDataType) => ModelProto) {
    this.#name = name;
    this.#message = message;
  }

  /**
   * Return the patch of a model that was made of this one.
   * @param before turns elements of that model into elements of this one
   * @param edit changes the message of this model into that model's, given its elements
   */
  followedBy(
    before: (elements: Elements) => Elements,
    edit: (proto: ModelProto, elements: Elements) => ModelProto = (proto) => proto,
  ): Patch {
    return new Patch(this.#name, (elements, dtype) => edit(this.#message(before(elements), dtype), elements));
  }

  /**
   * Return the file's message with new elements.
   * @throws FileError if elements do not fit the file's types, and what the patch checks
   */
  message(elements: Elements, dtype?: FileDataType): ModelProto {
    return this.#message(elements, dtype);
  }

  /** Return the bytes of the message. @throws FileError if it is too large for one file; as `message` does */
  encode(elements: Elements, dtype?: FileDataType): Uint8Array {
    return encodeMessage(this.#message(elements, dtype), this.#name);
  }
}

/** Return the bytes of a message. @throws FileError if it is too large for one file */
export function encodeMessage(proto: ModelProto, name: string): Uint8Array {
  try {
    return toBinary(ModelProtoSchema, proto);
  } catch (cause) {
    throw new FileError(`model '${name}' is too large for one message; save it to a path, with external data`, {
      cause,
    });
  }
}

/**
 * Return a message with new elements in its initializers, all of them embedded.
 * @param stored the elements that were read of initializers, external ones among them
 * @throws FileError if elements do not fit the 16 bits of a tensor of the file
 */
export function withInitializers(proto: ModelProto, elements: Elements, stored: Elements): ModelProto {
  const { graph } = proto;
  if (!graph) throw new FileError('the model holds no graph'); // checked when it was read
  const initializer = graph.initializer.map((tensor) => {
    const isBeside = tensor.dataLocation === DataLocation.EXTERNAL;
    const data = elements.get(tensor.name) ?? (isBeside ? stored.get(tensor.name) : undefined);
    return data ? withElements(tensor, inFileType(tensor, data)) : tensor;
  });
  return shallowCopy<ModelProto>(proto, { graph: shallowCopy<GraphProto>(graph, { initializer }) });
}

/** Return elements rounded to the type of the tensor in the file. @throws FileError if a number does not fit it */
function inFileType(tensor: TensorProto, data: TensorData): TensorData {
  const dtype = dataTypeOf(tensor.dataType);
  if (data.dtype !== 'float32' || (dtype !== 'float16' && dtype !== 'bfloat16')) return data;
  const numbers = data.data as Float32Array;
  const largest = dtype === 'float16' ? 65520 : 3.3961775e38;
  const tooLarge = numbers.find((number) => Number.isFinite(number) && Math.abs(number) >= largest);
  if (tooLarge !== undefined) {
    throw new FileError(`'${tensor.name}' holds ${tooLarge}, which does not fit ${dtype}; save the model as float32`);
  }
  return narrow(data, dtype);
}
