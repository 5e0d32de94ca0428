// Operators that join tensors, take them apart, or repeat them: Concat, Split, Expand, Tile.
import { GraphError, UnsupportedError } from '../../errors.js';
import { type Dimension, inputOf, int, intAttribute, type TensorType, type Value } from '../../graph/graph.js';
import { elementCount, type TensorData } from '../../graph/tensor.js';
import { type NodeDraft, noFlops, type OpFamily } from '../definition.js';
import {
  broadcastPositions,
  foldableInputs,
  joinedTensors,
  movableInputs,
  rearranged,
  stridedPositions,
  stridesOf,
} from '../shapes/folding.js';
import { dimensionsOf } from '../shapes/shape-values.js';
import { broadcastShapes, formatShape, integersOf, normalizeAxis, productOf } from '../shapes/shapes.js';

const axisOf = (node: NodeDraft, rank: number): number => normalizeAxis(intAttribute(node, 'axis', 0), rank);

/** Positions at which parts of the given sizes begin, and the end. */
function offsets(sizes: readonly number[]): number[] {
  const positions = [0];
  for (const size of sizes) positions.push((positions.at(-1) ?? 0) + size);
  return positions;
}

const allNumbers = (sizes: readonly Dimension[]): sizes is readonly number[] =>
  sizes.every((size) => typeof size === 'number');

function inferConcat(node: NodeDraft): TensorType[] {
  const inputs = node.inputs.map((_, i) => inputOf(node, i));
  const first = inputOf(node, 0);
  const axis = axisOf(node, first.rank);
  for (const input of inputs) {
    const fits =
      input.rank === first.rank &&
      input.shape.every((size, i) => {
        const other = first.shape[i];
        return i === axis || size === other || typeof size === 'string' || typeof other === 'string';
      });
    if (!fits || input.dtype !== first.dtype) {
      throw new GraphError(
        `cannot join ${first.dtype}${formatShape(first.shape)} and ${input.dtype}${formatShape(input.shape)} along axis ${axis}`,
      );
    }
  }
  const sizes = inputs.map((input) => input.shape[axis] ?? 1);
  const total = allNumbers(sizes) ? (offsets(sizes).at(-1) ?? 0) : sizes.join('+');
  return [{ dtype: first.dtype, shape: first.shape.map((size, i) => (i === axis ? total : size)) }];
}

function foldConcat(node: NodeDraft): TensorData[] | undefined {
  const parts = movableInputs(node);
  const first = parts?.[0];
  if (!parts || !first || parts.some((part) => part.dims.length !== 1 || part.dtype !== first.dtype)) return undefined;
  return [joinedTensors(parts, first.dtype)];
}

/** Sizes of the parts; with `num_outputs` they are equal, except for a smaller last one. */
function splitSizes(node: NodeDraft): readonly Dimension[] | undefined {
  const x = inputOf(node, 0);
  const size = x.shape[axisOf(node, x.rank)] ?? 1;
  if (node.inputs[1]) return dimensionsOf(node.inputs[1]);
  const parts = intAttribute(node, 'num_outputs', 0);
  if (parts < 1) throw new GraphError('needs its split sizes or num_outputs');
  if (typeof size === 'string') return Array.from({ length: parts }, () => `${size}/${parts}`);
  const part = Math.ceil(size / parts);
  return Array.from({ length: parts }, (_, i) => Math.max(0, Math.min(part, size - i * part)));
}

function foldSplit(node: NodeDraft): TensorData[] | undefined {
  const [x] = foldableInputs(node) ?? [];
  const sizes = splitSizes(node);
  if (x?.dims.length !== 1 || !sizes || !allNumbers(sizes)) return undefined;
  const starts = offsets(sizes);
  return sizes.map((size, i) => rearranged(x, [size], stridedPositions([size], [1], starts[i])));
}

function inferExpand(node: NodeDraft): (TensorType | undefined)[] {
  const { dtype, shape } = inputOf(node, 0);
  const target = dimensionsOf(inputOf(node, 1));
  return [target && { dtype, shape: broadcastShapes(shape, target) }];
}

function inferTile(node: NodeDraft): (TensorType | undefined)[] {
  const { dtype, shape } = inputOf(node, 0);
  const repeats = integersOf(inputOf(node, 1));
  if (repeats && repeats.length !== shape.length) {
    throw new GraphError(`has ${repeats.length} repeats for ${shape.length} axes`);
  }
  return [repeats && { dtype, shape: shape.map((size, axis) => productOf([size, repeats[axis] ?? 1])) }];
}

export type JoiningOp = 'Concat' | 'Split' | 'Expand' | 'Tile';

export const joiningOps: OpFamily<JoiningOp> = {
  Concat: {
    infer: inferConcat,
    gradient: ({ b, node, x, dy }) => {
      const axis = axisOf(node, x(0).rank);
      const sizes = node.inputs.map((_, i) => x(i).shape[axis] ?? 1);
      if (allNumbers(sizes)) {
        const ends = offsets(sizes);
        return node.inputs.map((_, i) => b.slice(dy, axis, ends[i] ?? 0, ends[i + 1] ?? 0));
      }
      const lengths = b.vector(node.inputs.map((_, i) => b.dimension(x(i), axis)));
      const names = node.inputs.map(() => 'part');
      return b.node('Split', [dy, lengths], { axis: int(axis) }, { outputs: names });
    },
    fold: foldConcat,
    flops: noFlops,
  },
  Split: {
    infer: (node) => {
      const { dtype, shape, rank } = inputOf(node, 0);
      const axis = axisOf(node, rank);
      return (splitSizes(node) ?? []).map((size) => ({
        dtype,
        shape: shape.map((whole, i) => (i === axis ? size : whole)),
      }));
    },
    gradient: ({ b, node, x, cotangents }) => {
      const parts = node.outputs.map((output, i) => cotangents[i] ?? b.zerosLike(output));
      return [b.concat(parts, axisOf(node, x(0).rank)), undefined];
    },
    fold: foldSplit,
    flops: noFlops,
  },
  Expand: {
    infer: inferExpand,
    gradient: ({ dy }) => [dy, undefined], // the walker sums it to the input's shape
    fold: (node) => {
      const [x] = foldableInputs(node) ?? [];
      const dims = x && (inferExpand(node)[0]?.shape as number[]); // constants have numeric sizes
      return x && elementCount(dims ?? []) <= 1024 && dims
        ? [rearranged(x, dims, broadcastPositions(x.dims, dims))]
        : undefined;
    },
    flops: noFlops,
  },
  Tile: {
    infer: inferTile,
    // [d₀r₀, d₁r₁, …] as [r₀, d₀, r₁, d₁, …], summed over the repeats
    gradient: ({ b, x, dy }) => {
      const repeats = integersOf(x(1));
      if (!repeats) throw new UnsupportedError('its repeats are only known when the program runs');
      const parts = repeats.flatMap((repeat, axis): (number | Value)[] => [repeat, b.dimension(x(0), axis)]);
      const apart = b.op('Reshape', [dy, b.vector(parts)], { allowzero: int(1) });
      return [
        b.sum(
          apart,
          repeats.map((_, axis) => 2 * axis),
        ),
        undefined,
      ];
    },
    fold: (node) => {
      const [x] = foldableInputs(node) ?? [];
      const dims = x && (inferTile(node)[0]?.shape as number[]); // constants have numeric sizes
      if (!x || !dims || elementCount(dims) > 1024) return undefined;
      const strides = stridesOf(dims);
      const from = stridesOf(x.dims);
      const positions = stridedPositions(dims, strides).map((flat) =>
        dims.reduce((position, size, axis) => {
          const index = Math.floor(flat / (strides[axis] ?? 1)) % size;
          return position + (index % (x.dims[axis] ?? 1)) * (from[axis] ?? 1);
        }, 0),
      );
      return [rearranged(x, dims, positions)];
    },
    flops: noFlops,
  },
};
