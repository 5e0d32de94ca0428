// A model that came from an ONNX file. Writing it patches the elements of its tensors in the file's own message.
import type { Semantics } from '../graph/builder.js';
import { type LoadOptions, loadFile } from '../onnx/load.js';
import type { Patch } from '../onnx/patch.js';
import type { OpTable } from '../ops/definition.js';
import { semantics as standard } from '../ops/table.js';
import { classifyInitializers } from './classify.js';
import { type Model, newElements, withNewElements } from './model.js';

export interface FileModel extends Model {
  /** Version of ONNX's operator set that the file is of; the graph is of opset 21. */
  readonly opset: number;
  /** Tensors of the file that are neither trained nor updated, with the reason. */
  readonly untrained: ReadonlyMap<string, string>;
  /** The file has 16-bit floats, which the graph holds as float32. */
  readonly halfPrecision: boolean;
  /** Operators that a user gave with the file. */
  readonly operators: OpTable;
  /** The way back to the file. */
  readonly patch: Patch;
}

export const isFileModel = (model: Model): model is FileModel => 'patch' in model;

/** Return a file's model with some of it changed, and with the way back from the changed model. */
export const withPatch = (
  model: FileModel,
  changed: Partial<Pick<Model, 'graph' | 'parameters' | 'statistics'>>,
  patch: Patch,
): FileModel => ({ ...model, ...changed, patch, encode: (updated = new Map()) => patch.encode(updated) });

/** Return the model of a file's bytes. @throws FileError, UnsupportedError */
export function modelFromBytes(bytes: Uint8Array, semantics: Semantics, options: LoadOptions = {}): FileModel {
  const { initializers, patch, ...file } = loadFile(bytes, semantics, options);
  const { parameters, statistics, constants } = classifyInitializers(file.graph, initializers);
  const checked = patch.followedBy((updated) => {
    newElements(file.name, parameters, statistics, updated); // checks names, types and shapes
    return updated;
  });
  return {
    ...file,
    ...{ parameters, statistics, untrained: constants, isPretrained: true },
    patch: checked,
    with(given) {
      return withNewElements(this, given, (origin, elements) => ({ patch: origin.patch.followedBy(elements) }));
    },
    encode: (updated = new Map()) => checked.encode(updated),
  };
}

/** Return the model of other bytes, which were made of those of a model: its operators are known there as well. */
export const modelRemade = (model: Model, bytes: Uint8Array): FileModel => ({
  ...modelFromBytes(bytes, standard, { name: model.name, operators: isFileModel(model) ? model.operators : {} }),
  isPretrained: model.isPretrained,
});
