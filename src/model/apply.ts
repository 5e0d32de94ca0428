// A model applied to values inside a builder: its first output, at given parameters. Pictures have their channels first,
// `[batch, channels, height, width]`; models that came from TensorFlow have them last, and are given them through a
// Transpose, in the program of training and not in the model's file.
import { GraphError } from '../errors.js';
import { firstOutputOf, type Shape, type Value } from '../graph/graph.js';
import { inline, type Rewrite } from '../graph/inline.js';
import { type Inputs, isUnnamed, listInputs } from '../graph/inputs.js';
import { type DataType, isInteger } from '../graph/tensor.js';
import type { Builder } from '../ops/builder.js';
import { sameShape } from '../ops/shapes/shapes.js';
import type { Model } from './model.js';

/**
 * Return the model's first output on its input (or inputs by name), pictures in the model's own order of axes.
 * @param parameters new values of parameters and running averages by name; others keep their elements
 */
export function applyModel(
  b: Builder,
  model: Model,
  parameters: ReadonlyMap<string, Value>,
  inputs: Inputs<Value>,
): Value {
  return appliedModel(b, model, parameters, inputs).prediction;
}

/**
 * Return the model's first output as `applyModel` does, and an inner value.
 * @param rewrite what to emit instead of some nodes
 * @param wanted a value that the model computes on the way to its first output
 */
export function appliedModel(
  b: Builder,
  model: Model,
  parameters: ReadonlyMap<string, Value>,
  inputs: Inputs<Value>,
  rewrite?: Rewrite,
  wanted?: Value,
): { readonly prediction: Value; readonly inner: Value | undefined } {
  const { inputs: declarations } = model.graph;
  if (isUnnamed(inputs) && declarations.length !== 1) {
    throw new GraphError(
      `model '${model.name}' has ${declarations.length} inputs (${declarations.map(({ name }) => name).join(', ')}): give each a value by its name`,
    );
  }
  const given = new Map(listInputs(inputs));
  const bindings = new Map<Value, Value>();
  for (const declared of declarations) {
    const bound = given.get(isUnnamed(inputs) ? undefined : declared.name);
    if (bound) bindings.set(declared, asInput(b, declared, bound));
  }
  for (const [name, value] of [...model.parameters, ...model.statistics]) {
    const bound = parameters.get(name);
    if (bound) bindings.set(value, bound);
  }
  const copy = inline(b, firstOutputOf(model.graph), bindings, rewrite);
  const [prediction] = copy.outputs.values();
  if (!prediction) throw new GraphError(`model '${model.name}' has no output`);
  return { prediction, inner: wanted && copy.values.get(wanted) };
}

/** Return data for a declared input: integers in its own type, pictures in its order of axes. */
export function asInput(b: Builder, declared: Value, data: Value): Value {
  const isOther = data.dtype !== declared.dtype && takesNumbersOf(declared.dtype, data.dtype);
  return asDeclared(b, isOther ? b.cast(data, declared.dtype) : data, declared.shape);
}

/** Whether an input of one type takes numbers of another: data have int64, and a model may declare int32. */
export const takesNumbersOf = (declared: DataType, given: DataType): boolean =>
  declared === given || (isInteger(declared) && isInteger(given));

/** Whether a tensor of pictures fits a shape only with its channels last. Symbolic sizes fit all. */
export function takesChannelsLast(declared: Shape, given: Shape): boolean {
  const [batch, channels, height, width] = given;
  if (declared.length !== 4 || given.length !== 4 || sameShape(declared, given)) return false;
  const fits = (sizes: Shape) =>
    sizes.every((size, axis) => typeof declared[axis] === 'string' || size === declared[axis]);
  return typeof declared[3] === 'number' && !fits(given) && fits([batch, height, width, channels] as Shape);
}

/** Return pictures in the order of axes that a model declares. */
export const asDeclared = (b: Builder, pictures: Value, declared: Shape): Value =>
  takesChannelsLast(declared, pictures.shape) ? b.transpose(pictures, [0, 2, 3, 1]) : pictures;
