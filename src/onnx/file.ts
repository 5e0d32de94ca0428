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
import { FileError, OptionError } from '../errors.js';
import { writeFileAtomically } from '../files/write.js';
import type { Semantics } from '../graph/builder.js';
import {
  elementBytes,
  encodeMessage,
  type FileDataType,
  type FileModel,
  isFileModel,
  largestMessage,
  modelFromBytes,
} from '../model/file-model.js';
import type { Model } from '../model/model.js';
import { externalDataIn } from './external-data.js';
import { shallowCopy } from './message-copy.js';

/** @throws FileError where the file is missing or is no ONNX model; UnsupportedError where it needs what cgfac lacks */
export async function readModelFile(path: string, semantics: Semantics): Promise<FileModel> {
  const bytes = await readFile(path).catch((cause) => {
    throw new FileError(`cannot read the model '${path}': ${reasonOf(cause)}`, { cause });
  });
  try {
    return modelFromBytes(bytes, semantics, {
      name: basename(path, '.onnx'),
      readExternal: externalDataIn(dirname(path)),
    });
  } catch (error) {
    if (error instanceof FileError) throw new FileError(`'${path}': ${error.message}`, { cause: error });
    throw error;
  }
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EISDIR') return 'it is a folder; give the path of the .onnx file in it';
  if (code === 'ERR_FS_FILE_TOO_LARGE')
    return 'it is larger than 2 GiB, which no ONNX file is: its tensors must be external data';
  return error instanceof Error ? error.message : String(error);
}

export interface SaveOptions {
  /** `float32` widens the 16-bit floats of the file; by default tensors keep the types that they have in the file. */
  readonly dtype?: FileDataType;
  /** Models with more bytes of tensors than this get them in files beside the model; by default what a message can hold. */
  readonly largestFile?: number;
}

/**
 * Write the model. One that came from a file keeps its inputs, outputs, names, metadata and operator set.
 * @throws FileError, OptionError
 */
export async function writeModelFile(model: Model, path: string, options: SaveOptions = {}): Promise<void> {
  if (!isFileModel(model)) {
    if (options.dtype === 'float16')
      throw new OptionError(`model '${model.name}' is built in float32 and is written so`);
    return writeFileAtomically(path, model.encode());
  }
  const proto = model.patched(new Map(), options.dtype);
  // The graph itself takes part of the message: a margin for it.
  const largest = options.largestFile ?? largestMessage - 2 ** 26;
  const written = elementBytes(proto) > largest ? await withExternalData(proto, path) : proto;
  await writeFileAtomically(path, encodeMessage(written, model.name));
}

/** Tensors of fewer bytes stay in the model file, where shape arithmetic needs them. */
const smallestExternal = 1024;
const largestDataFile = 2 ** 30;

/** Writes the large tensors beside the model and returns the message that refers to them. */
async function withExternalData(proto: ModelProto, path: string): Promise<ModelProto> {
  const { graph } = proto;
  if (!graph) return proto;
  const initializer = [...graph.initializer];
  for (const group of groups(initializer)) {
    const bytes = new Uint8Array(group.reduce((total, index) => total + (initializer[index]?.rawData.length ?? 0), 0));
    let offset = 0;
    const offsets = group.map((index) => {
      const raw = initializer[index]?.rawData ?? new Uint8Array();
      bytes.set(raw, offset);
      offset += raw.length;
      return offset - raw.length;
    });
    // Named by its contents: until the model itself is replaced, the old one keeps its own data.
    const location = `${basename(path)}.${createHash('sha256').update(bytes).digest('hex').slice(0, 12)}.data`;
    await writeFileAtomically(join(dirname(path), location), bytes);
    for (const [i, index] of group.entries()) {
      const tensor = initializer[index];
      if (tensor) initializer[index] = externalized(tensor, location, offsets[i] ?? 0);
    }
  }
  return shallowCopy(proto, { graph: shallowCopy(graph, { initializer }) });
}

/** Indices of the tensors that go to one data file each. */
function groups(tensors: readonly TensorProto[]): number[][] {
  const result: number[][] = [];
  let filled = Number.POSITIVE_INFINITY;
  for (const [index, { rawData }] of tensors.entries()) {
    if (rawData.length < smallestExternal) continue;
    if (filled + rawData.length > largestDataFile) {
      result.push([]);
      filled = 0;
    }
    result.at(-1)?.push(index);
    filled += rawData.length;
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
