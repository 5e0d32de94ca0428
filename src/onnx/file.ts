// Model files on disk: read with their external data, written whole or not at all.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { clearField, create } from '@bufbuild/protobuf';
import {
  TensorProto_DataLocation as DataLocation,
  type ModelProto,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from 'onnx-buf';
import { FileError, messageOf } from '../errors.js';
import { writeFileAtomically } from '../files/write.js';
import { externalDataIn } from './external-data.js';
import type { LoadOptions } from './load.js';
import { shallowCopy } from './message-copy.js';
import { encodeMessage, type FileDataType, type Patch } from './patch.js';

/**
 * Read a model file.
 * @param decode makes the result of the bytes, given the model's name and a reader of the files beside it
 * @throws FileError if the file is missing; those of `decode`, with the path before their messages
 */
export async function readOnnxFile<Result>(
  path: string,
  decode: (bytes: Uint8Array, options: Required<Pick<LoadOptions, 'name' | 'readExternal'>>) => Result,
): Promise<Result> {
  const bytes = await readFile(path).catch((cause) => {
    throw new FileError(`cannot read the model '${path}': ${reasonOf(cause)}`, { cause });
  });
  try {
    return decode(bytes, { name: basename(path, '.onnx'), readExternal: externalDataIn(dirname(path)) });
  } catch (error) {
    if (error instanceof FileError) throw new FileError(`'${path}': ${error.message}`, { cause: error });
    throw error;
  }
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EISDIR') return 'it is a folder; give the path of the .onnx file in it';
  if (code === 'ERR_FS_FILE_TOO_LARGE') {
    return 'it is larger than 2 GiB, which no ONNX file is: its tensors must be external data';
  }
  return messageOf(error);
}

export interface SaveOptions {
  /** `float32` widens the 16-bit floats of the file; by default tensors keep the types that they have in the file. */
  readonly dtype?: FileDataType;
  /** Models with more bytes of tensors than this get them in files beside the model; by default what a message can hold. */
  readonly largestFile?: number;
}

/** ONNX files are protobuf messages, which end at 2 GiB. */
const largestMessage = 2 ** 31 - 1;

/**
 * Write the file that a model came from with the elements that it has now.
 * @param name the model's, for messages
 * @throws FileError, and what the patch throws
 */
export async function writeOnnxFile(patch: Patch, name: string, path: string, options: SaveOptions): Promise<void> {
  const proto = patch.message(new Map(), options.dtype);
  // The graph itself takes part of the message: a margin for it.
  const largest = options.largestFile ?? largestMessage - 2 ** 26;
  const written = elementBytes(proto) > largest ? await withExternalData(proto, path) : proto;
  await writeFileAtomically(path, encodeMessage(written, name));
}

/** Encoded size of the elements, in bytes. */
const elementBytes = (proto: ModelProto): number =>
  (proto.graph?.initializer ?? []).reduce(
    (bytes, tensor) => bytes + tensor.rawData.length + 8 * tensor.floatData.length,
    0,
  );

/** Tensors of fewer bytes stay in the model file: shape arithmetic needs them there. */
const smallestExternal = 1024;
const largestDataFile = 2 ** 30;

/** Write the large tensors beside the model and return the message that refers to them. */
async function withExternalData(proto: ModelProto, path: string): Promise<ModelProto> {
  const { graph } = proto;
  if (!graph) return proto;
  const moved = new Map<TensorProto, TensorProto>();
  for (const group of groups(graph.initializer)) {
    const bytes = new Uint8Array(group.reduce((total, { rawData }) => total + rawData.length, 0));
    let end = 0;
    const placed = group.map((tensor) => {
      const offset = end;
      bytes.set(tensor.rawData, offset);
      end += tensor.rawData.length;
      return { tensor, offset };
    });
    // Named by its contents: until the model itself is replaced, the old one keeps its own data.
    const location = `${basename(path)}.${createHash('sha256').update(bytes).digest('hex').slice(0, 12)}.data`;
    await writeFileAtomically(join(dirname(path), location), bytes);
    for (const { tensor, offset } of placed) moved.set(tensor, externalized(tensor, location, offset));
  }
  const initializer = graph.initializer.map((tensor) => moved.get(tensor) ?? tensor);
  return shallowCopy(proto, { graph: shallowCopy(graph, { initializer }) });
}

/** Return the large tensors in groups, one for each data file. */
function groups(tensors: readonly TensorProto[]): TensorProto[][] {
  const result: TensorProto[][] = [];
  let filled = Number.POSITIVE_INFINITY;
  for (const tensor of tensors) {
    const { length } = tensor.rawData;
    if (length < smallestExternal) continue;
    if (filled + length > largestDataFile) {
      result.push([]);
      filled = 0;
    }
    result.at(-1)?.push(tensor);
    filled += length;
  }
  return result;
}

function externalized(tensor: TensorProto, location: string, offset: number): TensorProto {
  const entries = { location, offset: String(offset), length: String(tensor.rawData.length) };
  const copy = shallowCopy(tensor, {
    dataLocation: DataLocation.EXTERNAL,
    externalData: Object.entries(entries).map(([key, value]) => create(StringStringEntryProtoSchema, { key, value })),
  });
  clearField(copy, TensorProtoSchema.field.rawData);
  return copy;
}
