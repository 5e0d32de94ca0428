// Predictions of a model for any number of examples, computed in batches that fit memory.
import type { Engine } from '../engine/engine.js';
import { GraphError, OptionError } from '../errors.js';
import { elementCount, type TensorData } from '../graph/tensor.js';
import { type TensorLike, toTensorData } from '../graph/tensor-like.js';
import { checkModel, type Model } from '../model/model.js';
import { checkedCount, checkedTexts, checkKeys, type OptionKeys } from '../options.js';
import { withEngine } from './default-engine.js';
import { Forward, SplitInputs, usualBatch, withAnyBatch } from './forward.js';
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
  const batch = new SplitInputs(model, fittedInputs(withAnyBatch(model), inputs));
  const size = batch.fixed ?? options.batchSize ?? usualBatch(model, batch, names);
  return await withEngine(options.engine, async (engine) => {
    const forward = new Forward(engine, model, names);
    const parts: Record<string, TensorData>[] = [];
    for (let start = 0; start === 0 || start < batch.count; start += size) {
      parts.push(await forward.run(batch.slice(start, Math.min(size, batch.count - start))));
    }
    const outputs = names.map((name) => {
      const found = parts.flatMap((part) => part[name] ?? []);
      return [name, batch.joined(model.name, name, found, size)] as const;
    });
    return Object.fromEntries(outputs);
  });
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
