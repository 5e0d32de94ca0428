// Operators that rearrange elements without changing, dropping or repeating them: reshapes and transpositions.
import { GraphError } from '../../errors.js';
import {
  type Dimension,
  inputOf,
  intAttribute,
  intsAttribute,
  type Shape,
  type TensorType,
} from '../../graph/graph.js';
import type { TensorData } from '../../graph/tensor.js';
import { type NodeDraft, noFlops, type OpDefinition, type OpFamily } from '../definition.js';
import { movableInputs, rearranged, stridedPositions, stridesOf } from '../shapes/folding.js';
import { dimensionsOf } from '../shapes/shape-values.js';
import { formatShape, integersOf, inverse, normalizeAxis, productOf, quotientOf, range } from '../shapes/shapes.js';

function reshapedTo(from: Shape, target: Shape, allowZero: boolean): Shape {
  const sizes: Dimension[] = target.map((size, axis) => (size === 0 && !allowZero ? (from[axis] ?? 0) : size));
  const open = sizes.indexOf(-1);
  if (open < 0) return sizes;
  const others = sizes.filter((_, axis) => axis !== open);
  const [known, total] = [productOf(others), productOf(from)];
  if (typeof known === 'number' && typeof total === 'number' && (known === 0 || total % known !== 0)) {
    throw new GraphError(`${formatShape(from)} cannot take the shape ${formatShape(target)}`);
  }
  sizes[open] = quotientOf(from, others);
  return sizes;
}

function inferReshape(node: NodeDraft): (TensorType | undefined)[] {
  const { dtype, shape } = inputOf(node, 0);
  const target = dimensionsOf(inputOf(node, 1));
  if (!target) return [undefined];
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
  const permutation = intsAttribute(node, 'perm') ?? range(0, rank).reverse();
  if ([...permutation].sort((p, q) => p - q).some((axis, i) => axis !== i) || permutation.length !== rank) {
    throw new GraphError(`[${permutation.join(', ')}] is not a permutation of ${rank} axes`);
  }
  return permutation;
}

/** The axes that a Squeeze drops: the named ones, or all of size 1. */
function squeezedAxes(node: NodeDraft): number[] | undefined {
  const { shape, rank } = inputOf(node, 0);
  if (!node.inputs[1]) return shape.flatMap((size, axis) => (size === 1 ? [axis] : []));
  return integersOf(node.inputs[1])?.map((axis) => {
    const positive = normalizeAxis(axis, rank);
    const size = shape[positive];
    if (typeof size === 'number' && size !== 1) throw new GraphError(`axis ${axis} has size ${size}, not 1`);
    return positive;
  });
}

/** The axes that an Unsqueeze inserts, as positions in its output. */
function insertedAxes(node: NodeDraft): number[] | undefined {
  const given = integersOf(inputOf(node, 1));
  const rank = inputOf(node, 0).rank + (given?.length ?? 0);
  return given?.map((axis) => normalizeAxis(axis, rank));
}

/** The same elements in the inferred shape. */
const foldReshaped =
  (infer: (node: NodeDraft) => readonly (TensorType | undefined)[]) =>
  (node: NodeDraft): TensorData[] | undefined => {
    const [x] = movableInputs(node) ?? [];
    const shape = x && infer(node)[0]?.shape;
    return x && shape ? [{ ...x, dims: shape as number[] }] : undefined; // constants have numeric sizes
  };

const reshaping = (
  infer: (node: NodeDraft) => readonly (TensorType | undefined)[],
  gradient: OpDefinition['gradient'],
): OpDefinition => ({ infer, gradient, fold: foldReshaped(infer), flops: noFlops, traits: { arranges: true } });

export type MovementOp = 'Identity' | 'Reshape' | 'Flatten' | 'Squeeze' | 'Unsqueeze' | 'Transpose';

export const movementOps: OpFamily<MovementOp> = {
  Identity: reshaping(
    (node) => [inputOf(node, 0).type],
    ({ dy }) => [dy],
  ),
  Reshape: reshaping(inferReshape, ({ b, x, dy }) => [b.reshapeLike(dy, x(0))]),
  Flatten: reshaping(
    (node) => {
      const { dtype, shape, rank } = inputOf(node, 0);
      const axis = intAttribute(node, 'axis', 1);
      const at = axis < 0 ? axis + rank : axis;
      if (at < 0 || at > rank) throw new GraphError(`axis ${axis} is out of range for rank ${rank}`);
      return [{ dtype, shape: [productOf(shape.slice(0, at)), productOf(shape.slice(at))] }];
    },
    ({ b, x, dy }) => [b.reshapeLike(dy, x(0))],
  ),
  Squeeze: reshaping(
    (node) => {
      const { dtype, shape } = inputOf(node, 0);
      const axes = squeezedAxes(node);
      return [axes && { dtype, shape: shape.filter((_, axis) => !axes.includes(axis)) }];
    },
    ({ b, node, x, dy }) => {
      const axes = squeezedAxes(node);
      return [axes ? b.unsqueeze(dy, axes) : b.reshapeLike(dy, x(0))];
    },
  ),
  Unsqueeze: reshaping(
    (node) => {
      const { dtype, shape, rank } = inputOf(node, 0);
      const axes = insertedAxes(node);
      if (!axes) return [undefined];
      const sizes = [...shape];
      const widened = Array.from({ length: rank + axes.length }, (_, axis) =>
        axes.includes(axis) ? 1 : (sizes.shift() ?? 1),
      );
      return [{ dtype, shape: widened }];
    },
    ({ b, node, x, dy }) => {
      const axes = insertedAxes(node);
      return [axes ? b.squeeze(dy, axes) : b.reshapeLike(dy, x(0))];
    },
  ),
  Transpose: {
    infer: (node) => {
      const { dtype, shape } = inputOf(node, 0);
      return [{ dtype, shape: permutationOf(node).map((axis) => shape[axis] ?? 1) }];
    },
    gradient: ({ b, node, dy }) => [b.transpose(dy, inverse(permutationOf(node)))],
    fold: (node) => {
      const [x] = movableInputs(node) ?? [];
      if (!x) return undefined;
      const permutation = permutationOf(node);
      const dims = permutation.map((axis) => x.dims[axis] ?? 1);
      const strides = stridesOf(x.dims);
      const moved = stridedPositions(
        dims,
        permutation.map((axis) => strides[axis] ?? 1),
      );
      return [rearranged(x, dims, moved)];
    },
    flops: noFlops,
    traits: { arranges: true },
  },
};
