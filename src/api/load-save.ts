// Reading and writing of models as ONNX files.
import { OptionError } from '../errors.js';
import { type FileModel, modelFromBytes } from '../model/file-model.js';
import { checkModel, type Model } from '../model/model.js';
import type { SaveOptions } from '../onnx/file.js';
import type { OpDefinition } from '../ops/definition.js';
import { checkOperators, semantics } from '../ops/table.js';
import { checkedCount, checkedWord, checkKeys, described, type OptionKeys } from '../options.js';

export interface LoadModelOptions {
  /** Definitions of operators that cgfac does not know, by name: `my.domain.Name`, or `Name` for one of ONNX's own. */
  readonly operators?: Readonly<Record<string, OpDefinition>>;
}

const loadKeys: OptionKeys<LoadModelOptions> = { operators: true };

/**
 * Read an ONNX model. A path also gives access to external data beside the file.
 *
 * Floating-point initializers become the model's parameters, except running averages of batch normalization (`statistics`)
 * and recognizable constants (`untrained`, with the reason). 16-bit floats become float32.
 * @throws FileError if the file is missing, damaged or no ONNX model; UnsupportedError if it has an operator set or tensors
 *   that cgfac does not read; OptionError for anything but definitions of operators
 * @example
 * await saveModel(mlp({ sizes: [4, 8, 3], seed: 1 }), 'classifier.onnx');
 * const model = await loadModel('classifier.onnx');
 * console.log([...model.parameters.keys()]);
 */
export async function loadModel(pathOrBytes: string | Uint8Array, options: LoadModelOptions = {}): Promise<FileModel> {
  checkKeys('loadModel', options, loadKeys);
  const { operators = {} } = options;
  checkOperators(operators);
  if (typeof pathOrBytes !== 'string') {
    if (pathOrBytes instanceof Uint8Array) return modelFromBytes(pathOrBytes, semantics, { operators });
    throw new OptionError(
      `loadModel takes a path or the bytes of a file in a Uint8Array, not ${described(pathOrBytes)}`,
    );
  }
  const { readModelFile } = await import('../model/file.js');
  return readModelFile(pathOrBytes, semantics, operators);
}

const saveKeys: OptionKeys<SaveOptions> = { dtype: true, largestFile: true };

/**
 * Write a model to an `.onnx` file. One that came from a file keeps its inputs, outputs, node and parameter names, metadata
 * and operator set. The file is written whole or not at all.
 * @throws FileError if the path cannot be written, or a number does not fit the file's 16-bit floats; OptionError
 * @example
 * const { model } = await train(mlp({ seed: 1 }), { data: 'digits?train=200&test=50', optimizer: cgfac(), steps: 3 });
 * await saveModel(model, 'trained.onnx');
 */
export async function saveModel(model: Model, path: string, options: SaveOptions = {}): Promise<void> {
  checkModel('saveModel', model);
  if (typeof path !== 'string' || path === '') {
    const given: unknown = path;
    const hint = given instanceof Map ? ": saveModel(model.with(parameters), 'model.onnx') writes new parameters" : '';
    throw new OptionError(`the path given to saveModel is ${described(path)}; give a file's${hint}`);
  }
  checkKeys('saveModel', options, saveKeys);
  checkedWord('dtype', options.dtype, ['float16', 'float32']);
  if (options.largestFile !== undefined) checkedCount('largestFile', options.largestFile);
  const { writeModelFile } = await import('../model/file.js');
  await writeModelFile(model, path, options);
}
