// Gradient checks of Einsum: the forms that exporters write, and the edges of its notation.
import { text } from '../../../src/graph/graph.js';
import type { CaseTable, CheckedSize, GradientCase } from '../gradient-check.js';

const check = (equation: string, ...shapes: readonly (readonly CheckedSize[])[]): GradientCase => ({
  name: `Einsum ${equation}`,
  inputs: shapes.map((shape) => ({ shape })),
  build: (b, x) => b.op('Einsum', x, { equation: text(equation) }),
});

export const einsumCases = {
  Einsum: [
    check('ij,jk->ik', [2, 3], [3, 2]),
    check('ij,jk', [2, 3], [3, 2]), // no arrow
    check('ba,cb', [2, 3], [2, 2]), // no arrow: the result in the order of the alphabet
    check('bhqd,bhkd->bhqk', ['batch=2', 2, 2, 3], ['batch=2', 2, 3, 3]),
    check('bqhd,bkhd->bhqk', [1, 2, 2, 3], [1, 3, 2, 3]),
    check('...ij,...jk->...ik', [2, 2, 3], [2, 3, 2]),
    check('...ij,jk->...ik', [2, 2, 3], [3, 2]),
    check('...i,...i', [2, 3], [2, 3]),
    check('...ij,...jk->...ik', [2, 2, 3], [1, 3, 2]),
    check('ij->ji', [2, 3]),
    check('ij->i', [2, 3]), // a sum
    check('ij->', [2, 3]),
    check('ij,kj->k', [2, 3], [2, 3]), // i is only in the first operand
    check('i,i->', [3], [3]),
    check('i,j->ij', [3], [2]),
    check('bij,bjk,bk->bi', [2, 2, 2], [2, 2, 3], [2, 3]),
    check(' i j , j -> i ', [2, 3], [3]),
  ],
} satisfies CaseTable;
