// Dense linear algebra in plain float64 TypeScript: the oracle of the curvature's tests. Row-major, any shape.

export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float64Array;
}

/** The element there is; an index out of range is a defect of the test. */
export function at({ rows, columns, data }: Matrix, i: number, j: number): number {
  const element = data[i * columns + j];
  if (element === undefined || i < 0 || i >= rows || j < 0 || j >= columns) {
    throw new RangeError(`no element (${i}, ${j}) in a ${rows}×${columns} matrix`);
  }
  return element;
}

export function generate(rows: number, columns: number, element: (i: number, j: number) => number): Matrix {
  const data = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) data[i * columns + j] = element(i, j);
  return { rows, columns, data };
}

export function matrixOf(rows: number, columns: number, elements: ArrayLike<number>): Matrix {
  if (elements.length !== rows * columns)
    throw new RangeError(`${elements.length} elements are not a ${rows}×${columns} matrix`);
  return { rows, columns, data: Float64Array.from(elements) };
}

export const identity = (order: number): Matrix => generate(order, order, (i, j) => Number(i === j));
export const transposed = (x: Matrix): Matrix => generate(x.columns, x.rows, (i, j) => at(x, j, i));
export const scaled = (x: Matrix, factor: number): Matrix => ({
  ...x,
  data: x.data.map((element) => element * factor),
});
export const plus = (x: Matrix, y: Matrix): Matrix => {
  if (x.rows !== y.rows || x.columns !== y.columns) throw new RangeError('a sum of matrices of different shapes');
  return generate(x.rows, x.columns, (i, j) => at(x, i, j) + at(y, i, j));
};
export const minus = (x: Matrix, y: Matrix): Matrix => plus(x, scaled(y, -1));

/** X + δI */
export const shifted = (x: Matrix, delta: number): Matrix => plus(x, scaled(identity(x.rows), delta));

export function multiplied(first: Matrix, ...others: readonly Matrix[]): Matrix {
  return others.reduce((x, y) => {
    if (x.columns !== y.rows) throw new RangeError(`${x.rows}×${x.columns} times ${y.rows}×${y.columns}`);
    return generate(x.rows, y.columns, (i, j) => {
      let sum = 0;
      for (let k = 0; k < x.columns; k++) sum += at(x, i, k) * at(y, k, j);
      return sum;
    });
  }, first);
}

/** XᵀX */
export const gram = (x: Matrix): Matrix => multiplied(transposed(x), x);

/** X ⊗ Y: with row-major vec, (X ⊗ Y)·vec(V) = vec(X·V·Yᵀ). */
export const kronecker = (x: Matrix, y: Matrix): Matrix =>
  generate(
    x.rows * y.rows,
    x.columns * y.columns,
    (i, j) => at(x, Math.floor(i / y.rows), Math.floor(j / y.columns)) * at(y, i % y.rows, j % y.columns),
  );

export const trace = (x: Matrix): number => {
  let sum = 0;
  for (let i = 0; i < x.rows; i++) sum += at(x, i, i);
  return sum;
};

/** Rows `from` … `to` (exclusive). */
export const rowsOf = (x: Matrix, from: number, to: number): Matrix =>
  generate(to - from, x.columns, (i, j) => at(x, i + from, j));

/** The same elements as one column. */
export const vectorized = (x: Matrix): Matrix => ({ rows: x.rows * x.columns, columns: 1, data: x.data });

/** X⁻¹·Y by Gaussian elimination with row exchanges. */
export function solved(x: Matrix, y: Matrix): Matrix {
  const order = x.rows;
  const table = Array.from({ length: order }, (_, i) =>
    Float64Array.from({ length: order + y.columns }, (_unused, j) => (j < order ? at(x, i, j) : at(y, i, j - order))),
  );
  const element = (i: number, j: number): number => table[i]?.[j] ?? Number.NaN;
  for (let k = 0; k < order; k++) {
    let pivot = k;
    for (let i = k + 1; i < order; i++) if (Math.abs(element(i, k)) > Math.abs(element(pivot, k))) pivot = i;
    const [above, chosen] = [table[k], table[pivot]];
    if (!above || !chosen || element(pivot, k) === 0) throw new RangeError('a singular matrix');
    table[pivot] = above;
    table[k] = chosen;
    for (let i = 0; i < order; i++) {
      const row = table[i];
      if (i === k || !row) continue;
      const factor = element(i, k) / element(k, k);
      for (let j = k; j < row.length; j++) row[j] = element(i, j) - factor * element(k, j);
    }
  }
  return generate(order, y.columns, (i, j) => element(i, order + j) / element(i, i));
}

export const inverted = (x: Matrix): Matrix => solved(x, identity(x.rows));

/** Frobenius norm. */
export const norm = (x: Matrix): number => Math.sqrt(x.data.reduce((sum, element) => sum + element * element, 0));

/** ‖X − Y‖/‖Y‖ in Frobenius norms; not a number where X is not finite. */
export const relativeError = (x: Matrix, y: Matrix): number => norm(minus(x, y)) / norm(y);
