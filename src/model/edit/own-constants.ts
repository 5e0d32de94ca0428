// A model with constants that its file holds as Constant nodes: training does not move them. They are among the model's
// statistics, so that parameters trained with them are not saved without them.

import { type Graph, Value } from '../../graph/graph.js';
import { elementCount, type TensorData, tensorFrom } from '../../graph/tensor.js';
import { decodeProto } from '../../onnx/decode/message.js';
import { Patch } from '../../onnx/patch.js';
import { isFileModel, withPatch } from '../file-model.js';
import { type Model, newElements } from '../model.js';

type Message = ReturnType<typeof decodeProto>;

/** Return a constant and its name: `numbers`, each repeated to fill `dims`. */
export function constantOf(name: string, numbers: readonly number[], dims: readonly number[]): [string, Value] {
  const each = elementCount(dims) / numbers.length;
  const elements = numbers.flatMap((number) => Array<number>(each).fill(number));
  return [name, new Value(name, { dtype: 'float32', shape: dims }, tensorFrom('float32', dims, elements))];
}

/**
 * Return the model with constants.
 * @param graph the model's graph with the nodes that read them
 * @param write puts these nodes into the message of the model's file, given the elements of each constant
 */
export function withConstants(
  model: Model,
  own: ReadonlyMap<string, Value>,
  graph: Graph,
  write: (proto: Message, value: (name: string) => TensorData) => Message,
): Model {
  const changed = { graph, statistics: new Map([...model.statistics, ...own]) };
  const written = (proto: Message, updated: ReadonlyMap<string, TensorData>): Message => {
    // Checks types and shapes.
    const elements = newElements(model.name, own, new Map(), new Map([...updated].filter(([name]) => own.has(name))));
    return write(proto, (name) => {
      const value = own.get(name);
      const data = value && (elements.get(value) ?? value.constant);
      if (!data) throw new Error(`'${name}' is not one of the constants of model '${model.name}'`);
      return data;
    });
  };
  const rest = (updated: ReadonlyMap<string, TensorData>) => new Map([...updated].filter(([name]) => !own.has(name)));
  const patch = isFileModel(model)
    ? model.patch
    : new Patch(model.name, (elements) => decodeProto(model.encode(elements)));
  const whole = patch.followedBy(rest, written);
  if (isFileModel(model)) return withPatch(model, changed, whole);
  return { ...model, ...changed, encode: (updated = new Map()) => whole.encode(updated) };
}
