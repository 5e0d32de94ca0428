// Gradient checks of selection; comparisons have nothing to differentiate.
import type { CaseTable } from '../gradient-check.js';

export const logicCases = {
  Equal: 'discrete',
  Less: 'discrete',
  LessOrEqual: 'discrete',
  Greater: 'discrete',
  GreaterOrEqual: 'discrete',
  And: 'discrete',
  Or: 'discrete',
  Xor: 'discrete',
  Not: 'discrete',
  IsNaN: 'discrete',
  IsInf: 'discrete',
  BitShift: 'discrete',
  BitwiseAnd: 'discrete',
  BitwiseOr: 'discrete',
  BitwiseXor: 'discrete',
  BitwiseNot: 'discrete',
  Where: [
    {
      name: 'Where',
      inputs: [{ shape: [2, 1], dtype: 'bool', values: [1, 0] }, { shape: ['n=2', 3] }, { shape: [3] }],
      build: (b, x) => b.op('Where', x),
    },
    {
      name: 'Where with a condition larger than both',
      inputs: [{ shape: [2, 2], dtype: 'bool', values: [1, 0, 0, 0] }, { shape: [] }, { shape: [2, 1] }],
      build: (b, x) => b.op('Where', x),
    },
    {
      name: 'Where on the sign of its own operand',
      inputs: [{ shape: [4], avoid: [0] }],
      build: (b, [x]) => (x ? b.where(b.less(x, 0), b.exp(x), b.square(x)) : b.scalar(0, 'float64')),
    },
    {
      name: 'Where of nothing',
      inputs: [{ shape: [0, 2], dtype: 'bool', values: [] }, { shape: [0, 1] }, { shape: [2] }],
      build: (b, x) => b.op('Where', x),
    },
  ],
} satisfies CaseTable;
