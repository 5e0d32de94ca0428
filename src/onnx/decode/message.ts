// Decodes the bytes of a file into the message of an ONNX model, which later steps may walk by recursion.
import { fromBinary } from '@bufbuild/protobuf';
import { type ModelProto, ModelProtoSchema, type NodeProto } from 'onnx-buf';
import { FileError, messageOf } from '../../errors.js';

/** Graphs within graphs, and calls of functions within functions; exporters nest a few. */
export const deepestNesting = 24;

/** Return the message of a file. @throws FileError if the bytes are not an ONNX model */
export function decodeProto(bytes: Uint8Array): ModelProto {
  let proto: ModelProto;
  try {
    proto = fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw new FileError(`this is not an ONNX model, or it is damaged or truncated (${messageOf(cause)})`, { cause });
  }
  if (!proto.graph) throw new FileError('this is not an ONNX model: it holds no graph');
  for (const root of [proto.graph, ...proto.functions]) checkNesting(root.node);
  return proto;
}

/** @throws FileError for bodies nested so deeply that a recursion over them could exhaust the stack */
function checkNesting(nodes: readonly NodeProto[], depth = 1): void {
  if (depth > deepestNesting) throw new FileError('the graphs in this file are nested too deeply');
  for (const { attribute } of nodes) {
    for (const { g, graphs } of attribute) {
      for (const body of g ? [g, ...graphs] : graphs) checkNesting(body.node, depth + 1);
    }
  }
}
