// Operators that move elements without changing them: reshapes, transpositions, slices, joins.
import { GraphError } from '../errors.js';
import { type Dimension, inputOf, intAttribute, intsAttribute, type Shape, type TensorType } from '../graph/graph.js';
import { tensorFrom } from '../graph/tensor.js';
import { type NodeDraft, type OpDefinition, zeroGradient } from './definition.js';
import { broadcastShapes, formatShape, knownIntegers, normalizeAxis, productOf, sameShape } from './shapes.js';

function reshapedTo(from: Shape, target: readonly number[], allowZero: boolean): Shape {
  const sizes: Dimension[] = target.map((size, axis) => (size === 0 && !allowZero ? (from[axis] ?? 0) : size));
  const open = sizes.indexOf(-1);
  if (open < 0) return sizes;
  const known = productOf(sizes.filter((_, axis) => axis !== open));
  const total = productOf(from);
  if (typeof known === 'number' && typeof total === 'number') {
    if (known === 0 || total % known !== 0)
      throw new GraphError(`${formatShape(from)} cannot take the shape [${target.join(', ')}]`);
    sizes[open] = total / known;
  } else {
    sizes[open] = quotientOf(
      from,
      sizes.filter((_, axis) => axis !== open),
    );
  }
  return sizes;
}

/** What remains of a symbolic product after dividing by known sizes: `[batch, 4, 8] / [32]` is `batch`. */
function quotientOf(from: Shape, divisors: Shape): Dimension {
  const symbols = from.filter((size) => typeof size === 'string');
  for (const divisor of divisors) {
    if (typeof divisor !== 'string') continue;
    const at = symbols.indexOf(divisor);
    if (at < 0) return `${productOf(from)}/${productOf(divisors)}`;
    symbols.splice(at, 1);
  }
  const numbers = (shape: Shape) => shape.reduce<number>((p, size) => (typeof size === 'number' ? p * size : p), 1);
  const quotient = numbers(from) / numbers(divisors);
  return Number.isInteger(quotient) ? productOf([...symbols, quotient]) : `${productOf(from)}/${productOf(divisors)}`;
}

function inferReshape(node: NodeDraft): TensorType[] {
  const { dtype, shape } = inputOf(node, 0);
  const target = knownIntegers(inputOf(node, 1), 'the target shape');
  const result = reshapedTo(shape, target, intAttribute(node, 'allowzero', 0) === 1);
  const [before, after] = [productOf(shape), productOf(result)];
  if (typeof before === 'number' && typeof after === 'number' && before !== after) {
    throw new GraphError(
      `${formatShape(shape)} has ${before} elements and cannot take the shape ${formatShape(result)}`,
    );
  }
  return [{ dtype, shape: result }];
}

function permutationOf(node: NodeDraft): readonly number[] {
  const { rank } = inputOf(node, 0);
  return intsAttribute(node, 'perm') ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
}

const axisOf = (node: NodeDraft, rank: number, fallback = 0): number =>
  normalizeAxis(intAttribute(node, 'axis', fallback), rank);

/** Offsets at which the joined tensors of a Concat (or the parts of a Split) begin, and the end. */
function offsets(sizes: readonly number[]): number[] {
  const positions = [0];
  for (const size of sizes) positions.push((positions.at(-1) ?? 0) + size);
  return positions;
}

function inferConcat(node: NodeDraft): TensorType[] {
  const inputs = node.inputs.map((_, i) => inputOf(node, i));
  const first = inputOf(node, 0);
  const axis = axisOf(node, first.rank);
  for (const input of inputs) {
    const fits =
      input.rank === first.rank &&
      input.shape.every(
        (size, i) =>
          i === axis || size === first.shape[i] || typeof size === 'string' || typeof first.shape[i] === 'string',
      );
    if (!fits || input.dtype !== first.dtype) {
      throw new GraphError(
        `cannot join ${first.dtype}${formatShape(first.shape)} and ${input.dtype}${formatShape(input.shape)} along axis ${axis}`,
      );
    }
  }
  const sizes = inputs.map((input) => input.shape[axis] ?? 1);
  const joined = sizes.every((size) => typeof size === 'number')
    ? sizes.reduce<number>((p, size) => p + Number(size), 0)
    : sizes.join('+');
  return [{ dtype: first.dtype, shape: first.shape.map((size, i) => (i === axis ? joined : size)) }];
}

function splitSizes(node: NodeDraft): number[] {
  const x = inputOf(node, 0);
  const axis = axisOf(node, x.rank);
  if (node.inputs[1]) return knownIntegers(node.inputs[1], 'the split');
  const parts = intAttribute(node, 'num_outputs', 0);
  const size = x.dims[axis] ?? 1;
  if (parts < 1) throw new GraphError('needs its split sizes or num_outputs');
  const part = Math.ceil(size / parts);
  return Array.from({ length: parts }, (_, i) => Math.max(0, Math.min(part, size - i * part)));
}

/** Start, end, axis and step of each sliced axis, clamped as ONNX clamps them. */
function sliceRanges(node: NodeDraft): { axis: number; start: number; end: number; step: number }[] {
  const x = inputOf(node, 0);
  const starts = knownIntegers(inputOf(node, 1), 'the starts');
  const ends = knownIntegers(inputOf(node, 2), 'the ends');
  const axes = node.inputs[3] ? knownIntegers(node.inputs[3], 'the axes') : starts.map((_, i) => i);
  const steps = node.inputs[4] ? knownIntegers(node.inputs[4], 'the steps') : starts.map(() => 1);
  return starts.map((rawStart, i) => {
    const axis = normalizeAxis(axes[i] ?? i, x.rank);
    const size = x.dims[axis] ?? 1;
    const step = steps[i] ?? 1;
    const clamp = (position: number, low: number, high: number) =>
      Math.min(Math.max(position < 0 ? position + size : position, low), high);
    const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
    return { axis, step, start: clamp(rawStart, step > 0 ? 0 : 0, high), end: clamp(ends[i] ?? 0, low, high) };
  });
}

const sliceLength = ({ start, end, step }: { start: number; end: number; step: number }): number =>
  Math.max(0, Math.ceil((end - start) / step));

function inferSlice(node: NodeDraft): TensorType[] {
  const x = inputOf(node, 0);
  const shape = [...x.shape];
  for (const range of sliceRanges(node)) shape[range.axis] = sliceLength(range);
  return [{ dtype: x.dtype, shape }];
}

export const movementOps = {
  Reshape: { infer: inferReshape, gradient: ({ b, x, dy }) => [b.reshapeLike(dy, x(0))] },
  Flatten: {
    infer: (node) => {
      const { dtype, shape, rank } = inputOf(node, 0);
      const axis = intAttribute(node, 'axis', 1);
      const at = axis < 0 ? axis + rank : axis;
      return [{ dtype, shape: [productOf(shape.slice(0, at)), productOf(shape.slice(at))] }];
    },
    gradient: ({ b, x, dy }) => [b.reshapeLike(dy, x(0))],
  },
  Transpose: {
    infer: (node) => {
      const { dtype, shape } = inputOf(node, 0);
      return [{ dtype, shape: permutationOf(node).map((axis) => shape[axis] ?? 1) }];
    },
    gradient: ({ b, node, dy }) => {
      const permutation = permutationOf(node);
      return [
        b.transpose(
          dy,
          permutation.map((_, axis) => permutation.indexOf(axis)),
        ),
      ];
    },
  },
  Squeeze: {
    infer: (node) => {
      const { dtype, shape, rank } = inputOf(node, 0);
      const axes = node.inputs[1]
        ? knownIntegers(node.inputs[1], 'the axes').map((axis) => normalizeAxis(axis, rank))
        : undefined;
      return [{ dtype, shape: shape.filter((size, axis) => (axes ? !axes.includes(axis) : size !== 1)) }];
    },
    gradient: ({ b, x, dy }) => [b.reshapeLike(dy, x(0))],
  },
  Unsqueeze: {
    infer: (node) => {
      const { dtype, shape, rank } = inputOf(node, 0);
      const given = knownIntegers(inputOf(node, 1), 'the axes');
      const axes = given.map((axis) => normalizeAxis(axis, rank + given.length));
      const sizes = [...shape];
      return [
        {
          dtype,
          shape: Array.from({ length: rank + given.length }, (_, axis) =>
            axes.includes(axis) ? 1 : (sizes.shift() ?? 1),
          ),
        },
      ];
    },
    gradient: ({ b, x, dy }) => [b.reshapeLike(dy, x(0))],
  },
  Expand: {
    infer: (node) => {
      const { dtype, shape } = inputOf(node, 0);
      const target = inputOf(node, 1);
      if (target.producer?.op === 'Shape')
        return [{ dtype, shape: broadcastShapes(shape, inputOf(target.producer, 0).shape) }];
      return [{ dtype, shape: broadcastShapes(shape, knownIntegers(target, 'the target shape')) }];
    },
    gradient: ({ dy }) => [dy, undefined], // the walker sums it to the input's shape
  },
  Concat: {
    infer: inferConcat,
    gradient: ({ b, node, x, dy }) => {
      const axis = axisOf(node, x(0).rank);
      const ends = offsets(node.inputs.map((_, i) => x(i).dims[axis] ?? 1));
      return node.inputs.map((_, i) => b.slice(dy, axis, ends[i] ?? 0, ends[i + 1] ?? 0));
    },
  },
  Split: {
    infer: (node) => {
      const { dtype, shape, rank } = inputOf(node, 0);
      const axis = axisOf(node, rank);
      return splitSizes(node).map((size) => ({ dtype, shape: shape.map((whole, i) => (i === axis ? size : whole)) }));
    },
    gradient: ({ b, node, x, cotangents }) => {
      const parts = node.outputs.map((output, i) => cotangents[i] ?? b.zerosLike(output));
      return [b.concat(parts, axisOf(node, x(0).rank)), undefined];
    },
  },
  Shape: {
    infer: (node) => [{ dtype: 'int64', shape: [inputOf(node, 0).rank] }],
    gradient: zeroGradient,
    fold: (node) => {
      const shape = node.inputs[0]?.knownType?.shape;
      if (!shape?.every((size) => typeof size === 'number')) return undefined;
      const end = intAttribute(node, 'end', shape.length);
      const part = shape.slice(intAttribute(node, 'start', 0), end);
      return [tensorFrom('int64', [part.length], part as number[])];
    },
  },
  ConstantOfShape: {
    infer: (node) => {
      const value = node.attributes.value;
      const dtype = value?.kind === 'tensor' ? value.value.dtype : 'float32';
      const target = inputOf(node, 0);
      if (target.producer?.op === 'Shape') return [{ dtype, shape: inputOf(target.producer, 0).shape }];
      return [{ dtype, shape: knownIntegers(target, 'the shape') }];
    },
    gradient: zeroGradient,
    flops: () => 0,
  },
  // Negative steps and steps over 1 are not composed here: the cotangent of a unit-step slice is padded with zeros.
  Slice: {
    infer: inferSlice,
    gradient: ({ b, node, x, dy }) => {
      const before = new Array<number>(x(0).rank).fill(0);
      const after = new Array<number>(x(0).rank).fill(0);
      for (const range of sliceRanges(node)) {
        before[range.axis] = range.start;
        after[range.axis] = (x(0).dims[range.axis] ?? 1) - range.end;
      }
      const padded = sameShape(dy.shape, x(0).shape) ? dy : b.op('Pad', [dy, b.integers([...before, ...after])]);
      return [padded, undefined, undefined, undefined, undefined];
    },
  },
} satisfies Record<string, OpDefinition>;
