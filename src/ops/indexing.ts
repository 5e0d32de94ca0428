// Operators that choose elements by integers, and their transposes, which put elements back.
import { GraphError, UnsupportedError } from '../errors.js';
import {
  type Dimension,
  inputOf,
  int,
  intAttribute,
  outputOf,
  type Shape,
  stringAttribute,
  type TensorType,
  text,
  type Value,
} from '../graph/graph.js';
import { elementCount, tensorFrom, toNumbers } from '../graph/tensor.js';
import type { Builder } from './builder.js';
import { type GradientContext, type NodeDraft, noFlops, noGradient, type OpFamily } from './definition.js';
import { movableInputs, rearranged } from './shapes/folding.js';
import { formatShape, inverse, knownIntegers, normalizeAxis, range } from './shapes/shapes.js';

const axisOf = (node: NodeDraft): number => normalizeAxis(intAttribute(node, 'axis', 0), inputOf(node, 0).rank);
const add = text('add');

function integerIndices(node: NodeDraft): Value {
  const indices = inputOf(node, 1);
  if (indices.dtype !== 'int64' && indices.dtype !== 'int32') throw new GraphError(`the indices are ${indices.dtype}`);
  return indices;
}

// --- Gather -------------------------------------------------------------------------------------------------------

function inferGather(node: NodeDraft): TensorType[] {
  const x = inputOf(node, 0);
  if (x.rank === 0) throw new GraphError('cannot choose from a scalar');
  const axis = axisOf(node);
  const indices = integerIndices(node);
  return [{ dtype: x.dtype, shape: [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)] }];
}

/** The positions of an axis that known indices choose, if they choose each of them once; undefined otherwise. */
function permutationOf(indices: Value, size: Dimension | undefined): number[] | undefined {
  if (!indices.constant || indices.rank !== 1 || indices.shape[0] !== size) return undefined;
  const positions = toNumbers(indices.constant).map((i) => (i < 0 ? i + indices.dims.length : i));
  return new Set(positions).size === size && positions.every((i) => i >= 0) ? positions : undefined;
}

/**
 * y = x[…, indices, …]: the slices of dy are added up at the positions that the indices give. For that, the chosen axis
 * goes to the end, and dy's index axes with it. Known indices that only reorder the axis are inverted instead.
 */
function gatherGradient({ b, node, x, dy }: GradientContext): (Value | undefined)[] {
  const [data, indices] = [x(0), x(1)];
  const axis = axisOf(node);
  const permutation = permutationOf(indices, data.shape[axis]);
  if (permutation) return [b.gather(dy, b.integers(inverse(permutation)), axis), undefined];
  const rest = [...range(0, axis), ...range(axis + indices.rank, dy.rank)];
  const cotangents = b.transpose(dy, [...rest, ...range(axis, axis + indices.rank)]);
  const order = [...range(0, data.rank).filter((other) => other !== axis), axis];
  const sums = addedAt(b, b.zerosLike(b.transpose(data, order)), b.cast(indices, 'int64'), cotangents);
  return [b.transpose(sums, inverse(order)), undefined];
}

/**
 * Return `sums: [...kept, size]` with `values: [...kept, ...positions]` added along the last axis, at the positions. By
 * ScatterElements: ONNX Runtime's ScatterND adds with several threads at once, and loses what two of them add to one element.
 */
function addedAt(b: Builder, sums: Value, positions: Value, values: Value): Value {
  const axis = sums.rank - 1;
  const kept = range(0, axis).map(() => 0); // as they are
  const columns = positions.rank === 1 ? values : b.op('Reshape', [values, b.integers([...kept, -1])]);
  const row = b.op('Reshape', [positions, b.integers([...kept.map(() => 1), -1])]);
  const everyRow = b.op('Expand', [row, b.op('Shape', [columns])]);
  return b.op('ScatterElements', [sums, everyRow, columns], { axis: int(axis), reduction: add });
}

// --- GatherElements, ScatterElements --------------------------------------------------------------------------------

const gatherElements = (b: Builder, x: Value, indices: Value, axis: number): Value =>
  b.op('GatherElements', [x, indices], { axis: int(axis) });

function inferGatherElements(node: NodeDraft): TensorType[] {
  const [x, indices] = [inputOf(node, 0), integerIndices(node)];
  if (x.rank !== indices.rank) throw new GraphError(`indices of rank ${indices.rank} choose from rank ${x.rank}`);
  axisOf(node);
  return [{ dtype: x.dtype, shape: indices.shape }];
}

/** Whether a scatter operator adds to elements or replaces them. @throws UnsupportedError for other reductions */
function isAdditive(node: NodeDraft): boolean {
  const reduction = stringAttribute(node, 'reduction', 'none');
  if (reduction === 'none') return false;
  if (reduction === 'add') return true;
  throw new UnsupportedError(`the reduction '${reduction}' has no gradient rule; 'none' and 'add' have one`);
}

function inferScatter(node: NodeDraft): TensorType[] {
  const [x, updates] = [inputOf(node, 0), inputOf(node, 2)];
  integerIndices(node);
  if (x.dtype !== updates.dtype) throw new GraphError(`puts ${updates.dtype} into ${x.dtype}; cast one of them`);
  return [x.type];
}

// --- GatherND, ScatterND --------------------------------------------------------------------------------------------

function inferGatherND(node: NodeDraft): TensorType[] {
  const [x, indices] = [inputOf(node, 0), integerIndices(node)];
  const batch = intAttribute(node, 'batch_dims', 0);
  const depth = indices.shape.at(-1);
  if (typeof depth !== 'number' || batch + depth > x.rank) {
    throw new GraphError(`indices ${formatShape(indices.shape)} do not point into rank ${x.rank}`);
  }
  return [{ dtype: x.dtype, shape: [...indices.shape.slice(0, -1), ...x.shape.slice(batch + depth)] }];
}

/** Return indices of GatherND with the positions of the batch axes before them, so that they index the whole tensor. */
function wholeIndices(b: Builder, indices: Value, batchAxes: number): Value {
  if (batchAxes === 0) return indices;
  const rows = indices.dims.slice(0, -1);
  const count = elementCount(rows);
  const positions = b.pooled(`positions[${rows.join()}]${batchAxes}`, () => {
    const values = Array.from({ length: count }, (_, row) => coordinates(row, rows).slice(0, batchAxes)).flat();
    return tensorFrom('int64', [...rows, batchAxes], values);
  });
  return b.concat([positions, indices], rows.length);
}

/** y[row] = x[indices[row]]: the indices become positions in the axes that they index, as one. */
function gatherNDGradient(b: Builder, x: Value, indices: Value, dy: Value): Value {
  const depth = indices.dims.at(-1) ?? 0;
  const indexed = x.dims.slice(0, depth);
  const kept = range(depth, x.rank);
  const whole = b.cast(indices, 'int64');
  const counted = b.where(b.less(whole, 0), b.add(whole, b.integers(indexed)), whole);
  const strides = indexed.map((_, axis) => elementCount(indexed.slice(axis + 1)));
  const positions = b.sum(b.mul(counted, b.integers(strides)), [indices.rank - 1]);
  const rows = range(0, positions.rank);
  const columns = b.transpose(dy, [...kept.map((_, i) => rows.length + i), ...rows]);
  const last = b.transpose(x, [...kept, ...range(0, depth)]);
  const sums = b.zerosLike(b.op('Reshape', [last, b.integers([...kept.map(() => 0), elementCount(indexed)])]));
  const added = b.op('Reshape', [addedAt(b, sums, positions, columns), b.op('Shape', [last])]);
  return b.transpose(added, inverse([...kept, ...range(0, depth)]));
}

function coordinates(flat: number, dims: readonly number[]): number[] {
  let rest = flat;
  return dims
    .toReversed()
    .map((size) => {
      const position = rest % size;
      rest = Math.floor(rest / size);
      return position;
    })
    .reverse();
}

// --- OneHot, TopK ---------------------------------------------------------------------------------------------------

function oneHotAxis(node: NodeDraft): number {
  const rank = inputOf(node, 0).rank + 1;
  return normalizeAxis(intAttribute(node, 'axis', -1), rank);
}

function inferOneHot(node: NodeDraft): TensorType[] {
  const [indices, depth, values] = [inputOf(node, 0), inputOf(node, 1), inputOf(node, 2)];
  const axis = oneHotAxis(node);
  const size = knownIntegers(depth, 'the depth')[0] ?? 0;
  return [{ dtype: values.dtype, shape: [...indices.shape.slice(0, axis), size, ...indices.shape.slice(axis)] }];
}

/** values = [off, on]: y = off + (on − off)·hot, so dOn = Σ dy·hot and dOff = Σ dy − dOn; indices are integers. */
function oneHotGradient({ b, node, x, dy }: GradientContext): (Value | undefined)[] {
  const hot = b.op('OneHot', [x(0), x(1), b.constant(tensorFrom(dy.dtype, [2], [0, 1]))], node.attributes);
  const on = b.sum(b.mul(dy, hot));
  const pair = b.concat([b.unsqueeze(b.sub(b.sum(dy), on), [0]), b.unsqueeze(on, [0])], 0);
  return [undefined, undefined, pair];
}

const topAxis = (node: NodeDraft): number => normalizeAxis(intAttribute(node, 'axis', -1), inputOf(node, 0).rank);

function inferTopK(node: NodeDraft): TensorType[] {
  const x = inputOf(node, 0);
  const axis = topAxis(node);
  const count = knownIntegers(inputOf(node, 1), 'k')[0] ?? 0;
  const shape: Shape = x.shape.map((size, i) => (i === axis ? count : size));
  return [
    { dtype: x.dtype, shape },
    { dtype: 'int64', shape },
  ];
}

/** The largest elements are chosen ones: their cotangents go back to their positions. */
function topKGradient({ b, node, x, dy }: GradientContext): (Value | undefined)[] {
  return [b.op('ScatterElements', [b.zerosLike(x(0)), outputOf(node, 1), dy], { axis: int(topAxis(node)) }), undefined];
}

export type IndexingOp =
  | 'Gather'
  | 'GatherElements'
  | 'ScatterElements'
  | 'GatherND'
  | 'ScatterND'
  | 'OneHot'
  | 'TopK'
  | 'NonZero';

export const indexingOps: OpFamily<IndexingOp> = {
  Gather: {
    infer: inferGather,
    gradient: gatherGradient,
    flops: noFlops,
    fold: (node) => {
      const [x, indices] = movableInputs(node) ?? [];
      if (x?.dims.length !== 1 || !indices) return undefined;
      const positions = toNumbers(indices).map((i) => (i < 0 ? i + x.data.length : i));
      return [rearranged(x, indices.dims, positions)];
    },
    traits: { appliesWeights: true, keepsClasses: true },
  },
  GatherElements: {
    infer: inferGatherElements,
    gradient: ({ b, node, x, dy }) => {
      const attributes = { axis: int(axisOf(node)), reduction: add };
      return [b.op('ScatterElements', [b.zerosLike(x(0)), x(1), dy], attributes), undefined];
    },
    flops: noFlops,
  },
  // The cotangent of a replaced element goes to the update alone; that of one that is added to goes to both.
  ScatterElements: {
    infer: inferScatter,
    gradient: ({ b, node, x, dy }) => {
      const axis = axisOf(node);
      const rest = isAdditive(node) ? dy : b.op('ScatterElements', [dy, x(1), b.zerosLike(x(2))], { axis: int(axis) });
      return [rest, undefined, gatherElements(b, dy, x(1), axis)];
    },
    flops: noFlops,
  },
  GatherND: {
    infer: inferGatherND,
    gradient: ({ b, node, x, dy }) => {
      const indices = wholeIndices(b, x(1), intAttribute(node, 'batch_dims', 0));
      return [gatherNDGradient(b, x(0), indices, dy), undefined];
    },
    flops: noFlops,
  },
  ScatterND: {
    infer: inferScatter,
    gradient: ({ b, node, x, dy }) => {
      const rest = isAdditive(node) ? dy : b.op('ScatterND', [dy, x(1), b.zerosLike(x(2))]);
      return [rest, undefined, b.op('GatherND', [dy, x(1)])];
    },
    flops: noFlops,
  },
  OneHot: { infer: inferOneHot, gradient: oneHotGradient, flops: noFlops, traits: { settings: [0, 1, 2] } },
  TopK: { infer: inferTopK, gradient: topKGradient },
  NonZero: {
    infer: () => [undefined],
    gradient: noGradient('how many elements are not zero depends on them; choose elements with Where or Gather'),
  },
};
