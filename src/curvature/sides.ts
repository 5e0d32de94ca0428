// The two sides of a Kronecker block, each held as rows (a sketch, R×m) or as the dense factor (m×m): whichever is
// smaller; an embedding's inputs as a diagonal (m). A side acts through its Gram space: P projects into it, L lifts out
// of it, F = L·P is the factor, K = P·L.
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import type { InputRows, LayerTensor } from './layer-tensor.js';
import { traceOf } from './matrices.js';

interface Side {
  /** K, `[order, order]`: the rows' Gram matrix, or the dense factor itself; `[order]` where it is diagonal. */
  readonly kernel: Value;
  /** Order of the Gram space: R for rows, m for a dense factor. */
  readonly order: number;
  /** Trace of the factor divided by its size m: its mean eigenvalue, a scalar. */
  readonly meanEigenvalue: Value;
  /** δ·(F + δI)⁻¹ applied to V, given (K + δI)⁻¹. */
  damp(v: LayerTensor, inverse: Value, delta: Value): LayerTensor;
}

/** The factor A of the layer's inputs: acts from the left. */
export interface InputSide extends Side {
  /** P·V: `[order, outputs]` */
  project(v: LayerTensor): Value;
  /** V − L·Y for `Y: [order, outputs]` */
  minusLifted(v: LayerTensor, y: Value): LayerTensor;
}

/** The factor G of the layer's pre-activation gradients: acts from the right. */
export interface OutputSide extends Side {
  /** Y·Pᵀ for `Y: [k, outputs]`: `[k, order]` */
  project(y: Value): Value;
  /** S·Lᵀ for `S: [k, order]`: `[k, outputs]` */
  lift(s: Value): Value;
}

export function inputRowsSide(b: Builder, rows: InputRows, size: number): InputSide {
  const { values, homogeneous } = rows;
  const ones = homogeneous && b.gemm(homogeneous, homogeneous, undefined, { transposeY: true });
  const kernel = b.gemm(values, values, ones, { transposeY: true });
  const project = (v: LayerTensor) => v.contractInputs(b, rows);
  const minusLifted = (v: LayerTensor, y: Value) => v.minusProduct(b, rows, y);
  return {
    kernel,
    order: values.dims[0] ?? 1,
    meanEigenvalue: b.mul(traceOf(b, kernel), 1 / size),
    project,
    minusLifted,
    // (A + δI)⁻¹ = (I − aᵀ(K + δI)⁻¹a)/δ (Woodbury)
    damp: (v, inverse) => minusLifted(v, b.matmul(inverse, project(v))),
  };
}

export function outputRowsSide(b: Builder, rows: Value): OutputSide {
  const [order, size] = [rows.dims[0] ?? 1, rows.dims[1] ?? 1];
  const kernel = b.gemm(rows, rows, undefined, { transposeY: true });
  return {
    kernel,
    order,
    meanEigenvalue: b.mul(traceOf(b, kernel), 1 / size),
    project: (y) => b.gemm(y, rows, undefined, { transposeY: true }),
    lift: (s) => b.matmul(s, rows),
    // V(G + δI)⁻¹ = (V − (V·gᵀ)(K + δI)⁻¹·g)/δ
    damp(v, inverse) {
      const projected = v.contractOutputs(b, rows);
      const solved = {
        values: b.matmul(inverse, projected.values),
        homogeneous: projected.homogeneous && b.matmul(inverse, projected.homogeneous),
      };
      return v.minusProduct(b, solved, rows);
    },
  };
}

/** @param factor A, `[m, m]` with the homogeneous coordinate last */
export function denseInputSide(b: Builder, factor: Value): InputSide {
  return {
    ...denseSide(b, factor),
    project: (v) => v.joined(b),
    minusLifted: (v, y) => v.split(b, b.sub(v.joined(b), b.matmul(factor, y))),
    damp: (v, inverse, delta) => v.split(b, b.matmul(b.mul(inverse, delta), v.joined(b))),
  };
}

/** @param factor G, `[n, n]` */
export function denseOutputSide(b: Builder, factor: Value): OutputSide {
  return {
    ...denseSide(b, factor),
    project: (y) => y,
    lift: (s) => b.matmul(s, factor),
    damp: (v, inverse, delta) => v.split(b, b.matmul(v.joined(b), b.mul(inverse, delta))),
  };
}

/** @param diagonal of A, `[m]`, of a layer without bias */
export function diagonalInputSide(b: Builder, diagonal: Value): InputSide {
  return {
    kernel: diagonal,
    order: diagonal.dims[0] ?? 1,
    meanEigenvalue: b.mean(diagonal),
    project: (v) => v.joined(b),
    minusLifted: (v, y) => v.split(b, b.sub(v.joined(b), b.mul(b.unsqueeze(diagonal, [1]), y))),
    damp: (v, inverse, delta) => v.scaledInputs(b, b.mul(inverse, delta)),
  };
}

function denseSide(b: Builder, factor: Value) {
  const size = factor.dims[0] ?? 1;
  return { kernel: factor, order: size, meanEigenvalue: b.mul(traceOf(b, factor), 1 / size) };
}
