// A model: a graph with a symbolic batch whose parameters are named constants, and how to write it with new ones.
import { GraphError, OptionError } from '../errors.js';
import { formatType, type Graph, type Value } from '../graph/graph.js';
import type { TensorData } from '../graph/tensor.js';
import { encodeModel, type WriteOptions } from '../onnx/encode/writer.js';
import { described, isRecord } from '../options.js';

export interface Model {
  readonly name: string;
  /** Operators of opset 21; the parameters are its named constants. */
  readonly graph: Graph;
  /** Trainable tensors by name; `Value.constant` holds their initial elements. */
  readonly parameters: ReadonlyMap<string, Value>;
  /**
   * Tensors that go with the parameters and are not trained, by name: running averages of batch normalization, which
   * training updates, and what `normalized` and `withTargetNormalization` take out of the data.
   */
  readonly statistics: ReadonlyMap<string, Value>;
  /**
   * The bytes of an `.onnx` file of the model. Parameters and statistics that the map lacks keep their initial elements.
   * @throws GraphError naming a tensor that the model does not have or whose shape or element type differs
   */
  encode(parameters: ReadonlyMap<string, TensorData>): Uint8Array;
}

/**
 * Refuses what is no model, as callers in JavaScript may give.
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

/** A model made of a built graph. */
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
    encode: (updated) =>
      encodeModel(graph, { ...options, constants: newElements(name, parameters, statistics, updated) }),
  };
}

/** The new elements of a model's tensors, by value. */
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
          'which may standardize its data: use that one, as in saveModel(result.model, result.parameters, path)',
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
