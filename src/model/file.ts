// Reads models from files on disk and writes them.
import { OptionError } from '../errors.js';
import { writeFileAtomically } from '../files/write.js';
import type { Semantics } from '../graph/builder.js';
import { readOnnxFile, type SaveOptions, writeOnnxFile } from '../onnx/file.js';
import type { OpTable } from '../ops/definition.js';
import { type FileModel, isFileModel, modelFromBytes } from './file-model.js';
import type { Model } from './model.js';

/** Read a model. @throws FileError if the file is missing or is not an ONNX model; UnsupportedError if cgfac lacks what it needs */
export const readModelFile = (path: string, semantics: Semantics, operators: OpTable = {}): Promise<FileModel> =>
  readOnnxFile(path, (bytes, options) => modelFromBytes(bytes, semantics, { ...options, operators }));

/**
 * Write the model. One that came from a file keeps its inputs, outputs, names, metadata and operator set.
 * @throws FileError, OptionError
 */
export async function writeModelFile(model: Model, path: string, options: SaveOptions = {}): Promise<void> {
  if (isFileModel(model)) return writeOnnxFile(model.patch, model.name, path, options);
  if (options.dtype === 'float16') throw new OptionError(`model '${model.name}' is built in float32 and is written so`);
  await writeFileAtomically(path, model.encode());
}
