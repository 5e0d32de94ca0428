// Predictions of a model for any number of examples, computed in batches that fit memory.
import type { Engine, Program } from '../engine/engine.js';
import { GraphError, OptionError } from '../errors.js';
import { type Graph, neededNodes, type Value } from '../graph/graph.js';
import { inline } from '../graph/inline.js';
import { allocate, bytesPerElement, elementCount, type TensorData, tensor } from '../graph/tensor.js';
import { type TensorLike, toTensorData } from '../graph/tensor-like.js';
import { checkModel, type Model } from '../model/model.js';
import { Builder } from '../ops/builder.js';
import { checkedCount, checkedTexts, checkKeys, type OptionKeys } from '../options.js';
import { withEngine } from './default-engine.js';
import { fittedInputs, type ModelInputs, type NestedArray } from './given.js';

export interface PredictOptions {
  /** Names of the outputs to compute; by default all. */
  readonly outputs?: readonly string[];
  /** Examples computed at once; by default as many as need 256 MiB for all intermediate values. */
  readonly batchSize?: number;
  /** The engine that computes; by default a new one, which is closed afterwards: see `train`. */
  readonly engine?: Engine;
}

const keys: OptionKeys<PredictOptions> = { outputs: true, batchSize: true, engine: true };

/**
 * Return a model's outputs on any number of examples, by name. The model is evaluated as in use: without dropout, and
 * normalized by running averages. Models with a fixed batch size also take any number of examples.
 * @param inputs the model's input, or its inputs by name, as tensors or arrays; the first axis is the batch
 * @throws GraphError if the inputs do not fit the model, or an output has no axis of examples and they must be split;
 *   OptionError for an unknown name
 * @example
 * const model = mlp({ sizes: [2, 8, 3], seed: 1 });
 * const { output } = await predict(model, [[1, 2], [3, 4]]);
 * console.log(output?.dims, toNestedArray(output));
 */
export async function predict(
  model: Model,
  inputs: ModelInputs,
  options: PredictOptions = {},
): Promise<Record<string, TensorData>> {
  checkModel('predict', model);
  checkKeys('predict', options, keys);
  if (options.batchSize !== undefined) checkedCount('batchSize of predict', options.batchSize);
  const names = checkedTexts('outputs', options.outputs) ?? model.graph.outputs.map(({ name }) => name);
  for (const name of names) {
    if (model.graph.outputs.some((output) => output.name === name)) continue;
    throw new OptionError(
      `model '${model.name}' has no output '${name}'; its outputs are ${model.graph.outputs.map((output) => output.name).join(', ')}`,
    );
  }
  const batch = new Examples(model, inputs);
  const size = batch.fixed ?? options.batchSize ?? usualBatch(model, batch, names);
  return await withEngine(options.engine, async (engine) => {
    const programs = new Map<number, Program>();
    const parts: Record<string, TensorData>[] = [];
    for (let start = 0; start === 0 || start < batch.count; start += size) {
      const rows = Math.min(size, batch.count - start);
      const feeds = batch.slice(start, rows);
      const key = batch.fixed ?? rows;
      const program = programs.get(key) ?? (await engine.compile(graphOf(model, feeds, names)));
      programs.set(key, program);
      parts.push(await program.run(feeds));
    }
    const outputs = names.map((name) => {
      const found = parts.flatMap((part) => part[name] ?? []);
      return [name, batch.joined(model.name, name, found, size)] as const;
    });
    return Object.fromEntries(outputs);
  });
}

/** The inputs of a prediction, which can be split into batches. */
class Examples {
  readonly #inputs: ReadonlyMap<string, TensorData>;
  /** The inputs with an axis of examples; each batch gets the others whole. */
  readonly #split = new Set<string>();
  readonly count: number;
  /** The number of examples that the model computes at once, if it takes no other. */
  readonly fixed: number | undefined;

  constructor(model: Model, given: ModelInputs) {
    const [first] = model.graph.inputs;
    const batch = first?.shape[0];
    this.#inputs = fittedInputs(withAnyBatch(model), given);
    this.count = (first && this.#inputs.get(first.name)?.dims[0]) ?? 1;
    this.fixed = typeof batch === 'number' ? batch : undefined;
    for (const { name, shape } of model.graph.inputs) {
      const rows = this.#inputs.get(name)?.dims[0];
      if (rows === this.count) this.#split.add(name);
      else if (shape[0] === batch && batch !== undefined) {
        throw new GraphError(
          `the inputs of model '${model.name}' have different numbers of examples: '${first?.name}' has ${this.count}, and '${name}' has ${rows}`,
        );
      }
    }
    if (this.count === 0) throw new GraphError(`there are no examples in the inputs of model '${model.name}'`);
  }

  /** Return `rows` examples from `start` on; a fixed batch is padded with the last one. */
  slice(start: number, rows: number): Record<string, TensorData> {
    const size = this.fixed ?? rows;
    return Object.fromEntries(
      [...this.#inputs].map(([name, input]) => {
        if (!this.#split.has(name) || (start === 0 && size === this.count)) return [name, input];
        const { dtype, dims, data } = input;
        const each = elementCount(dims.slice(1));
        const taken = data.subarray(start * each, (start + rows) * each);
        if (size === rows) return [name, tensor(dtype, [size, ...dims.slice(1)], taken)];
        const filled = allocate(dtype, size * each);
        for (let row = 0; row < size; row++) {
          const from = start + Math.min(row, rows - 1);
          copy(data.subarray(from * each, (from + 1) * each), filled, row * each);
        }
        return [name, tensor(dtype, [size, ...dims.slice(1)], filled)];
      }),
    );
  }

  /** Return an output of all examples from the outputs of the batches. */
  joined(model: string, name: string, parts: readonly TensorData[], size: number): TensorData {
    const [first] = parts;
    if (!first) throw new GraphError(`model '${model}' did not compute its output '${name}'`);
    if (parts.length === 1 && (this.fixed === undefined || this.fixed === this.count)) return first;
    const { dtype, dims } = first;
    const each = dims.slice(1);
    for (const [i, part] of parts.entries()) {
      const rows = this.fixed ?? Math.min(size, this.count - i * size);
      if (part.dims[0] === rows && part.dims.slice(1).join() === each.join()) continue;
      throw new GraphError(
        `the output '${name}' of model '${model}' is [${part.dims.join(', ')}] for ${rows} examples: it cannot be put together from parts; give as many examples as are computed at once (batchSize: ${this.fixed ?? this.count})`,
      );
    }
    const data = allocate(dtype, this.count * elementCount(each));
    let offset = 0;
    for (const part of parts) {
      const rest = part.data.subarray(0, data.length - offset);
      copy(rest, data, offset);
      offset += rest.length;
    }
    return tensor(dtype, [this.count, ...each], data);
  }
}

/** The model with a symbolic batch size instead of a fixed one. */
function withAnyBatch(model: Model): Model {
  const b = new Builder();
  const [first] = model.graph.inputs;
  const batch = first?.shape[0];
  if (typeof batch !== 'number') return model;
  const inputs = model.graph.inputs.map(({ name, dtype, shape }) =>
    b.input(name, dtype, shape[0] === batch ? ['examples', ...shape.slice(1)] : shape),
  );
  return { ...model, graph: { ...model.graph, inputs } };
}

/** The elements of one array in another of the same kind. */
function copy(from: TensorData['data'], to: TensorData['data'], offset: number): void {
  if (from instanceof BigInt64Array || from instanceof BigUint64Array) {
    (to as BigInt64Array).set(from as BigInt64Array, offset);
  } else (to as Float32Array).set(from as Float32Array, offset);
}

function graphOf(model: Model, feeds: Readonly<Record<string, TensorData>>, names: readonly string[]): Graph {
  const b = new Builder();
  const bindings = new Map<Value, Value>();
  for (const declared of model.graph.inputs) {
    const data = feeds[declared.name];
    if (data) bindings.set(declared, b.input(declared.name, data.dtype, data.dims));
  }
  const outputs = model.graph.outputs.filter(({ name }) => names.includes(name));
  const nodes = neededNodes(
    model.graph.nodes,
    outputs.map(({ value }) => value),
  );
  return b.build(
    `prediction of ${model.name}`,
    Object.fromEntries(inline(b, { ...model.graph, outputs, nodes }, bindings).outputs),
  );
}

/** Bytes of intermediate values. */
const room = 2 ** 28;
const mostExamples = 1024;

/** The number of examples whose intermediate values fit in memory. */
function usualBatch(model: Model, batch: Examples, names: readonly string[]): number {
  const { nodes } = graphOf(model, batch.slice(0, 1), names);
  const bytes = nodes
    .flatMap(({ outputs }) => outputs)
    .reduce((sum, { knownType }) => {
      const sizes = knownType?.shape.map((size) => (typeof size === 'number' ? size : 1)) ?? [];
      return sum + elementCount(sizes) * (knownType ? bytesPerElement(knownType.dtype) : 0);
    }, 0);
  return Math.max(1, Math.min(mostExamples, Math.floor(room / Math.max(bytes, 1))));
}

/**
 * Return the elements of a tensor as nested arrays in its shape: a number for a scalar, rows for a matrix. Elements of
 * int64 and uint64 are bigints.
 * @throws OptionError if it is no tensor
 * @example
 * const rows = toNestedArray({ dtype: 'float32', dims: [2, 2], data: Float32Array.of(1, 2, 3, 4) });
 * console.log(rows); // [[1, 2], [3, 4]]
 */
export function toNestedArray(value: TensorLike): NestedArray {
  const { dims, data } = toTensorData(value, 'the tensor given to toNestedArray');
  const level = (axis: number, start: number, length: number): NestedArray => {
    if (axis === dims.length) return data[start] ?? 0;
    const size = dims[axis] ?? 0;
    const each = size === 0 ? 0 : length / size;
    return Array.from({ length: size }, (_, i) => level(axis + 1, start + i * each, each));
  };
  return level(0, 0, data.length);
}

/**
 * Return the numbers of each example of a tensor `[batch, …]`, one array an example.
 * @throws OptionError if it is no tensor, GraphError if it has no axis of examples
 * @example
 * const { output } = await predict(mlp({ sizes: [2, 8, 3], seed: 1 }), [[1, 2], [3, 4]]);
 * const classes = rowsOf(output).map((logits) => logits.indexOf(Math.max(...logits)));
 * console.log(classes);
 */
export function rowsOf(value: TensorLike): number[][] {
  const { dims, data } = toTensorData(value, 'the tensor given to rowsOf');
  const [rows, ...example] = dims;
  if (rows === undefined) throw new GraphError('the tensor given to rowsOf is a scalar: it has no axis of examples');
  const numbers = Array.from(data, Number);
  const each = elementCount(example);
  return Array.from({ length: rows }, (_, row) => numbers.slice(row * each, (row + 1) * each));
}
