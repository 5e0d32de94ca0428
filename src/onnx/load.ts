// Loads a file: one pipeline of pure steps from its bytes to a graph, and the patch that leads back.
import { OptionError } from '../errors.js';
import type { Semantics } from '../graph/builder.js';
import type { Graph, Value } from '../graph/graph.js';
import type { OpTable } from '../ops/definition.js';
import { decodeProto } from './decode/message.js';
import { type DecodeOptions, readModel } from './decode/reader.js';
import { embedConstants } from './edits/embed-constants.js';
import { separateShared } from './edits/separate-shared.js';
import { widened } from './edits/widen.js';
import { Patch, withInitializers } from './patch.js';

export interface LoadOptions extends DecodeOptions {
  /** A name for messages, such as the file's; by default the graph's own. */
  readonly name?: string;
}

export interface LoadedFile {
  readonly name: string;
  readonly graph: Graph;
  /** The tensors that the file stores with the graph, used or not: what may be trained. */
  readonly initializers: readonly Value[];
  /** Version of ONNX's own operator set that the file was written for; the graph is of opset 21. */
  readonly opset: number;
  readonly metadata: Readonly<Record<string, string>>;
  /** Operators that a user gave with the file. */
  readonly operators: OpTable;
  /** The file has 16-bit floats, which the graph holds as float32. */
  readonly halfPrecision: boolean;
  /** Elements by the names of initializers. It does not check their types. */
  readonly patch: Patch;
}

/** Return the graph of a file's bytes, its tensors and the way back. @throws FileError, UnsupportedError */
export function loadFile(bytes: Uint8Array, semantics: Semantics, options: LoadOptions = {}): LoadedFile {
  const { readExternal } = options;
  const original = embedConstants(decodeProto(bytes), readExternal);
  const { proto: separate, apart } = separateShared(original, readExternal);
  const trained = widened(separate, readExternal);
  const { graph, initializers, opset, metadata } = readModel(trained, semantics, options);
  const name = options.name ?? (graph.name || 'model');
  const halfPrecision = trained !== separate;
  const stored = new Map(
    initializers.flatMap(({ name: key, constant }) => (constant ? [[key, constant] as const] : [])),
  );
  const patch = new Patch(name, (elements, dtype) => {
    if (dtype === 'float16' && !halfPrecision) {
      throw new OptionError(`model '${name}' has no float16 tensors, so it cannot be written as float16`);
    }
    // If no tensor that layers shared has new elements, the file is the one that was read.
    const own = [...elements.keys()].some((key) => apart.has(key)) ? separate : original;
    return withInitializers(dtype === 'float32' ? trained : own, elements, stored);
  });
  const { operators = {} } = options;
  return { name, graph, initializers, opset, metadata, operators, halfPrecision, patch };
}
