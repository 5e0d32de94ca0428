// Draws a random batch that fits a model, to examine its gradients without data.
import { OptionError } from '../errors.js';
import { formatType, intAttribute, type TensorType, type Value } from '../graph/graph.js';
import { allocate, elementCount, type TensorData, tensor } from '../graph/tensor.js';
import { readersOf, usesIn } from '../graph/uses.js';
import { normalizationOf, normalizedInput } from '../model/edit/normalize.js';
import type { Model } from '../model/model.js';
import type { Normalization } from '../normalization.js';
import { isSameNumbers } from '../ops/table.js';
import { type Random, random } from '../random.js';

export interface BatchSizes {
  readonly batchSize: number;
  /** Sizes of other symbolic axes, by the names they have in the model. */
  readonly sizes: Readonly<Record<string, number>>;
}

/**
 * Draw inputs by name: normal numbers, with the mean and the deviation that a model of tabular data normalizes by, or whole
 * numbers that the model's embedding tables have rows for.
 * @throws OptionError if the size of an axis is not given, or an element type cannot be drawn
 */
export function drawnInputs(model: Model, sizes: BatchSizes, seed: number): Map<string, TensorData> {
  return new Map(
    model.graph.inputs.map((input) => {
      const dims = input.shape.map((size, axis) => sizeOf(model, input, size, axis, sizes));
      const limit = input.dtype.startsWith('float') ? undefined : tableRows(model, input);
      const drawn = drawnTensor(input, dims, random(seed, 'input', input.name), limit);
      const isRows = input.name === normalizedInput(model) && dims.length === 2;
      return [input.name, isRows ? inUnitsOf(normalizationOf(model), drawn) : drawn];
    }),
  );
}

function sizeOf(model: Model, input: Value, size: number | string, axis: number, { batchSize, sizes }: BatchSizes) {
  if (typeof size === 'number') return size;
  const given = Object.hasOwn(sizes, size) ? sizes[size] : axis === 0 ? batchSize : undefined;
  if (given !== undefined) return given;
  throw new OptionError(
    `input '${input.name}' of '${model.name}' is ${formatType(input.type)}: give the size of '${size}' (--size ${size}=N)`,
  );
}

/** Return the rows of the smallest table that an input indexes; undefined for inputs that index none, as masks and flags. */
function tableRows(model: Model, input: Value): number | undefined {
  let rows = Number.POSITIVE_INFINITY;
  for (const { node, index } of readersOf(input, usesIn(model.graph), isSameNumbers)) {
    if (node.op !== 'Gather' || index !== 1) continue;
    const table = node.inputs[0]?.knownType?.shape ?? [];
    const axis = intAttribute(node, 'axis', 0);
    const size = table[axis < 0 ? axis + table.length : axis];
    if (typeof size === 'number') rows = Math.min(rows, size);
  }
  return Number.isFinite(rows) ? rows : undefined;
}

function drawnTensor({ name, dtype }: Value, dims: readonly number[], source: Random, limit?: number): TensorData {
  const count = elementCount(dims);
  const numbers = (): number[] =>
    limit === undefined ? maskOf(count, dims, source) : wholeNumbers(count, limit, source);
  if (dtype === 'float32' || dtype === 'float64') {
    const normal = new Float32Array(count);
    source.fillNormal(normal);
    return tensor(dtype, dims, dtype === 'float32' ? normal : Float64Array.from(normal));
  }
  if (dtype === 'int64') return tensor(dtype, dims, BigInt64Array.from(numbers(), BigInt));
  if (dtype === 'int32') return tensor(dtype, dims, Int32Array.from(numbers()));
  throw new OptionError(`input '${name}' is of type ${dtype}; cgfac draws float, int64 and int32 inputs`);
}

/**
 * Return zeros and ones, the first of each row a one: if a mask hides everything, attention adds numbers so large that its
 * scores are lost in rounding, and the gradients are not those of the rounded loss.
 */
function maskOf(count: number, dims: readonly number[], source: Random): number[] {
  const row = dims.at(-1) ?? 1;
  return wholeNumbers(count, 2, source).map((x, i) => (row > 1 && i % row === 0 ? 1 : x));
}

/** Draw targets of a loss: labels of the classes, or numbers in (0, 1), which fit all other losses. */
export function drawnTargets({ dtype, shape }: TensorType, classes: number, seed: number): TensorData {
  const dims = shape.map(Number);
  const source = random(seed, 'targets');
  const count = elementCount(dims);
  if (dtype === 'int64') return tensor(dtype, dims, BigInt64Array.from(wholeNumbers(count, classes, source), BigInt));
  const uniform = new Float32Array(count);
  source.fillUniform(uniform);
  const data = allocate(dtype, count);
  for (const [i, x] of uniform.entries()) data[i] = x;
  return tensor(dtype, dims, data);
}

/** Return drawn numbers times the deviation plus the mean of their column, the last axis. */
export function inUnitsOf(normalization: Normalization | undefined, drawn: TensorData): TensorData {
  if (!normalization) return drawn;
  const { mean, deviation } = normalization;
  const at = (numbers: readonly number[], i: number) => numbers[i % numbers.length] ?? 0;
  const elements = allocate(drawn.dtype, drawn.data.length);
  for (const [i, x] of drawn.data.entries()) elements[i] = at(mean, i) + at(deviation, i) * Number(x);
  return tensor(drawn.dtype, drawn.dims, elements);
}

function wholeNumbers(count: number, limit: number, source: Random): number[] {
  const uniform = new Float32Array(count);
  source.fillUniform(uniform);
  return Array.from(uniform, (x) => Math.min(limit - 1, Math.floor(x * limit)));
}
