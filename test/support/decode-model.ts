// Reads the bytes of a model as they are, without the edits that the loading of a file makes.
import type { Semantics } from '../../src/graph/builder.js';
import { decodeProto } from '../../src/onnx/decode/message.js';
import { type DecodeOptions, type OnnxModel, readModel } from '../../src/onnx/decode/reader.js';

export const decodeModel = (bytes: Uint8Array, semantics: Semantics, options: DecodeOptions = {}): OnnxModel =>
  readModel(decodeProto(bytes), semantics, options);
