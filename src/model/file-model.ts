// A model that came from an ONNX file. Writing it patches the elements of its tensors in the file's own message: inputs,
// outputs, nodes, names, metadata and operator set stay as they were.
import { clone, toBinary } from '@bufbuild/protobuf';
import {
  TensorProto_DataLocation as DataLocation,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type TensorProto,
} from 'onnx-buf';
import { FileError, OptionError } from '../errors.js';
import type { Semantics } from '../graph/builder.js';
import type { Value } from '../graph/graph.js';
import type { TensorData } from '../graph/tensor.js';
import { type DecodeOptions, decodeProto, readModel } from '../onnx/decode/reader.js';
import { withOwnStatistics } from '../onnx/edits/separate-statistics.js';
import { narrow, usesHalfPrecision, visitTensors, widenModel } from '../onnx/edits/widen.js';
import { shallowCopy } from '../onnx/message-copy.js';
import { decodeTensor, replaceElements } from '../onnx/tensor.js';
import { dataTypeOf } from '../onnx/types.js';
import { classifyInitializers } from './classify.js';
import { type Model, newElements, withNewElements } from './model.js';

/** Element type of the 16-bit floats of a file that is written: its own, or widened as they were trained. */
export type FileDataType = 'float16' | 'float32';

export interface FileModel extends Model {
  /** Version of ONNX's operator set that the file is of; the graph is of opset 21. */
  readonly opset: number;
  readonly metadata: Readonly<Record<string, string>>;
  /** Tensors of the file that are neither trained nor updated, with the reason. */
  readonly untrained: ReadonlyMap<string, string>;
  /** True where the file has 16-bit floats, which the graph holds as float32. */
  readonly halfPrecision: boolean;
  /** The file's message with new elements, all tensors embedded. */
  patched(parameters: ReadonlyMap<string, TensorData>, dtype?: FileDataType): ModelProto;
}

export const isFileModel = (model: Model): model is FileModel => 'patched' in model;

/** A file's model with some of it changed, and with what it then writes. */
export const withPatch = (
  model: FileModel,
  changed: Partial<Pick<Model, 'graph' | 'parameters' | 'statistics'>>,
  patched: FileModel['patched'],
): FileModel => ({
  ...model,
  ...changed,
  patched,
  encode: (updated = new Map()) => encodeMessage(patched(updated), model.name),
});

export interface ReadModelOptions extends DecodeOptions {
  /** A name for messages, such as the file's; by default the graph's own. */
  readonly name?: string;
}

/** ONNX files are protobuf messages, which end at 2 GiB. */
export const largestMessage = 2 ** 31 - 1;

/** @throws FileError, UnsupportedError */
export function modelFromBytes(bytes: Uint8Array, semantics: Semantics, options: ReadModelOptions = {}): FileModel {
  const original = decodeProto(bytes);
  const { proto, apart } = withOwnStatistics(original);
  const halfPrecision = usesHalfPrecision(proto);
  const trained = halfPrecision ? clone(ModelProtoSchema, proto) : proto;
  if (halfPrecision) widenModel(trained, options.readExternal);
  const { graph, initializers, opset, metadata } = readModel(trained, semantics, options);
  for (const file of new Set([original, proto])) embedConstants(file, options);
  if (trained !== proto) embedConstants(trained, options);
  const { parameters, statistics, constants } = classifyInitializers(graph, initializers);
  const name = options.name ?? (graph.name || 'model');
  const patched = (updated: ReadonlyMap<string, TensorData>, dtype?: FileDataType): ModelProto => {
    if (dtype === 'float16' && !halfPrecision) {
      throw new OptionError(`model '${name}' has no float16 tensors, so it cannot be written as float16`);
    }
    const elements = newElements(name, parameters, statistics, updated);
    // Where nothing that layers shared has moved, the file is the one that was read.
    const own = [...updated.keys()].some((tensor) => apart.has(tensor)) ? proto : original;
    return patch(dtype === 'float32' ? trained : own, initializers, elements);
  };
  return {
    name,
    graph,
    parameters,
    statistics,
    opset,
    metadata,
    untrained: constants,
    halfPrecision,
    isPretrained: true,
    patched,
    with(given) {
      return withNewElements(this, given, (origin, elements) => ({
        patched: (updated: ReadonlyMap<string, TensorData>, dtype?: FileDataType) =>
          origin.patched(elements(updated), dtype),
      }));
    },
    encode: (updated = new Map()) => encodeMessage(patched(updated), name),
  };
}

/** The bytes of a message. @throws FileError where it is too large for one file */
export function encodeMessage(proto: ModelProto, name: string): Uint8Array {
  try {
    return toBinary(ModelProtoSchema, proto);
  } catch (cause) {
    throw new FileError(`model '${name}' is too large for one message; save it to a path, with external data`, {
      cause,
    });
  }
}

/** Tensors outside the list of initializers stay with the nodes, so they are read once, while the file is there. */
function embedConstants(proto: ModelProto, options: DecodeOptions): void {
  const initializers = new Set(proto.graph?.initializer);
  visitTensors(proto, (tensor) => {
    if (tensor.dataLocation !== DataLocation.EXTERNAL || initializers.has(tensor)) return;
    replaceElements(tensor, decodeTensor(tensor, options.readExternal));
  });
}

function patch(
  proto: ModelProto,
  initializers: readonly Value[],
  elements: ReadonlyMap<Value, TensorData>,
): ModelProto {
  const { graph } = proto;
  if (!graph) throw new FileError('the model holds no graph'); // checked when it was read
  const initializer = graph.initializer.map((tensor, i): TensorProto => {
    const value = initializers[i];
    const updated = value && elements.get(value);
    const data = updated ?? (tensor.dataLocation === DataLocation.EXTERNAL ? value?.constant : undefined);
    return data ? withElements(tensor, data) : tensor;
  });
  return shallowCopy(proto, { graph: shallowCopy<GraphProto>(graph, { initializer }) });
}

function withElements(tensor: TensorProto, data: TensorData): TensorProto {
  const copy = shallowCopy<TensorProto>(tensor, {});
  replaceElements(copy, inFileType(tensor, data));
  return copy;
}

/** Trained elements rounded to the type of the tensor in the file. */
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

/** Encoded size of the elements, in bytes. */
export const elementBytes = (proto: ModelProto): number =>
  (proto.graph?.initializer ?? []).reduce(
    (bytes, tensor) => bytes + tensor.rawData.length + 8 * tensor.floatData.length,
    0,
  );
