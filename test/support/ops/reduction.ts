// Gradient checks of reductions over all, one and several axes, and of the operators along one axis.

import fc from 'fast-check';
import { int } from '../../../src/graph/graph.js';
import type { OpName } from '../../../src/ops/table.js';
import type { CaseTable, CheckedSize, GradientCase, InputSpec } from '../gradient-check.js';
import { shape, size } from './shapes.js';

/** Shapes without empty axes: extremes of nothing do not exist. */
const filled: fc.Arbitrary<CheckedSize[]> = fc
  .tuple(fc.array(size, { minLength: 1, maxLength: 3 }), fc.boolean())
  .map(([dims, named]) => (named ? [`batch=${dims[0] ?? 1}` as const, ...dims.slice(1)] : dims));

function reduction(op: OpName, spec: Partial<InputSpec> = {}, shapes = shape(1)): fc.Arbitrary<GradientCase> {
  return fc
    .tuple(shapes, fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }), fc.boolean(), fc.boolean())
    .map(([dims, chosen, keeps, negated]) => {
      // The runtime (1.30.0) mistakes negative axes of empty tensors.
      const negative = negated && !dims.includes(0);
      const axes = dims.flatMap((_, axis) => (chosen[axis] ? [negative ? axis - dims.length : axis] : []));
      return {
        name: `${op} over ${axes.length === 0 ? 'all axes' : `[${axes}]`} keepdims=${keeps}`,
        inputs: [{ ...spec, shape: dims }],
        build: (b, [x]) => b.op(op, axes.length === 0 ? [x] : [x, b.integers(axes)], { keepdims: int(Number(keeps)) }),
      };
    });
}

function alongAxis(op: OpName): fc.Arbitrary<GradientCase> {
  return fc.tuple(shape(1), fc.nat({ max: 2 }), fc.boolean()).map(([dims, at, negative]) => {
    const axis = at % dims.length;
    return {
      name: `${op} along ${axis}`,
      inputs: [{ shape: dims }],
      build: (b, [x]) => b.op(op, [x], { axis: int(negative ? axis - dims.length : axis) }),
    };
  });
}

const products: readonly GradientCase[] = [
  [1.2, -0.7, 0.4, 0.9, 1.1, -1.3],
  [0, -0.7, 0.4, 0.9, 1.1, -1.3],
  [0, 0, 0.4, 0.9, 0, -1.3],
  [0, 0, 0, 0.9, 0, -1.3],
].flatMap((values) =>
  [[], [0], [1], [0, 1], [-1]].flatMap((axes) =>
    [0, 1].map(
      (keeps): GradientCase => ({
        name: `ReduceProd over [${axes}] keepdims=${keeps}`,
        inputs: [{ shape: axes.length === 1 && axes[0] !== 0 ? ['n=2', 3] : [2, 3], values }],
        build: (b, [x]) =>
          b.op('ReduceProd', axes.length === 0 ? [x] : [x, b.integers(axes)], { keepdims: int(keeps) }),
      }),
    ),
  ),
);

const positive = { range: [0.3, 2] } as const;
const extremes = (op: OpName) => reduction(op, { separated: true }, filled);

export const reductionCases = {
  ReduceSum: reduction('ReduceSum'),
  ReduceMean: reduction('ReduceMean', {}, filled),
  ReduceMax: extremes('ReduceMax'),
  ReduceMin: extremes('ReduceMin'),
  ReduceProd: products,
  ReduceL1: reduction('ReduceL1', { avoid: [0] }),
  ReduceL2: reduction('ReduceL2', positive, filled),
  ReduceSumSquare: reduction('ReduceSumSquare'),
  ReduceLogSum: reduction('ReduceLogSum', positive, filled),
  ReduceLogSumExp: reduction('ReduceLogSumExp', {}, filled),
  ArgMax: 'discrete',
  ArgMin: 'discrete',
  Softmax: alongAxis('Softmax'),
  LogSoftmax: alongAxis('LogSoftmax'),
  CumSum: fc
    .tuple(shape(1), fc.nat({ max: 2 }), fc.boolean(), fc.boolean())
    .map(([dims, axis, exclusive, reverse]) => ({
      name: `CumSum exclusive=${exclusive} reverse=${reverse}`,
      inputs: [{ shape: dims }],
      build: (b, [x]) =>
        b.op('CumSum', [x, b.scalar(axis % dims.length, 'int64')], {
          exclusive: int(Number(exclusive)),
          reverse: int(Number(reverse)),
        }),
    })),
} satisfies CaseTable;
