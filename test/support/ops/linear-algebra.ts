// Gradient checks of matrix products over all layouts, and of the inverse.
import fc from 'fast-check';
import { float, int } from '../../../src/graph/graph.js';
import { tensorFrom } from '../../../src/graph/tensor.js';
import type { CaseTable, CheckedSize, GradientCase } from '../gradient-check.js';
import { size } from './shapes.js';

const gemm: fc.Arbitrary<GradientCase> = fc
  .record({
    rows: fc.constantFrom<CheckedSize>(1, 3, 'rows=2', 0),
    inner: size,
    columns: size,
    transA: fc.boolean(),
    transB: fc.boolean(),
    alpha: fc.constantFrom(1, 0.7),
    beta: fc.constantFrom(1, -0.4),
    c: fc.constantFrom('none', 'whole', 'row', 'column', 'one', 'scalar'),
  })
  .map(({ rows, inner, columns, transA, transB, alpha, beta, c }) => {
    const shapes: Record<string, CheckedSize[]> = {
      whole: [rows, columns],
      row: [columns],
      column: [rows, 1],
      one: [1, 1],
      scalar: [],
    };
    const added = shapes[c];
    return {
      name: `Gemm transA=${transA} transB=${transB}`,
      inputs: [
        { shape: transA ? [inner, rows] : [rows, inner] },
        { shape: transB ? [columns, inner] : [inner, columns] },
        ...(added ? [{ shape: added }] : []),
      ],
      build: (b, x) =>
        b.op('Gemm', x, {
          transA: int(Number(transA)),
          transB: int(Number(transB)),
          alpha: float(alpha),
          beta: float(beta),
        }),
    };
  });

const product = (left: CheckedSize[], right: CheckedSize[]): GradientCase => ({
  name: 'MatMul',
  inputs: [{ shape: left }, { shape: right }],
  build: (b, x) => b.op('MatMul', x),
});

export const linearAlgebraCases = {
  Gemm: gemm,
  MatMul: [
    product([2, 3], [3, 2]),
    product(['n=2', 3], [3, 1]),
    product([0, 3], [3, 2]),
    product([3], [3]),
    product([3], [3, 2]),
    product([2, 3], [3]),
    product([3], [2, 3, 2]),
    product([2, 2, 3], [3]),
    product([2, 2, 3], [3, 2]),
    product(['n=2', 'm=2', 3], [3, 2]),
    product([2, 2, 'k=3'], ['k=3', 2]),
    product([0, 2, 3], [3, 2]),
    product([2, 3], [2, 3, 2]),
    product([2, 1, 2, 3], [3, 3, 1]),
    product(['n=2', 1, 2, 3], ['n=2', 2, 3, 2]),
    product([1, 2, 3], [2, 3, 2]),
    product([0, 2, 3], [0, 3, 2]),
  ],
  'com.microsoft.Inverse': [
    [2, 2],
    [1, 1],
    [2, 3, 3],
    ['n=2', 2, 2],
  ].map((shape) => ({
    name: 'Inverse',
    inputs: [{ shape: shape as CheckedSize[], range: [-0.4, 0.4] as const }],
    build: (b, [x]) => {
      const n = Number(shape.at(-1));
      const diagonal = Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 2 : 0));
      const shifted = b.add(x ?? 0, b.constant(tensorFrom('float64', [n, n], diagonal), 'diagonal'));
      return b.op('com.microsoft.Inverse', [shifted]);
    },
  })),
} satisfies CaseTable;
