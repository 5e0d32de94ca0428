// A model: a graph with a symbolic batch whose parameters are named constants, and how to write it with new ones.

import { GraphError, OptionError } from '../errors.js';
import { formatType, type Graph, Value } from '../graph/graph.js';
import { replaceValues } from '../graph/replace-values.js';
import type { TensorData } from '../graph/tensor.js';
import { type TensorLike, toTensorData } from '../graph/tensor-like.js';
import { widen } from '../onnx/edits/widen.js';
import { encodeModel, type WriteOptions } from '../onnx/encode/writer.js';
import type { Elements } from '../onnx/patch.js';
import { described, isRecord } from '../options.js';

export interface Model {
  readonly name: string;
  /** Operators of opset 21; the parameters are its named constants. */
  readonly graph: Graph;
  /** Trainable tensors by name; `Value.constant` holds their initial elements. */
  readonly parameters: ReadonlyMap<string, Value>;
  /**
   * Tensors that go with the parameters and are not trained, by name: running averages of batch normalization, which
   * training updates, and what `withNormalization` and `withTargetNormalization` take out of the data.
   */
  readonly statistics: ReadonlyMap<string, Value>;
  /** Texts by keys that its file has as metadata; see `meaningOf` for those of cgfac. */
  readonly metadata: Readonly<Record<string, string>>;
  /**
   * Whether its elements come from a file or from training; false for those of a new model. A file may have been written before any
   * training: a run measures whether they look trained (see `Setting`).
   */
  readonly isPretrained: boolean;
  /** Whether its last layer is new, so that its loss does not show whether the others are trained. */
  readonly hasNewHead?: true;
  /**
   * Return a model of the same kind with new elements in some of its parameters and statistics; the others keep theirs.
   * This model does not change.
   * @param parameters by name, in the shape and element type that the model has for them; 16-bit floats are widened;
   *   they are copied
   * @throws GraphError naming a tensor that the model does not have or whose shape or element type differs
   * @example
   * const model = mlp({ sizes: [2, 3, 2], seed: 1 });
   * const bias = { dtype: 'float32', dims: [2], data: Float32Array.of(1, -1) } as const;
   * const changed = model.with(new Map([['fc2.bias', bias]]));
   */
  with(parameters: ReadonlyMap<string, TensorLike>): this;
  /**
   * Return the bytes of an `.onnx` file of the model.
   * @param parameters new elements, as for `with`; by default those that the model has
   * @throws GraphError naming a tensor that the model does not have or whose shape or element type differs
   */
  encode(parameters?: ReadonlyMap<string, TensorData>): Uint8Array;
}

/**
 * Check that a value is a model: callers in JavaScript may pass anything.
 * @throws OptionError saying what it is instead
 */
export function checkModel(of: string, model: Model): void {
  const given: unknown = model;
  if (isRecord(given) && given.parameters instanceof Map && isRecord(given.graph)) return;
  const advice =
    typeof given === 'string'
      ? `load it first: await loadModel('${given.slice(0, 60)}')`
      : 'make one, as by mlp({ seed: 1 }) or await loadModel(FILE)';
  throw new OptionError(`the model given to ${of} is ${described(given)}; ${advice}`);
}

/** Return the model of a built graph. */
export function builtModel(
  name: string,
  graph: Graph,
  parameters: ReadonlyMap<string, Value>,
  statistics: ReadonlyMap<string, Value> = new Map(),
  options: WriteOptions = {},
): Model {
  return {
    name,
    graph,
    parameters,
    statistics,
    metadata: options.metadata ?? {},
    isPretrained: false,
    with(given) {
      return withNewElements(this, given, () => ({}));
    },
    encode: (updated = new Map()) =>
      encodeModel(graph, { ...options, constants: newElements(name, parameters, statistics, updated) }),
  };
}

/** The model that another was made of by `with`, and its new elements: after several phases of training only one set is held. */
const origins = new WeakMap<Model, { readonly origin: Model; readonly elements: Elements }>();

/**
 * Return the model with new elements: `with` of all kinds of models.
 * @param model the model whose method is called, which may be an edited copy of the one that the method was made for
 * @param rest the other fields of this kind of model, given the model that writes the file and the elements to pass to it
 */
export function withNewElements<Kind extends Model>(
  model: Kind,
  given: ReadonlyMap<string, TensorLike>,
  rest: (origin: Kind, elements: (updated: Elements) => Elements) => Partial<Kind>,
): Kind {
  const { name, parameters, statistics } = model;
  const all: unknown = given;
  if (!(all instanceof Map)) {
    throw new OptionError(
      `the parameters for model '${name}' are ${described(all)}; give a Map of tensors by their names: new Map([['name', tensor]])`,
    );
  }
  const tensors = [...given].map(
    ([key, tensor]) => [key, ownTensor(toTensorData(tensor, `'${key}' of model '${name}'`))] as const,
  );
  const replacements = new Map<Value, Value>();
  for (const [value, data] of newElements(name, parameters, statistics, new Map(tensors))) {
    replacements.set(value, new Value(value.name, value.type, data));
  }
  const renewed = (values: ReadonlyMap<string, Value>): Map<string, Value> =>
    new Map([...values].map(([key, value]) => [key, replacements.get(value) ?? value]));
  const before = origins.get(model);
  const origin = (before?.origin ?? model) as Kind; // `with` keeps the kind
  const elements = new Map([...(before?.elements ?? []), ...tensors]);
  const together = (updated: Elements): Elements => new Map([...elements, ...updated]);
  const made: Kind = {
    ...model,
    graph: replaceValues(model.graph, replacements),
    parameters: renewed(parameters),
    statistics: renewed(statistics),
    isPretrained: true,
    encode: (updated: Elements = new Map()) => origin.encode(together(updated)),
    ...rest(origin, together),
  };
  origins.set(made, { origin, elements });
  return made;
}

/** A tensor in float32 or wider that its giver cannot change afterwards. */
function ownTensor(given: TensorData): TensorData {
  const wide = widen(given);
  return wide.data === given.data ? { ...wide, data: wide.data.slice() } : wide;
}

/** Return the new elements of a model's tensors, by value. @throws GraphError for names, shapes or types that it does not have */
export function newElements(
  model: string,
  parameters: ReadonlyMap<string, Value>,
  statistics: ReadonlyMap<string, Value>,
  updated: ReadonlyMap<string, TensorData>,
): Map<Value, TensorData> {
  const elements = new Map<Value, TensorData>();
  for (const [name, data] of updated) {
    const value = parameters.get(name) ?? statistics.get(name);
    if (!value) {
      throw new GraphError(
        `model '${model}' has no parameter '${name}': what train returns as parameters belongs to the model that it returns with them, ` +
          'which may standardize its data: use that one, as in saveModel(result.model, path)',
      );
    }
    const given = { dtype: data.dtype, shape: data.dims };
    if (formatType(given) !== formatType(value.type)) {
      throw new GraphError(
        `parameter '${name}' of model '${model}' is ${formatType(value.type)}; it cannot become ${formatType(given)}`,
      );
    }
    elements.set(value, data);
  }
  return elements;
}
