// Low-rank adapters: y = x·W + (α/r)·(x·A)·B with W frozen (Hu et al. 2021, "LoRA", eq. 3). They are dense layers, so
// second-order optimizers find their curvature; a file gets W + (α/r)·A·B and needs no adapters.

import { GraphError, OptionError, UnsupportedError } from '../../errors.js';
import { floatAttribute, intAttribute, type Node, Value } from '../../graph/graph.js';
import { inline, type Rewrite } from '../../graph/inline.js';
import { allocate, elementCount, type TensorData, tensor } from '../../graph/tensor.js';
import { usesIn } from '../../graph/uses.js';
import { checkedNumber, checkedSeed, checkedTexts, checkKeys, described, type OptionKeys } from '../../options.js';
import { random } from '../../random.js';
import { type FileModel, isFileModel, withPatch } from '../file-model.js';
import { checkModel, type Model } from '../model.js';
import { type DenseLayer, denseLayer, parameterReaders } from './dense-layers.js';
import { copyOf } from './graph-copy.js';
import { matching } from './select.js';

export interface LoraOptions {
  /** r, the inner size of the adapters. */
  readonly rank: number;
  /** α: adapters are scaled by α/r; by default α = r. */
  readonly alpha?: number;
  /** Globs of the weights that get adapters; by default those of all dense layers. */
  readonly weights?: readonly string[];
  /** Globs of weights that get none although `weights` matches them. By default none. */
  readonly except?: readonly string[];
  /** Globs of parameters that are trained beside the adapters, such as a new head. By default none. */
  readonly train?: readonly string[];
  readonly seed: number;
}

const keys: OptionKeys<LoraOptions> = { rank: true, alpha: true, weights: true, except: true, train: true, seed: true };

interface Adapter {
  readonly layer: DenseLayer;
  readonly a: Value;
  readonly b: Value;
  /** α/r */
  readonly scale: number;
}

/**
 * Return the model with adapters as its parameters: `<weight>.lora_a` `[inputs, r]`, normal of variance 1/inputs, and
 * `<weight>.lora_b` `[r, outputs]`, zero, so that it starts as the same function. Writing it merges them: the file is
 * the base model's, with new elements in the adapted weights. Weights that other nodes read as well (a head tied to an
 * embedding) get no adapter unless `weights` names them.
 * @throws OptionError for unknown options, a rank above the smaller side of a layer, or globs that match nothing;
 *   UnsupportedError for named weights that several nodes share
 * @example
 * const adapted = addLora(await loadModel('gpt.onnx'), { rank: 8, seed: 1 });
 */
export function addLora(model: FileModel, options: LoraOptions): FileModel;
export function addLora(model: Model, options: LoraOptions): Model;
export function addLora(model: Model, options: LoraOptions): Model {
  checkModel('addLora', model);
  checkKeys('addLora', options, keys);
  for (const name of ['weights', 'except', 'train'] as const) checkedTexts(name, options[name]);
  if (options.alpha !== undefined) checkedNumber('alpha', options.alpha, { above: 0 });
  checkedSeed(options.seed);
  const { rank } = options;
  if (!Number.isInteger(rank) || rank < 1) {
    throw new OptionError(`the rank of the adapters is ${described(rank)}; it must be a whole number of at least 1`);
  }
  const adapters = adaptersOf(model, options);
  const trained = matching(model, options.train ?? []);
  for (const { layer } of adapters.values()) trained.delete(layer.weight);
  const parameters = new Map([...model.parameters].filter(([name]) => trained.has(name)));
  for (const { layer, a, b } of adapters.values()) {
    parameters.set(`${layer.weight}.lora_a`, a);
    parameters.set(`${layer.weight}.lora_b`, b);
  }
  const merge = (updated: ReadonlyMap<string, TensorData>) => merged(model, parameters, adapters, updated);
  const adapted = { graph: adaptedGraph(model, adapters), parameters };
  if (!isFileModel(model)) {
    return { ...model, ...adapted, encode: (updated = new Map()) => model.encode(merge(updated)) };
  }
  return withPatch(model, adapted, model.patch.followedBy(merge));
}

function adaptersOf(model: Model, options: LoraOptions): Map<Node, Adapter> {
  const uses = usesIn(model.graph);
  const chosen = options.weights && matching(model, options.weights);
  const excepted = matching(model, options.except ?? []);
  const adapters = new Map<Node, Adapter>();
  const adapted = new Set<string>();
  for (const node of model.graph.nodes) {
    const layer = denseLayer(model, node, uses);
    if (!layer || node.op === 'Conv' || intAttribute(node, 'transA', 0) === 1) continue;
    if ((chosen && !chosen.has(layer.weight)) || excepted.has(layer.weight)) continue;
    // An adapter changes one layer; merged into a weight that others read, it would change them all.
    if (parameterReaders(model, layer.weight, uses).length > 1) {
      if (!chosen) continue;
      throw new UnsupportedError(
        `the weight '${layer.weight}' is shared by several layers and cannot get adapters; choose others by their names`,
      );
    }
    adapted.add(layer.weight);
    adapters.set(node, newAdapter(model, layer, options));
  }
  for (const name of chosen ?? []) {
    if (adapted.has(name) || excepted.has(name)) continue;
    throw new OptionError(`'${name}' is not the weight of a dense layer and cannot get adapters`);
  }
  if (adapters.size === 0) {
    throw new OptionError(
      `model '${model.name}' has no dense layer that adapters fit: products of an input with a stored weight that nothing else reads`,
    );
  }
  return adapters;
}

function newAdapter(model: Model, layer: DenseLayer, { rank, alpha = rank, seed }: LoraOptions): Adapter {
  const weight = model.parameters.get(layer.weight);
  const outputs = weight?.dims[layer.outputAxis] ?? 0;
  const inputs = weight?.dims[1 - layer.outputAxis] ?? 0;
  if (rank > Math.min(inputs, outputs)) {
    throw new OptionError(
      `adapters of rank ${rank} are larger than the layer '${layer.weight}' of ${inputs} inputs and ${outputs} outputs; choose a ` +
        `rank of at most ${Math.min(inputs, outputs)}, or train this layer in full (train) or not at all (freeze; of addLora, except)`,
    );
  }
  const drawn = new Float32Array(inputs * rank);
  random(seed, 'lora', layer.weight).fillNormal(drawn, 0, 1 / Math.sqrt(inputs));
  const dtype = weight?.dtype === 'float64' ? 'float64' : 'float32';
  const first = tensor(dtype, [inputs, rank], dtype === 'float64' ? Float64Array.from(drawn) : drawn);
  const second = tensor(dtype, [rank, outputs], allocate(dtype, rank * outputs));
  const named = (name: string, data: TensorData) => new Value(name, { dtype, shape: data.dims }, data);
  const [a, b] = [named(`${layer.weight}.lora_a`, first), named(`${layer.weight}.lora_b`, second)];
  return { layer, a, b, scale: alpha / rank };
}

/** A Gemm multiplies its product by alpha, and so the weight that an adapter is merged into. */
const gainOf = ({ node }: DenseLayer): number => (node.op === 'Gemm' ? floatAttribute(node, 'alpha', 1) : 1);

function adaptedGraph(model: Model, adapters: ReadonlyMap<Node, Adapter>) {
  const { b, bindings } = copyOf(model);
  const rewrite: Rewrite = (node, inputs) => {
    const adapter = adapters.get(node);
    const [x] = inputs;
    if (!adapter || !x) return undefined;
    const { name } = node;
    const op = (kind: string, operands: readonly Value[], suffix: string): Value =>
      b.op(kind, operands, {}, { name: `${name}/${suffix}`, outputs: [`${name}/${suffix}`] });
    const [y] = b.node(node.op, inputs, node.attributes, { name, outputs: node.outputs.map((output) => output.name) });
    const inner = op('MatMul', [x, adapter.a], 'lora_a');
    const outer = op('MatMul', [inner, adapter.b], 'lora_b');
    const scale = adapter.scale * gainOf(adapter.layer);
    const scaled = scale === 1 ? outer : op('Mul', [outer, b.scalar(scale, adapter.a.dtype)], 'lora_scale');
    return [op('Add', [y as Value, scaled], 'lora')];
  };
  const { outputs } = inline(b, model.graph, bindings, rewrite);
  return b.build(model.graph.name, Object.fromEntries(outputs));
}

/** Return the base model's parameters: those trained beside the adapters, and each adapted weight with its adapter added. */
function merged(
  model: Model,
  parameters: ReadonlyMap<string, Value>,
  adapters: ReadonlyMap<Node, Adapter>,
  updated: ReadonlyMap<string, TensorData>,
): Map<string, TensorData> {
  const result = new Map<string, TensorData>();
  for (const [name, data] of updated) {
    if (!parameters.has(name) && !model.statistics.has(name)) {
      throw new GraphError(`model '${model.name}' with adapters has no parameter '${name}'`);
    }
    if (model.parameters.has(name) || model.statistics.has(name)) result.set(name, data);
  }
  for (const { layer, a, b, scale } of adapters.values()) {
    const weight = model.parameters.get(layer.weight)?.constant;
    const [first, second] = [updated.get(a.name) ?? a.constant, updated.get(b.name) ?? b.constant];
    if (!weight || !first || !second) throw new GraphError(`the weight '${layer.weight}' has no elements`);
    // Nothing to add: the stored tensor stays as it is.
    if (second.data.every((element: number | bigint) => Number(element) === 0)) continue;
    result.set(layer.weight, addProduct(weight, layer.outputAxis, first, second, scale));
  }
  return result;
}

/** Return W + scale·A·B in the layout that W is stored in. */
function addProduct(weight: TensorData, outputAxis: number, a: TensorData, b: TensorData, scale: number): TensorData {
  const [inputs = 0, rank = 0] = a.dims;
  const outputs = b.dims[1] ?? 0;
  const data = allocate(weight.dtype, elementCount(weight.dims));
  for (let i = 0; i < inputs; i++) {
    for (let j = 0; j < outputs; j++) {
      let sum = 0;
      for (let k = 0; k < rank; k++) sum += Number(a.data[i * rank + k]) * Number(b.data[k * outputs + j]);
      const at = outputAxis === 1 ? i * outputs + j : j * inputs + i;
      data[at] = Number(weight.data[at]) + scale * sum;
    }
  }
  return tensor(weight.dtype, weight.dims, data);
}
