// Gradient checks of the elementwise operators.
import type { Value } from '../../../src/graph/graph.js';
import { tensorFrom } from '../../../src/graph/tensor.js';
import type { Builder } from '../../../src/ops/builder.js';
import type { OpName } from '../../../src/ops/table.js';
import type { CaseTable, GradientCase } from '../gradient-check.js';
import { broadcasting, unary } from './make.js';

const kink = { avoid: [0] };
const steps = { avoid: [-1.5, -1, -0.5, 0, 0.5, 1, 1.5] };
/** Operators without a float64 kernel. */
const single = { dtype: 'float32' } as const;

/** x to a known power, at points that include 0. */
const knownPower = (exponent: number): GradientCase => ({
  name: `Pow ${exponent}`,
  inputs: [{ shape: [4], values: exponent % 1 === 0 && exponent >= 0 ? [-1.2, 0, 0.7, 1.3] : [0.3, 0.6, 0.9, 1.3] }],
  build: (b, [x]) => b.op('Pow', [x, b.scalar(exponent, 'float64')]),
});

const powers: readonly GradientCase[] = [
  ...[0, 1, 2, 3, 4, 0.5, -1, -2, 2.5].map(knownPower),
  {
    name: 'Pow of a tensor of exponents, at 0 too',
    inputs: [{ shape: [3, 4], values: [0, 1.2, -0.8, 0, 0, 0.5, 1.1, -1.3, 0, 0, -0.4, 0.9] }],
    build: (b, [x]) => b.op('Pow', [x, b.constant(tensorFrom('float64', [4], [1, 2, 3, 2]), 'exponents')]),
  },
  {
    name: 'Pow of exponent 0 in a tensor',
    inputs: [{ shape: [2], values: [0.4, -0.7] }],
    build: (b, [x]) => b.op('Pow', [x, b.constant(tensorFrom('float64', [2], [0, 1]), 'exponents')]),
  },
  {
    name: 'Pow by its exponent, where the base is 0 too',
    inputs: [{ shape: [3], values: [1.2, 2.3, 3.1] }],
    build: (b, [p]) => b.op('Pow', [b.constant(tensorFrom('float64', [2, 3], [0, 0.3, 1, 2, 1.5, 0]), 'bases'), p]),
  },
  {
    name: 'Pow of integer exponents',
    inputs: [{ shape: [3] }, { shape: [2, 1], dtype: 'int64', values: [2, 3] }],
    build: (b, [x, p]) => b.op('Pow', [x, p]),
  },
];

/** Two and three tensors that broadcast, in which no two elements tie; and one that ties with itself. */
const extremes = (op: OpName): readonly GradientCase[] => [
  {
    name: op,
    inputs: [
      { shape: ['n=2', 3], values: [0.1, -0.8, 1.3, 0.4, 0.9, -1.1] },
      { shape: [3], values: [0.3, -0.2, 0.6] },
      { shape: [2, 1], values: [-0.4, 0.7] },
    ],
    build: (b, x) => b.op(op, x),
  },
  {
    name: `${op} of a value with itself`,
    inputs: [{ shape: [2, 2] }],
    build: (b, [x]) => b.op(op, [x, x]),
  },
  { name: `${op} of one`, inputs: [{ shape: [0, 2] }], build: (b, x) => b.op(op, x) },
];

const clipped = (
  name: string,
  inputs: (b: Builder, x: Value | undefined) => readonly (Value | undefined)[],
): GradientCase => ({
  name: `Clip ${name}`,
  inputs: [{ shape: ['n=2', 4], avoid: [-0.5, 0.6] }],
  build: (b, [x]) => b.op('Clip', inputs(b, x)),
});

export const elementwiseCases = {
  Add: broadcasting('Add', [{}, {}]),
  Sub: broadcasting('Sub', [{}, {}]),
  Mul: broadcasting('Mul', [{}, {}]),
  Div: broadcasting('Div', [{}, { range: [0.5, 2] }]),
  Pow: [
    ...powers,
    { name: 'Pow', inputs: [{ shape: ['n=2', 3], range: [0.3, 2] }, { shape: [3] }], build: (b, x) => b.op('Pow', x) },
  ],
  Sum: broadcasting('Sum', [{}, {}, {}]),
  Mean: broadcasting('Mean', [{}, {}, {}], undefined, single),
  Max: extremes('Max'),
  Min: extremes('Min'),
  Clip: [
    clipped('between limits', (b, x) => [x, b.scalar(-0.5, 'float64'), b.scalar(0.6, 'float64')]),
    clipped('from below', (b, x) => [x, b.scalar(-0.5, 'float64')]),
    clipped('from above', (b, x) => [x, undefined, b.scalar(0.6, 'float64')]),
    clipped('without limits', (_, x) => [x]),
    {
      name: 'Clip by limits that are differentiated',
      inputs: [
        { shape: [5], values: [-1.2, -0.8, 0.1, 0.9, 1.4] },
        { shape: [], values: [-0.5] },
        { shape: [], values: [0.6] },
      ],
      build: (b, x) => b.op('Clip', x),
    },
  ],
  Neg: unary('Neg'),
  Abs: unary('Abs', kink),
  Sign: unary('Sign', kink),
  Floor: unary('Floor', steps),
  Ceil: unary('Ceil', steps),
  Round: unary('Round', steps),
  Exp: unary('Exp'),
  Log: unary('Log', { range: [0.3, 2] }),
  Sqrt: unary('Sqrt', { range: [0.3, 2] }),
  Reciprocal: unary('Reciprocal', { range: [0.4, 2] }),
  Erf: unary('Erf', single),
  Sin: unary('Sin'),
  Cos: unary('Cos', single),
  Tan: unary('Tan', { ...single, range: [-1, 1] }),
  Asin: unary('Asin', { ...single, range: [-0.7, 0.7] }),
  Acos: unary('Acos', { ...single, range: [-0.7, 0.7] }),
  Atan: unary('Atan', single),
  Sinh: unary('Sinh', single),
  Cosh: unary('Cosh', single),
  Asinh: unary('Asinh', single),
  Acosh: unary('Acosh', { ...single, range: [1.5, 3] }),
  Atanh: unary('Atanh', { ...single, range: [-0.7, 0.7] }),
  Cast: [
    {
      name: 'Cast',
      inputs: [{ shape: ['n=2', 3] }],
      build: (b, [x]) => (x ? b.cast(b.exp(b.cast(x, 'float32')), 'float64') : b.scalar(0, 'float64')),
      dtype: 'float32',
    },
  ],
  CastLike: [
    {
      name: 'CastLike',
      inputs: [{ shape: ['n=2', 3] }],
      build: (b, [x]) => (x ? b.op('CastLike', [b.exp(b.cast(x, 'float32')), x]) : b.scalar(0, 'float64')),
      dtype: 'float32',
    },
  ],
} satisfies CaseTable;
