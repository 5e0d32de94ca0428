// Gives a classifier a new last layer for another number of classes.

import { GraphError, UnsupportedError } from '../../errors.js';
import { assumedSizes } from '../../graph/assumed-sizes.js';
import { type Dimension, describeNode, firstOutputOf, type Shape, type Value } from '../../graph/graph.js';
import { inline } from '../../graph/inline.js';
import { allocate, elementCount, type TensorData, tensor } from '../../graph/tensor.js';
import { seeThrough, type Uses, usesIn } from '../../graph/uses.js';
import { decodeProto } from '../../onnx/decode/message.js';
import { withOutputSize } from '../../onnx/edits/output-size.js';
import { encodeMessage, withInitializers } from '../../onnx/patch.js';
import { Builder } from '../../ops/builder.js';
import { isSameNumbers, traitsOf } from '../../ops/table.js';
import { checkedCount, checkedSeed } from '../../options.js';
import { random } from '../../random.js';
import { type FileModel, modelRemade } from '../file-model.js';
import { meaningOf, withMeaning } from '../meaning.js';
import { checkModel, type Model } from '../model.js';
import { type DenseLayer, denseLayer, parameterReaders } from './dense-layers.js';
import { withoutTargetNormalization } from './target-normalization.js';

/**
 * Return the model with a new last layer of `classes` outputs; all names stay. A normalization of targets, which belonged
 * to the old outputs, is removed, and so are the names of its classes. New weights are uniform within ±1/√inputs, as those of PyTorch's Linear; the new bias is
 * zero.
 * @throws UnsupportedError naming the node if no known path leads from the output to a last layer, or if nodes after the
 *   layer compute with the old number of classes
 * @example
 * const flowers = replaceHead(await loadModel('imagenet.onnx'), 5, 1);
 */
export function replaceHead(given: Model, classes: number, seed: number): FileModel {
  checkModel('replaceHead', given);
  checkedSeed(seed);
  checkedCount('the new number of classes', classes, 1_000_000);
  const model = withoutTargetMeaning(withoutTargetNormalization(given));
  const head = lastLayer(model);
  const { weight, bias } = head;
  const axisOfClasses = classAxis(model, head, classes);
  const elements = new Map<string, TensorData>();
  for (const name of [weight, bias]) {
    const old = name === undefined ? undefined : model.parameters.get(name);
    if (!old) continue;
    const dims = resized(head, old, classes);
    elements.set(old.name, old.name === weight ? newWeight(old, dims, classes, seed) : zeros(old, dims));
  }
  const proto = withOutputSize(decodeProto(model.encode(new Map())), axisOfClasses, classes);
  const bytes = encodeMessage(withInitializers(proto, elements, new Map()), model.name);
  return modelRemade(model, bytes);
}

/** The meaning of the inputs stays: names of columns, pictures, characters. */
function withoutTargetMeaning(model: Model): Model {
  const { columns, picture, text } = meaningOf(model);
  return withMeaning(model, { ...(columns && { columns }), ...(picture && { picture }), ...(text && { text }) });
}

/** Return the shape of the head's weight or bias with another number of classes. */
function resized({ weight, outputAxis }: DenseLayer, tensor: Value, classes: number): number[] {
  const axis = tensor.name === weight ? outputAxis : tensor.rank - 1;
  return tensor.dims.map((size, i) => (i === axis ? classes : size));
}

/** Return the names of the last layer's weight and bias. @throws UnsupportedError as `replaceHead` does */
export function headOf(model: Model): string[] {
  const { weight, bias } = lastLayer(model);
  return bias === undefined ? [weight] : [weight, bias];
}

/** Return the layer that computes the model's first output. @throws UnsupportedError as `replaceHead` does */
function lastLayer(model: Model): DenseLayer {
  const [output] = model.graph.outputs;
  const uses = usesIn(model.graph);
  for (let value = output?.value; value?.producer; ) {
    const node = value.producer;
    const layer = denseLayer(model, node, uses);
    if (layer) return unshared(model, layer, uses);
    const [first, second] = node.inputs;
    const { arranges, converts, keepsClasses, arithmetic } = traitsOf(node);
    if (arranges || converts || keepsClasses) value = first;
    else if (arithmetic && isStored(first) !== isStored(second)) {
      // A bias or a temperature.
      value = isStored(first) ? second : first;
    } else throw refused(model, `its output comes from ${describeNode(node)}`);
  }
  throw refused(model, 'no dense layer or convolution comes before its output');
}

const refused = (model: Model, reason: string) =>
  new UnsupportedError(
    `the last layer of model '${model.name}' cannot be replaced: ${reason}. cgfac replaces a dense layer or a convolution ` +
      'whose stored weight nothing else reads and whose outputs become the classes of the first output; export the model ' +
      'with such a classifier at its end',
  );

/** Whether a value is a stored tensor, perhaps seen in another shape or type. */
const isStored = (value: Value | undefined): boolean =>
  value !== undefined && seeThrough(value, isSameNumbers).constant !== undefined;

function unshared(model: Model, layer: DenseLayer, uses: Uses): DenseLayer {
  for (const name of [layer.weight, layer.bias]) {
    if (name !== undefined && parameterReaders(model, name, uses).length > 1) {
      throw refused(model, `its '${name}' is used elsewhere as well (tied weights)`);
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

/**
 * Return the axis of the model's first output that runs over the classes: the one that grows with the head's outputs.
 * @throws UnsupportedError if there is no such axis, or nodes after the head compute with the old number of classes
 */
function classAxis(model: Model, head: DenseLayer, classes: number): number {
  const [some, more] = [classes, classes + 1].map((count) => outputShape(model, head, count));
  const changed = (some ?? []).flatMap((size, axis) => (size === more?.[axis] ? [] : [axis]));
  const [axis] = changed;
  const isOne = axis !== undefined && changed.length === 1;
  if (isOne && some?.[axis] === classes && more?.[axis] === classes + 1) return axis;
  throw refused(
    model,
    `with ${classes} classes its output would be [${some?.join(', ')}], with one more [${more?.join(', ')}]`,
  );
}

/** Return the shape of the first output with another number of classes, on two examples. */
function outputShape(model: Model, head: DenseLayer, classes: number): Shape {
  const { inputs } = model.graph;
  const batches = new Set(inputs.map(({ shape: [first] }) => first));
  let refusal: GraphError | undefined;
  for (const size of inputs.some(({ shape }) => shape.some((axis) => isOther(axis, batches))) ? assumedSizes : [2]) {
    const sized = (axis: Dimension) => (typeof axis === 'number' ? axis : batches.has(axis) ? 2 : size);
    const shapes = new Map(inputs.map((input) => [input, input.shape.map(sized)]));
    try {
      return boundOutput(model, head, classes, shapes).shape;
    } catch (error) {
      if (!(error instanceof GraphError)) throw error;
      refusal ??= error;
    }
  }
  throw refused(model, `with ${classes} classes, ${refusal?.message}`);
}

const isOther = (axis: Dimension, batches: ReadonlySet<Dimension | undefined>): boolean =>
  typeof axis === 'string' && !batches.has(axis);

function boundOutput(model: Model, head: DenseLayer, classes: number, shapes: ReadonlyMap<Value, number[]>): Value {
  const b = new Builder();
  const bindings = new Map([...shapes].map(([input, dims]) => [input, b.input(input.name, input.dtype, dims)]));
  for (const name of [head.weight, head.bias]) {
    const value = name === undefined ? undefined : model.parameters.get(name);
    if (value) bindings.set(value, b.input(value.name, value.dtype, resized(head, value, classes)));
  }
  const [output] = inline(b, firstOutputOf(model.graph), bindings).outputs.values();
  if (!output) throw new GraphError(`model '${model.name}' has no output`);
  return output;
}
