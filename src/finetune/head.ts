// Gives a classifier a new last layer for another number of classes.
import { random } from '../data/random.js';
import { OptionError, UnsupportedError } from '../errors.js';
import { encodeMessage, type FileModel, modelFromBytes } from '../graph/file-model.js';
import { describeNode, type Node, type Value } from '../graph/graph.js';
import { narrow } from '../graph/half-precision.js';
import { inline } from '../graph/inline.js';
import type { Model } from '../graph/model.js';
import { decodeProto } from '../graph/onnx-reader.js';
import { replaceElements } from '../graph/onnx-tensor.js';
import { dataTypeOf } from '../graph/onnx-types.js';
import { allocate, elementCount, type TensorData, tensor } from '../graph/tensor.js';
import { Builder } from '../ops/builder.js';
import { semantics } from '../ops/table.js';
import { type DenseLayer, denseLayer, readersOf, usersOf } from './dense-layers.js';

/** Operators between the last layer and the model's output that keep the number of classes. */
const after = new Set([
  ...['Identity', 'Cast', 'Softmax', 'LogSoftmax', 'Sigmoid', 'Flatten', 'Relu', 'Dropout'],
  ...['GlobalAveragePool', 'GlobalMaxPool', 'ReduceMean', 'Squeeze'],
]);

/**
 * The model with its last layer made anew for `classes` outputs; all names stay. New weights are uniform within
 * ±1/√inputs, as PyTorch's Linear starts; the new bias is zero.
 * @throws UnsupportedError naming the node where the path from the output to a last layer is none that is known
 * @example
 * const flowers = replaceHead(await loadModel('imagenet.onnx'), 5, 1);
 */
export function replaceHead(model: Model, classes: number, seed: number): FileModel {
  if (!Number.isInteger(classes) || classes < 1) {
    throw new OptionError(`the new number of classes is ${classes}; it must be a whole number of at least 1`);
  }
  const { weight, bias, outputAxis } = lastLayer(model);
  const proto = decodeProto(model.encode(new Map()));
  for (const stored of proto.graph?.initializer ?? []) {
    if (stored.name !== weight && stored.name !== bias) continue;
    const old = model.parameters.get(stored.name);
    if (!old) continue;
    const axis = stored.name === weight ? outputAxis : old.rank - 1;
    const dims = old.dims.map((size, i) => (i === axis ? classes : size));
    const data = stored.name === weight ? newWeight(old, dims, classes, seed) : zeros(old, dims);
    const dtype = dataTypeOf(stored.dataType);
    stored.dims = dims.map(BigInt);
    replaceElements(stored, dtype === 'float16' || dtype === 'bfloat16' ? narrow(data, dtype) : data);
  }
  // Declared sizes of the old classes; what is computed is inferred again.
  if (proto.graph) proto.graph.valueInfo = [];
  for (const { type } of proto.graph?.output.slice(0, 1) ?? []) {
    const dim = type?.value.case === 'tensorType' ? type.value.value.shape?.dim : undefined;
    const at = dim?.[classAxis(model)];
    if (at) at.value = { case: 'dimValue', value: BigInt(classes) };
  }
  const changed = modelFromBytes(encodeMessage(proto, model.name), semantics, { name: model.name });
  checkClasses(changed, classes);
  return changed;
}

/** Names of the last layer's weight and bias. @throws UnsupportedError as `replaceHead` does */
export function headOf(model: Model): string[] {
  const { weight, bias } = lastLayer(model);
  return bias === undefined ? [weight] : [weight, bias];
}

/** The layer that computes the model's first output. */
function lastLayer(model: Model): DenseLayer {
  const [output] = model.graph.outputs;
  const users = usersOf(model.graph);
  for (let value = output?.value; value?.producer; ) {
    const node = value.producer;
    const layer = denseLayer(model, node, users);
    if (layer) return unshared(model, layer, users);
    const [first, second] = node.inputs;
    if (node.op === 'Add' && node.domain === '') value = first?.producer?.op === 'MatMul' ? first : second;
    else if (after.has(node.op) && node.domain === '') value = first;
    else {
      throw new UnsupportedError(
        `the last layer of model '${model.name}' cannot be replaced: its output comes from ${describeNode(node)}, and ` +
          'cgfac looks for a dense layer or a convolution with stored weights there',
      );
    }
  }
  throw new UnsupportedError(`model '${model.name}' has no dense layer before its output`);
}

function unshared(model: Model, layer: DenseLayer, users: ReadonlyMap<Value, readonly Node[]>): DenseLayer {
  for (const name of [layer.weight, layer.bias]) {
    if (name !== undefined && readersOf(model, name, users) > 1) {
      throw new UnsupportedError(
        `the last layer of model '${model.name}' cannot be replaced: its '${name}' is used elsewhere as well (tied weights)`,
      );
    }
  }
  return layer;
}

function newWeight(old: Value, dims: readonly number[], classes: number, seed: number): TensorData {
  const elements = new Float32Array(elementCount(dims));
  const bound = 1 / Math.sqrt(elements.length / classes);
  random(seed, 'head', old.name).fillUniform(elements, -bound, bound);
  return old.dtype === 'float64'
    ? tensor('float64', dims, Float64Array.from(elements))
    : tensor('float32', dims, elements);
}

const zeros = (old: Value, dims: readonly number[]): TensorData =>
  tensor(old.dtype, dims, allocate(old.dtype, elementCount(dims)));

/** Classes are the last axis; the second of images, where the last layer is a convolution without pooling to vectors. */
function classAxis(model: Model): number {
  const rank = model.graph.outputs[0]?.value.knownType?.shape.length ?? 2;
  return lastLayer(model).node.op === 'Conv' && rank > 2 ? 1 : rank - 1;
}

/** Binds the model to a batch of two: what reshapes to the old number of classes fails here. */
function checkClasses(model: FileModel, classes: number): void {
  const b = new Builder();
  const bindings = new Map(
    model.graph.inputs.map((input) => {
      const dims = input.shape.map((size) => (typeof size === 'string' ? 2 : size));
      return [input, b.input(input.name, input.dtype, dims)] as const;
    }),
  );
  const [output] = inline(b, model.graph, bindings).outputs.values();
  if (output?.shape[classAxis(model)] !== classes) {
    throw new UnsupportedError(
      `the last layer of model '${model.name}' cannot be replaced: its output would be [${output?.shape.join(', ')}]`,
    );
  }
}
