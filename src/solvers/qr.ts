// The orthogonal factor of a square matrix by Householder's reflections, by panels of columns: within a panel a loop
// reflects column by column, and matrix products apply a panel's reflections to what stands beside it.

import type { Value } from '../graph/graph.js';
import { tensorFrom } from '../graph/tensor.js';
import type { Builder } from '../ops/builder.js';
import { identityLike } from '../ops/identity.js';
import { block, orderOf } from './cholesky.js';

/** Columns of a panel. */
const panelWidth = 32;

/** Below the smallest column whose square is not 0 in float32. */
const tiny = 2 ** -126;

/**
 * Return Q of M = Q·R with R upper triangular and its diagonal positive: unique if M is regular, and then the one nearest to
 * the columns of M in the order of their precedence. Q is orthogonal up to rounding for every M, also of lower rank: then the
 * columns of Q that M does not determine complete the basis.
 * @param matrix M, `[n, n]` or `[batch, n, n]`, float32 or float64
 * @throws GraphError for a value that is not a square matrix or a batch of them, of known sizes
 */
export function orthogonalFactor(b: Builder, matrix: Value): Value {
  const order = orderOf(matrix);
  if (matrix.rank === 3 && matrix.dims[0] === 1) {
    return b.unsqueeze(orthogonalFactor(b, b.squeeze(matrix, [0])), [0]);
  }
  const [rowAxis, columnAxis] = [matrix.rank - 2, matrix.rank - 1];
  // Positive factors of columns do not change Q.
  let rest = b.div(matrix, b.max(b.reduceMax(b.abs(matrix), [rowAxis], true), tiny));
  let factor: Value | undefined;
  const signs: Value[] = [];
  for (let start = 0; start < order; start += panelWidth) {
    const end = Math.min(order, start + panelWidth);
    // What is left below the rows that are done: the panel, and the columns beside it
    const { vectors, diagonal } = reflectors(b, b.slice(rest, columnAxis, 0, end - start));
    signs.push(b.sub(b.mul(b.cast(b.greaterOrEqual(diagonal, 0), matrix.dtype), 2), 1));
    const kernel = reflectionKernel(b, vectors);
    // Q ← Q·(I − V·T·Vᵀ) on the columns from `start`
    const done = factor && b.slice(factor, columnAxis, 0, start);
    const open = factor ? b.slice(factor, columnAxis, start, order) : b.expandLike(identityLike(b, matrix), matrix);
    const reflected = b.gemm(b.matmul(b.matmul(open, vectors), kernel), vectors, open, { transposeY: true, alpha: -1 });
    factor = done ? b.concat([done, reflected], columnAxis) : reflected;
    if (end === order) break;
    // R ← (I − V·Tᵀ·Vᵀ)·R
    const beside = b.slice(rest, columnAxis, end - start, order - start);
    const projected = b.gemm(kernel, b.gemm(vectors, beside, undefined, { transposeX: true }), undefined, {
      transposeX: true,
    });
    const updated = b.gemm(vectors, projected, beside, { alpha: -1 });
    rest = block(b, updated, [end - start, order - start], [0, order - end]);
  }
  return b.mul(factor as Value, b.concat(signs, columnAxis)); // there is at least one panel
}

/**
 * Reflect the columns of a panel `[…, m, s]`, m ≥ s, one by one.
 * @returns unit vectors v₁ … v_s as columns, and the diagonal of R, `[…, 1, s]`
 */
function reflectors(b: Builder, panel: Value): { vectors: Value; diagonal: Value } {
  const { dtype, rank } = panel;
  const [rows = 0, width = 0] = panel.dims.slice(-2);
  const [rowAxis, columnAxis] = [rank - 2, rank - 1];
  const table = (is: (row: number, column: number) => boolean): Value =>
    b.constant(
      tensorFrom(
        dtype,
        [rows, width],
        Array.from({ length: rows * width }, (_, i) => Number(is(Math.floor(i / width), i % width))),
      ),
    );
  const diagonal = table((row, column) => row === column);
  const lower = table((row, column) => row >= column);
  const units = b.slice(diagonal, 0, 0, width); // those of the first rows
  const columns = b.constant(
    tensorFrom(
      'int64',
      [width, 1],
      Array.from({ length: width }, (_, i) => i),
    ),
  );
  const done = b.loop(width, { panel, vectors: b.zerosLike(panel) }, (inner, iteration, carried) => {
    const column = inner.gather(columns, iteration); // [1], so that what is gathered stays a matrix
    const unit = inner.gather(diagonal, column, 1);
    const x = inner.mul(inner.gather(carried.panel, column, columnAxis), inner.gather(lower, column, 1));
    const pivot = inner.gather(x, column, rowAxis);
    const norm = inner.sqrt(inner.sum(inner.square(x), [rowAxis], true));
    const away = inner.where(inner.less(pivot, 0), inner.neg(norm), norm);
    const isZero = inner.cast(inner.equal(norm, 0), dtype); // then v is the unit vector
    const v = inner.add(x, inner.mul(unit, inner.add(away, isZero)));
    const normal = inner.div(v, inner.sqrt(inner.sum(inner.square(v), [rowAxis], true)));
    const projection = inner.gemm(normal, carried.panel, undefined, { transposeX: true });
    const row = inner.gather(units, column);
    return {
      panel: inner.sub(carried.panel, inner.mul(inner.mul(normal, 2), projection)),
      vectors: inner.add(carried.vectors, inner.mul(normal, row)),
    };
  });
  return { vectors: done.vectors, diagonal: b.sum(b.mul(done.panel, diagonal), [rowAxis], true) };
}

/** T of H₁…H_s = I − V·T·Vᵀ for reflections along unit vectors: T⁻¹ is VᵀV above the diagonal and ½ on it (Joffrain et al. 2006). */
function reflectionKernel(b: Builder, vectors: Value): Value {
  const above = b.op('Trilu', [b.gemm(vectors, vectors, undefined, { transposeX: true }), b.scalar(1, 'int64')]);
  return b.op('com.microsoft.Inverse', [b.add(above, b.mul(identityLike(b, above), 0.5))]);
}
