// Products of matrices and the inverse: what nearly all the time of a step is spent in.
import { GraphError } from '../errors.js';
import {
  floatAttribute,
  inputOf,
  intAttribute,
  type Node,
  outputOf,
  type Shape,
  type TensorType,
} from '../graph/graph.js';
import type { GradientContext, NodeDraft, OpFamily } from './definition.js';
import { broadcastShapes, formatShape, knownCount } from './shapes/shapes.js';

function matrixSizes(shape: Shape, transposed: boolean): readonly [Shape[number], Shape[number]] {
  const [rows, columns] = shape;
  if (rows === undefined || columns === undefined || shape.length !== 2) {
    throw new GraphError(`Gemm multiplies matrices, not a tensor of shape ${formatShape(shape)}`);
  }
  return transposed ? [columns, rows] : [rows, columns];
}

function checkInner(left: Shape[number], right: Shape[number], x: Shape, y: Shape): void {
  if (typeof left === 'number' && typeof right === 'number' && left !== right) {
    throw new GraphError(`inner sizes ${left} and ${right} of ${formatShape(x)} and ${formatShape(y)} differ`);
  }
}

function inferGemm(node: NodeDraft): TensorType[] {
  const [x, y] = [inputOf(node, 0), inputOf(node, 1)];
  const [rows, left] = matrixSizes(x.shape, intAttribute(node, 'transA', 0) === 1);
  const [right, columns] = matrixSizes(y.shape, intAttribute(node, 'transB', 0) === 1);
  checkInner(left, right, x.shape, y.shape);
  const shape = [rows, columns];
  const c = node.inputs[2];
  if (c && formatShape(broadcastShapes(c.shape, shape)) !== formatShape(shape)) {
    throw new GraphError(`C of shape ${formatShape(c.shape)} does not broadcast to ${formatShape(shape)}`);
  }
  return [{ dtype: x.dtype, shape }];
}

function inferMatMul(node: NodeDraft): TensorType[] {
  const [x, y] = [inputOf(node, 0), inputOf(node, 1)];
  if (x.rank === 0 || y.rank === 0) throw new GraphError('MatMul does not take scalars');
  if (x.dtype !== y.dtype) throw new GraphError(`mixes ${x.dtype} and ${y.dtype}; cast one of them`);
  const left = x.rank === 1 ? [1, ...x.shape] : x.shape;
  const right = y.rank === 1 ? [...y.shape, 1] : y.shape;
  checkInner(left.at(-1) ?? 1, right.at(-2) ?? 1, x.shape, y.shape);
  const batch = broadcastShapes(left.slice(0, -2), right.slice(0, -2));
  const rows = x.rank === 1 ? [] : [left.at(-2) ?? 1];
  const columns = y.rank === 1 ? [] : [right.at(-1) ?? 1];
  return [{ dtype: x.dtype, shape: [...batch, ...rows, ...columns] }];
}

/** Y = α·op(X)·op(Z) + β·C: each factor's cotangent is a Gemm of the same kind. */
function gemmGradient({ b, node, x, dy }: GradientContext) {
  const alpha = floatAttribute(node, 'alpha', 1);
  const beta = floatAttribute(node, 'beta', 1);
  const transposeX = intAttribute(node, 'transA', 0) === 1;
  const transposeZ = intAttribute(node, 'transB', 0) === 1;
  const dx = transposeX
    ? b.gemm(x(1), dy, undefined, { alpha, transposeX: transposeZ, transposeY: true })
    : b.gemm(dy, x(1), undefined, { alpha, transposeY: !transposeZ });
  const dz = transposeZ
    ? b.gemm(dy, x(0), undefined, { alpha, transposeX: true, transposeY: transposeX })
    : b.gemm(x(0), dy, undefined, { alpha, transposeX: !transposeX });
  return node.inputs[2] ? [dx, dz, b.mul(dy, beta)] : [dx, dz];
}

/**
 * Y = X·Z over broadcast batches: dX = dY·Zᵀ, dZ = Xᵀ·dY. Vectors are widened to matrices for the products and
 * narrowed again. A matrix Z shared by a batch of X gets one product over all rows, not a batch of them and a sum.
 */
function matmulGradient({ b, x, dy }: GradientContext) {
  const [left, right] = [x(0), x(1)];
  if (left.rank === 2 && right.rank === 2) {
    return [b.gemm(dy, right, undefined, { transposeY: true }), b.gemm(left, dy, undefined, { transposeX: true })];
  }
  const [inner, columns] = [left.shape.at(-1), right.shape.at(-1)];
  if (left.rank > 2 && right.rank === 2 && typeof inner === 'number' && typeof columns === 'number') {
    const rowsOf = (value: typeof left) => b.op('Reshape', [value, b.integers([-1, Number(value.shape.at(-1))])]);
    const dLeft = b.matmul(dy, b.transpose(right));
    return [dLeft, b.gemm(rowsOf(left), rowsOf(dy), undefined, { transposeX: true })];
  }
  const wideX = left.rank === 1 ? b.unsqueeze(left, [0]) : left;
  const wideZ = right.rank === 1 ? b.unsqueeze(right, [1]) : right;
  const widened = right.rank === 1 ? b.unsqueeze(dy, [dy.rank]) : dy;
  const wideDy = left.rank === 1 ? b.unsqueeze(widened, [widened.rank - 1]) : widened;
  const dX = b.matmul(wideDy, b.transposeMatrices(wideZ));
  const dZ = b.matmul(b.transposeMatrices(wideX), wideDy);
  return [left.rank === 1 ? b.squeeze(dX, [dX.rank - 2]) : dX, right.rank === 1 ? b.squeeze(dZ, [dZ.rank - 1]) : dZ];
}

/** Two for each multiply-add: 2 · |Y| · inner size. */
function productFlops(node: Node): number {
  const x = inputOf(node, 0);
  const inner = node.op === 'Gemm' && intAttribute(node, 'transA', 0) === 1 ? x.shape[0] : x.shape.at(-1);
  return 2 * knownCount([...outputOf(node).shape, inner ?? 1]);
}

const layer = { appliesWeights: true, linear: true } as const;

export type LinearAlgebraOp = 'Gemm' | 'MatMul' | 'com.microsoft.Inverse';

export const linearAlgebraOps: OpFamily<LinearAlgebraOp> = {
  Gemm: { infer: inferGemm, gradient: gemmGradient, flops: productFlops, traits: layer },
  MatMul: { infer: inferMatMul, gradient: matmulGradient, flops: productFlops, traits: layer },
  // LU inverse of a batch of square matrices: d(X⁻¹) = −X⁻¹ dX X⁻¹, so dX = −Yᵀ dY Yᵀ
  'com.microsoft.Inverse': {
    infer: (node) => [inputOf(node, 0).type],
    gradient: ({ b, y, dy }) => {
      const transposed = b.transposeMatrices(y);
      return [b.neg(b.matmul(b.matmul(transposed, dy), transposed))];
    },
    flops: productFlops, // 2n³ a matrix
  },
};
