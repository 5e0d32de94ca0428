// Operators that reduce axes to one number each.
import { UnsupportedError } from '../errors.js';
import { inputOf, int, intAttribute, type Shape, type TensorType, type Value } from '../graph/graph.js';
import { type TensorData, tensorFrom, toNumbers } from '../graph/tensor.js';
import type { Builder } from './builder.js';
import {
  type GradientContext,
  type GradientRule,
  type NodeDraft,
  type OpDefinition,
  type OpFamily,
  oneForEachInput,
  zeroGradient,
} from './definition.js';
import { foldableInputs } from './shapes/folding.js';
import { integersOf, inverse, knownIntegers, normalizeAxis, range } from './shapes/shapes.js';

/** The axes that are reduced, counted from the front: all if none are given, unless `noop_with_empty_axes`. */
function reducedAxes(node: NodeDraft): number[] {
  const rank = inputOf(node, 0).rank;
  const given = node.inputs[1] ? knownIntegers(node.inputs[1], 'the axes') : [];
  if (given.length > 0) return given.map((axis) => normalizeAxis(axis, rank)).sort((p, q) => p - q);
  return intAttribute(node, 'noop_with_empty_axes', 0) === 1 ? [] : range(0, rank);
}

const keepsDimensions = (node: NodeDraft): boolean => intAttribute(node, 'keepdims', 1) === 1;

function reducedShape(node: NodeDraft, axes: readonly number[]): Shape {
  const { shape } = inputOf(node, 0);
  return keepsDimensions(node)
    ? shape.map((size, axis) => (axes.includes(axis) ? 1 : size))
    : shape.filter((_, axis) => !axes.includes(axis));
}

function inferReduction(node: NodeDraft): (TensorType | undefined)[] {
  if (node.inputs[1] && !integersOf(node.inputs[1])) return [undefined];
  return [{ dtype: inputOf(node, 0).dtype, shape: reducedShape(node, reducedAxes(node)) }];
}

/** Return a reduced value with its reduced axes back as size 1, so that it broadcasts against the input. */
function withReducedAxes({ b, node }: GradientContext, value: Value): Value {
  return keepsDimensions(node) ? value : b.unsqueeze(value, reducedAxes(node));
}

/** The elements equal to the extremum of their group share the cotangent. */
const extremeGradient: GradientRule = (context) => {
  const { b, node, x, y, dy } = context;
  const isExtreme = b.equal(x(0), withReducedAxes(context, y));
  const count = b.sum(b.cast(isExtreme, dy.dtype), reducedAxes(node), true);
  return [b.where(isExtreme, b.div(withReducedAxes(context, dy), count), 0)];
};

/**
 * y = Π xⱼ: ∂y/∂xᵢ is the product of the others. Each is multiplied out by itself (n² multiplications for n factors),
 * because y/xᵢ fails at zeros and has no second derivative there.
 */
const productGradient: GradientRule = (context) => {
  const { b, node, x, dy } = context;
  const axes = reducedAxes(node);
  const others = range(0, x(0).rank).filter((axis) => !axes.includes(axis));
  const permutation = [...others, ...axes];
  const count = axes.reduce((product, axis) => product * sizeToUnroll(x(0), axis), 1);
  const moved = b.transpose(x(0), permutation);
  // [others…, 1, n], and for each of the n factors the product without it: [others…, n, n]
  const rows = b.op('Reshape', [moved, b.integers([...others.map(() => 0), 1, count])]);
  const masked = b.where(identityMask(b, count), 1, rows);
  const products = b.op('ReduceProd', [masked, b.integers([others.length + 1])], { keepdims: int(0) });
  const derivative = b.transpose(b.reshapeLike(products, moved), inverse(permutation));
  return [b.mul(derivative, withReducedAxes(context, dy))];
};

function sizeToUnroll(x: Value, axis: number): number {
  const size = x.shape[axis] ?? 1;
  if (typeof size === 'number') return size;
  throw new UnsupportedError(
    `the product over axis ${axis} of the symbolic size '${size}'; build the program for a fixed size`,
  );
}

const identityMask = (b: Builder, size: number): Value =>
  b.pooled(`identityMask${size}`, () =>
    tensorFrom(
      'bool',
      [size, size],
      Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0)),
    ),
  );

/** Fold a reduction of all elements of a small integer vector. */
const foldVector =
  (combine: (p: number, q: number) => number) =>
  (node: NodeDraft): TensorData[] | undefined => {
    const [x] = foldableInputs(node) ?? [];
    if (x?.dims.length !== 1 || x.data.length === 0 || reducedAxes(node).length !== 1) return undefined;
    const result = toNumbers(x).reduce((p, q) => combine(p, q)); // reduce passes more than two
    return Number.isSafeInteger(result) ? [tensorFrom(x.dtype, keepsDimensions(node) ? [1] : [], [result])] : undefined;
  };

const reduction = (gradient: GradientRule): OpDefinition => ({
  infer: inferReduction,
  gradient,
  flops: oneForEachInput,
});

const indexOfExtremum: OpDefinition = {
  infer: (node) => {
    const x = inputOf(node, 0);
    return [{ dtype: 'int64', shape: reducedShape(node, [normalizeAxis(intAttribute(node, 'axis', 0), x.rank)]) }];
  },
  gradient: zeroGradient,
  flops: oneForEachInput,
};

export type ReductionOp =
  | 'ReduceSum'
  | 'ReduceMean'
  | 'ReduceMax'
  | 'ReduceMin'
  | 'ReduceProd'
  | 'ReduceL1'
  | 'ReduceL2'
  | 'ReduceSumSquare'
  | 'ReduceLogSum'
  | 'ReduceLogSumExp'
  | 'ArgMax'
  | 'ArgMin';

export const reductionOps: OpFamily<ReductionOp> = {
  ReduceSum: {
    ...reduction((context) => [context.b.expandLike(withReducedAxes(context, context.dy), context.x(0))]),
    fold: foldVector((p, q) => p + q),
    traits: { linear: true, keepsClasses: true },
  },
  ReduceMean: {
    ...reduction((context) => {
      const { b, node, x, dy } = context;
      const count = b.sizeOf(x(0), reducedAxes(node), dy.dtype);
      return [b.expandLike(b.div(withReducedAxes(context, dy), count), x(0))];
    }),
    traits: { linear: true, keepsClasses: true },
  },
  ReduceMax: { ...reduction(extremeGradient), fold: foldVector(Math.max), traits: { keepsClasses: true } },
  ReduceMin: { ...reduction(extremeGradient), fold: foldVector(Math.min) },
  ReduceProd: { ...reduction(productGradient), fold: foldVector((p, q) => p * q) },
  // Σ|x|
  ReduceL1: reduction((context) => [context.b.mul(withReducedAxes(context, context.dy), context.b.sign(context.x(0)))]),
  // √Σx²: x/y, and the subgradient 0 of the norm at the origin
  ReduceL2: reduction((context) => {
    const { b, x, y, dy } = context;
    const norm = b.where(b.equal(y, 0), 1, y);
    return [b.mul(x(0), withReducedAxes(context, b.div(dy, norm)))];
  }),
  ReduceSumSquare: reduction((context) => {
    const { b, x, dy } = context;
    return [b.mul(b.mul(2, x(0)), withReducedAxes(context, dy))];
  }),
  // log Σx: 1/Σx
  ReduceLogSum: reduction((context) => {
    const { b, node, x, dy } = context;
    return [b.expandLike(b.div(withReducedAxes(context, dy), b.sum(x(0), reducedAxes(node), true)), x(0))];
  }),
  // log Σeˣ: e^(x − y); if all x are −∞, so is y, and the derivative is 0
  ReduceLogSumExp: reduction((context) => {
    const { b, x, y, dy } = context;
    const shift = withReducedAxes(context, b.where(b.equal(y, Number.NEGATIVE_INFINITY), 0, y));
    return [b.mul(withReducedAxes(context, dy), b.exp(b.sub(x(0), shift)))];
  }),
  ArgMax: indexOfExtremum,
  ArgMin: indexOfExtremum,
};
