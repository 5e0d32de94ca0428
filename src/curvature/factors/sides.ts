// The two sides of a Kronecker block. A side is held as rows (a sketch, R×m) or as the dense factor (m×m), whichever is
// smaller, or, for the inputs of an embedding, as a diagonal (m). It is used in units of its own mean eigenvalue s = tr F/m,
// as F̂ = F/s, and acts through its Gram space: P projects into it, L lifts out of it, F̂ = L·P, K̂ = P·L. So no factor is
// too large or too small for float32, whatever the scale of a layer's activations and gradients. The sides of a block of
// several groups are batches: each value has a leading axis for the groups, and each group has its own scale.
import type { Value } from '../../graph/graph.js';
import type { DataType } from '../../graph/tensor.js';
import type { Builder } from '../../ops/builder.js';
import type { KroneckerBlock } from '../kronecker-block.js';
import type { InputRows, LayerTensor } from '../layer-tensor.js';
import { elementDot, traceOf } from './matrices.js';

interface Side {
  /** √s, above 0 also if the factor is zero: a scalar, or `[groups, 1, 1]`. */
  readonly rootScale: Value;
  /**
   * Return K̂, `[order, order]`: the rows' Gram matrix, or the dense factor itself; `[order]` if it is diagonal. The given
   * builder makes it, so that a branch that does not run does not compute it.
   */
  kernel(b: Builder): Value;
  /** The shape of K̂. */
  readonly shape: readonly number[];
  /** Whether the factor, and so K̂, is a diagonal. */
  readonly diagonal: boolean;
  /** Whether the factor is the identity: the side does nothing, and all damping is the other side's. K̂ is then the number 1. */
  readonly identity?: true;
  /** Return the matrix that `damp` multiplies with, from (K̂ + δI)⁻¹. */
  damper(b: Builder, inverse: Value, delta: Value): Value;
  /** Return δ·(F̂ + δI)⁻¹ applied to V. */
  damp(v: LayerTensor, damper: Value): LayerTensor;
  /** The values that the side is made of. */
  readonly parts: readonly Value[];
}

/** A side that can be made again, of the same values in another graph or at another step. */
interface Again<Own> {
  /**
   * Return the side made of other values: those that it was made of are kept while steps do without new ones.
   * @param of the value that stands for one of `parts`
   */
  again(b: Builder, of: (part: Value) => Value): Own;
}

/** The factor A of the layer's inputs: acts from the left. */
export interface InputSide extends Side, Again<InputSide> {
  /** Return P·V, `[order, outputs]`. */
  project(v: LayerTensor): Value;
  /** Return V − L·Y for `Y: [order, outputs]`. */
  minusLifted(v: LayerTensor, y: Value): LayerTensor;
  /** The rows in units of the factor, if it is held as rows: they say nothing of the directions that they do not span. */
  readonly rows?: InputRows;
  /**
   * Return the result of `damp` of this side, and then of the side of G with the rows g, in one product that is subtracted
   * from V: two passes over V fewer. Left out if the side is not held as rows.
   * @param inverses (K̂ + δI)⁻¹ of both sides
   */
  dampBoth?(v: LayerTensor, g: Value, inverses: { readonly inputs: Value; readonly outputs: Value }): LayerTensor;
}

/** The factor G of the layer's pre-activation gradients: acts from the right. */
export interface OutputSide extends Side, Again<OutputSide> {
  /** Return Y·Pᵀ for `Y: [k, outputs]`, `[k, order]`. */
  project(y: Value): Value;
  /** Return S·Lᵀ for `S: [k, order]`, `[k, outputs]`. */
  lift(s: Value): Value;
  /** The rows in units of the factor, if it is held as rows. */
  readonly rows?: Value;
}

/**
 * Return how the sides of a block are held with sketches of R rows: dense if the factor has at most R rows and columns (not
 * counting the bias), else as rows; a diagonal factor as its diagonal.
 */
export function sideForms(
  { factor, inputs, outputs }: Pick<KroneckerBlock, 'factor' | 'inputs' | 'outputs'>,
  rank: number,
) {
  const form = (size: number) => (size <= rank ? 'dense' : 'rows');
  return { inputs: factor === 'diagonal' ? 'diagonal' : form(inputs), outputs: form(outputs) } as const;
}

/** Smaller mean eigenvalues count as this: its root is far above the smallest normal float32. */
export const smallestScale = 1e-36;

const rootOf = (b: Builder, meanEigenvalue: Value): Value => b.sqrt(b.max(meanEigenvalue, smallestScale));

/** Return the rows of a factor A in units of its mean eigenvalue, r̂ = r/√s, and √s. */
export function scaledInputRows(b: Builder, rows: InputRows, size: number) {
  const rootScale = inputRootScale(b, rows, size);
  return { rows: inInputUnits(b, rows, rootScale), rootScale };
}

function inputRootScale(b: Builder, { values, homogeneous }: InputRows, size: number): Value {
  const squares = elementDot(b, values, values);
  const trace = homogeneous ? b.add(squares, elementDot(b, homogeneous, homogeneous)) : squares;
  return rootOf(b, b.mul(trace, 1 / size));
}

const inInputUnits = (b: Builder, { values, homogeneous }: InputRows, rootScale: Value): InputRows => ({
  values: b.div(values, rootScale),
  homogeneous: homogeneous && b.div(homogeneous, rootScale),
});

/** Return the rows `[R, n]` of a factor G in units of its mean eigenvalue, r̂ = r/√s, and √s. */
export function scaledOutputRows(b: Builder, rows: Value) {
  const rootScale = outputRootScale(b, rows);
  return { rows: b.div(rows, rootScale), rootScale };
}

const outputRootScale = (b: Builder, rows: Value): Value =>
  rootOf(b, b.mul(elementDot(b, rows, rows), 1 / (rows.dims.at(-1) ?? 1)));

/**
 * Return the side of a factor A that is held as rows, A = aᵀa.
 * @param size number of inputs, with the homogeneous coordinate
 * @example
 * const inputs = (b: Builder, { block, rows }: MeasuredBlock) =>
 *   inputRowsSide(b, rows.inputs, block.inputs + (block.bias === undefined ? 0 : 1));
 */
export function inputRowsSide(b: Builder, given: InputRows, size: number): InputSide {
  return inputRowsOf(b, given, inputRootScale(b, given, size));
}

function inputRowsOf(b: Builder, given: InputRows, rootScale: Value): InputSide {
  const rows = inInputUnits(b, given, rootScale);
  const { values, homogeneous } = rows;
  const ones = homogeneous && b.gemm(homogeneous, homogeneous, undefined, { transposeY: true });
  const kernel = b.gemm(values, values, ones, { transposeY: true });
  const project = (v: LayerTensor) => v.contractInputs(b, rows);
  const minusLifted = (v: LayerTensor, y: Value) => v.minusProduct(b, rows, y);
  return {
    rootScale,
    kernel: () => kernel,
    shape: kernel.dims,
    diagonal: false,
    project,
    minusLifted,
    damper: (_, inverse) => inverse,
    // (Â + δI)⁻¹ = (I − âᵀ(K̂ + δI)⁻¹â)/δ (Woodbury)
    damp: (v, inverse) => minusLifted(v, b.matmul(inverse, project(v))),
    rows,
    // V − âᵀY − U·ĝ with Y = (K̂_a + δ)⁻¹·â·V and Uᵀ = (K̂_g + δ)⁻¹·ĝ·(V − âᵀY)ᵀ
    dampBoth(v, g, inverses) {
      const y = b.matmul(inverses.inputs, project(v));
      const across = b.gemm(g, y, undefined, { transposeY: true });
      const seen = v.contractOutputs(b, g);
      const joined = (own: Value, ofV: Value): Value =>
        b.concat([own, b.matmul(inverses.outputs, b.gemm(across, own, ofV, { alpha: -1 }))], own.rank - 2);
      const both: InputRows = {
        values: joined(values, seen.values),
        homogeneous: homogeneous && seen.homogeneous && joined(homogeneous, seen.homogeneous),
      };
      return v.minusProduct(b, both, b.concat([y, g], y.rank - 2));
    },
    parts: [given.values, ...(given.homogeneous ? [given.homogeneous] : []), rootScale],
    again: (at, of) =>
      inputRowsOf(
        at,
        { values: of(given.values), homogeneous: given.homogeneous && of(given.homogeneous) },
        of(rootScale),
      ),
  };
}

/**
 * Return the side of a factor G that is held as rows `[R, n]`, G = gᵀg.
 * @example
 * const outputs = (b: Builder, { rows }: MeasuredBlock) => outputRowsSide(b, rows.outputs);
 */
export function outputRowsSide(b: Builder, given: Value): OutputSide {
  return outputRowsOf(b, given, outputRootScale(b, given));
}

function outputRowsOf(b: Builder, given: Value, rootScale: Value): OutputSide {
  const rows = b.div(given, rootScale);
  const kernel = b.gemm(rows, rows, undefined, { transposeY: true });
  return {
    rootScale,
    kernel: () => kernel,
    shape: kernel.dims,
    diagonal: false,
    project: (y) => b.gemm(y, rows, undefined, { transposeY: true }),
    lift: (s) => b.matmul(s, rows),
    damper: (_, inverse) => inverse,
    rows,
    // V(Ĝ + δI)⁻¹ = (V − (V·ĝᵀ)(K̂ + δI)⁻¹·ĝ)/δ
    damp(v, inverse) {
      const projected = v.contractOutputs(b, rows);
      const solved = {
        values: b.matmul(inverse, projected.values),
        homogeneous: projected.homogeneous && b.matmul(inverse, projected.homogeneous),
      };
      return v.minusProduct(b, solved, rows);
    },
    parts: [given, rootScale],
    again: (at, of) => outputRowsOf(at, of(given), of(rootScale)),
  };
}

/**
 * Return the side of a dense factor A.
 * @param factor `[m, m]`, with the homogeneous coordinate last
 * @example
 * // For layers without bias:
 * const inputs = (b: Builder, { rows }: MeasuredBlock) => {
 *   const { values } = rows.inputs;
 *   return denseInputSide(b, b.gemm(values, values, undefined, { transposeX: true }));
 * };
 */
export function denseInputSide(b: Builder, factor: Value): InputSide {
  return denseInputsOf(b, factor, denseRootScale(b, factor));
}

function denseInputsOf(b: Builder, factor: Value, rootScale: Value): InputSide {
  const side = denseSide(factor, rootScale);
  return {
    ...side,
    project: (v) => v.joined(b),
    minusLifted: (v, y) => v.split(b, b.sub(v.joined(b), b.matmul(side.kernel(b), y))),
    damp: (v, damper) => v.split(b, b.matmul(damper, v.joined(b))),
    again: (at, of) => denseInputsOf(at, of(factor), of(rootScale)),
  };
}

/**
 * Return the side of a dense factor G.
 * @param factor `[n, n]`
 * @example
 * const outputs = (b: Builder, { rows }: MeasuredBlock) =>
 *   denseOutputSide(b, b.gemm(rows.outputs, rows.outputs, undefined, { transposeX: true }));
 */
export function denseOutputSide(b: Builder, factor: Value): OutputSide {
  return denseOutputsOf(b, factor, denseRootScale(b, factor));
}

function denseOutputsOf(b: Builder, factor: Value, rootScale: Value): OutputSide {
  const side = denseSide(factor, rootScale);
  return {
    ...side,
    project: (y) => y,
    lift: (s) => b.matmul(s, side.kernel(b)),
    damp: (v, damper) => v.timesOutputs(b, damper),
    again: (at, of) => denseOutputsOf(at, of(factor), of(rootScale)),
  };
}

/**
 * Return the side of a diagonal factor A.
 * @param diagonal `[m]`, of a layer without bias
 * @example
 * const inputs = (b: Builder, { block, rows }: MeasuredBlock) =>
 *   rows.diagonal ? diagonalInputSide(b, rows.diagonal) : inputRowsSide(b, rows.inputs, block.inputs);
 */
export function diagonalInputSide(b: Builder, diagonal: Value): InputSide {
  return diagonalOf(b, diagonal, rootOf(b, b.mean(diagonal)));
}

function diagonalOf(b: Builder, diagonal: Value, rootScale: Value): InputSide {
  const kernel = (at: Builder) => inUnitsOf(at, rootScale, diagonal);
  return {
    rootScale,
    kernel,
    shape: diagonal.dims,
    diagonal: true,
    project: (v) => v.joined(b),
    minusLifted: (v, y) => v.split(b, b.sub(v.joined(b), b.mul(b.unsqueeze(kernel(b), [1]), y))),
    damper: (at, inverse, delta) => at.mul(inverse, delta),
    damp: (v, damper) => v.scaledInputs(b, damper),
    parts: [diagonal, rootScale],
    again: (at, of) => diagonalOf(at, of(diagonal), of(rootScale)),
  };
}

/**
 * Return the side of G = I.
 * @param groups of the block
 * @example
 * // The step of a layer is (A + λI)⁻¹∇:
 * const outputs = (b: Builder, { block, rows }: MeasuredBlock) => identityOutputSide(b, block.groups, rows.outputs.dtype);
 */
export function identityOutputSide(b: Builder, groups: number, dtype: DataType): OutputSide {
  const shape = groups === 1 ? [1] : [groups, 1, 1];
  return {
    rootScale: groups === 1 ? b.scalar(1, dtype) : b.filled([groups, 1, 1], 1, dtype),
    kernel: (at) => at.filled(shape, 1, dtype),
    shape,
    diagonal: true,
    identity: true,
    project: (y) => y,
    lift: (s) => s,
    damper: (at) => at.filled(shape, 1, dtype),
    damp: (v) => v,
    parts: [],
    again: (at) => identityOutputSide(at, groups, dtype),
  };
}

const denseRootScale = (b: Builder, factor: Value): Value =>
  rootOf(b, b.mul(traceOf(b, factor), 1 / (factor.dims.at(-1) ?? 1)));

function denseSide(factor: Value, rootScale: Value) {
  const kernel = (at: Builder) => inUnitsOf(at, rootScale, factor);
  const damper = (at: Builder, inverse: Value, delta: Value) => at.mul(inverse, delta);
  return { rootScale, kernel, shape: factor.dims, diagonal: false, damper, parts: [factor, rootScale] };
}

const inUnitsOf = (b: Builder, rootScale: Value, factor: Value): Value => b.div(factor, b.square(rootScale));
