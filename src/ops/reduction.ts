// Operators that reduce axes, and softmax, which normalizes over one.
import { inputOf, intAttribute, type Shape, type TensorType } from '../graph/graph.js';
import { tensorFrom, toNumbers } from '../graph/tensor.js';
import type { GradientContext, NodeDraft, OpDefinition } from './definition.js';
import { foldableInputs } from './folding.js';
import { knownIntegers, normalizeAxis } from './shapes.js';

/** The axes that are reduced, counted from the front: all where none are given, unless `noop_with_empty_axes`. */
function reducedAxes(node: NodeDraft): number[] {
  const rank = inputOf(node, 0).rank;
  const given = node.inputs[1] ? knownIntegers(node.inputs[1], 'the axes') : [];
  if (given.length > 0) return given.map((axis) => normalizeAxis(axis, rank));
  return intAttribute(node, 'noop_with_empty_axes', 0) === 1 ? [] : Array.from({ length: rank }, (_, axis) => axis);
}

const keepsDimensions = (node: NodeDraft): boolean => intAttribute(node, 'keepdims', 1) === 1;

function inferReduction(node: NodeDraft): TensorType[] {
  const { dtype, shape } = inputOf(node, 0);
  const axes = new Set(reducedAxes(node));
  const reduced: Shape = keepsDimensions(node)
    ? shape.map((size, axis) => (axes.has(axis) ? 1 : size))
    : shape.filter((_, axis) => !axes.has(axis));
  return [{ dtype, shape: reduced }];
}

/** A reduced value with its reduced axes back as size 1, so that it broadcasts against the input. */
function withReducedAxes({ b, node }: GradientContext, value: Parameters<typeof b.unsqueeze>[0]) {
  return keepsDimensions(node)
    ? value
    : b.unsqueeze(
        value,
        reducedAxes(node).sort((p, q) => p - q),
      );
}

const axisOf = (node: NodeDraft): number => normalizeAxis(intAttribute(node, 'axis', -1), inputOf(node, 0).rank);
const inferSame = (node: NodeDraft): TensorType[] => {
  axisOf(node);
  return [inputOf(node, 0).type];
};

/** Cotangent shared by the elements equal to the extremum of their group. */
function extremeGradient(context: GradientContext) {
  const { b, node, x, y, dy } = context;
  const chosen = b.cast(b.equal(x(0), withReducedAxes(context, y)), dy.dtype);
  const count = b.sum(chosen, reducedAxes(node), true);
  return [b.mul(chosen, b.div(withReducedAxes(context, dy), count))];
}

export const reductionOps = {
  ReduceSum: {
    infer: inferReduction,
    gradient: (context) => [context.b.expandLike(withReducedAxes(context, context.dy), context.x(0))],
  },
  ReduceMean: {
    infer: inferReduction,
    gradient: (context) => {
      const { b, node, x, dy } = context;
      const count = b.sizeOf(x(0), reducedAxes(node), dy.dtype);
      return [b.expandLike(b.div(withReducedAxes(context, dy), count), x(0))];
    },
  },
  ReduceMax: { infer: inferReduction, gradient: extremeGradient },
  ReduceMin: { infer: inferReduction, gradient: extremeGradient },
  ReduceProd: {
    infer: inferReduction,
    gradient: { refusal: 'products have no gradient rule yet; write it as Exp(ReduceSum(Log(x)))' },
    fold: (node) => {
      const [x] = foldableInputs(node) ?? [];
      if (x?.dims.length !== 1) return undefined;
      const product = toNumbers(x).reduce((p, q) => p * q, 1);
      return [tensorFrom(x.dtype, keepsDimensions(node) ? [1] : [], [product])];
    },
  },

  // y = softmax(x): dx = y·(dy − Σ dy·y)
  Softmax: {
    infer: inferSame,
    gradient: ({ b, node, y, dy }) => {
      const weighted = b.mul(dy, y);
      return [b.sub(weighted, b.mul(y, b.sum(weighted, [axisOf(node)], true)))];
    },
  },
  // y = log softmax(x): dx = dy − softmax(x)·Σ dy
  LogSoftmax: {
    infer: inferSame,
    gradient: ({ b, node, x, dy }) => {
      const axis = axisOf(node);
      return [b.sub(dy, b.mul(b.softmax(x(0), axis), b.sum(dy, [axis], true)))];
    },
  },
} satisfies Record<string, OpDefinition>;
