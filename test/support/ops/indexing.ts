// Gradient checks of the operators that choose and put back elements.

import { int, text, type Value } from '../../../src/graph/graph.js';
import type { OpName } from '../../../src/ops/table.js';
import type { CaseTable, CheckedSize, GradientCase, InputSpec } from '../gradient-check.js';

interface Chosen {
  readonly shape: readonly CheckedSize[];
  readonly indices: readonly CheckedSize[];
  readonly values: readonly number[];
  readonly axis?: number;
  /** Shape of the updates, of scatter operators. */
  readonly updates?: readonly CheckedSize[];
  readonly reduction?: 'none' | 'add';
  readonly batch?: number;
}

const checks = (op: OpName, cases: readonly Chosen[]): GradientCase[] =>
  cases.map((chosen) => ({
    name: op,
    inputs: [
      { shape: chosen.shape },
      { shape: chosen.indices, dtype: 'int64', values: chosen.values },
      ...(chosen.updates ? [{ shape: chosen.updates }] : []),
    ],
    build: (b, x) =>
      b.op(op, x, {
        ...(chosen.axis === undefined ? {} : { axis: int(chosen.axis) }),
        ...(chosen.batch === undefined ? {} : { batch_dims: int(chosen.batch) }),
        ...(chosen.reduction === undefined ? {} : { reduction: text(chosen.reduction) }),
      }),
  }));

/** The operator computes both outputs always: the runtime wants no fewer. */
const top = (x: InputSpec, count: number, axis = -1, largest = 1): GradientCase => ({
  name: 'TopK',
  inputs: [x],
  build: (b, [value]) => {
    const attributes = { axis: int(axis), largest: int(largest) };
    const [values] = b.node('TopK', [value, b.integers([count])], attributes, { outputs: ['values', 'indices'] });
    return values as Value;
  },
});

const gathers: readonly GradientCase[] = [
  ...checks('Gather', [
    { shape: [5, 3], indices: [2, 4], values: [0, 4, 4, 1, -1, 2, 0, 0] },
    { shape: [4], indices: [], values: [2] },
    { shape: ['batch=2', 4, 3], indices: [3], values: [3, 0, 3], axis: 1 },
    { shape: [2, 3], indices: [2, 2], values: [2, 0, -3, 0], axis: -1 },
    { shape: [3, 2], indices: ['batch=2', 2], values: [2, 0, 1, 0] },
    { shape: [3, 2], indices: [0], values: [] },
  ]),
  {
    name: 'Gather with a permutation',
    inputs: [{ shape: [2, 4] }],
    build: (b, [x]) => b.gather(x as Value, b.integers([2, -1, 1, 0]), 1),
  },
  {
    name: 'Gather with known indices, one of them twice',
    inputs: [{ shape: [3, 2] }],
    build: (b, [x]) => b.gather(x as Value, b.integers([2, 2, 0])),
  },
];

export const indexingCases = {
  Gather: gathers,
  GatherElements: checks('GatherElements', [
    { shape: [3, 2], indices: [2, 2], values: [1, 2, 1, 0] },
    { shape: [2, 3], indices: [2, 4], values: [0, 2, 2, 1, 0, -1, 0, 0], axis: 1 },
  ]),
  ScatterElements: checks('ScatterElements', [
    { shape: [3, 2], indices: [2, 2], values: [1, 2, 0, 0], updates: [2, 2] },
    { shape: [2, 3], indices: [2, 2], values: [0, 0, 2, 1], updates: [2, 2], axis: 1, reduction: 'add' },
  ]),
  GatherND: checks('GatherND', [
    { shape: [3, 2], indices: [2, 2], values: [1, 1, 1, 1] },
    { shape: [3, 2], indices: [2, 1], values: [2, 0] },
    { shape: [2, 3, 2], indices: [2, 2, 1], values: [2, 2, 0, 1], batch: 1 },
  ]),
  ScatterND: checks('ScatterND', [
    { shape: [3, 2], indices: [2, 1], values: [2, 0], updates: [2, 2] },
    { shape: [3, 2], indices: [3, 2], values: [2, 0, 2, 0, 1, 1], updates: [3], reduction: 'add' },
  ]),
  OneHot: [
    {
      name: 'OneHot',
      dtype: 'float32',
      inputs: [{ shape: [2, 2], dtype: 'int64', values: [0, 2, 1, -1] }, { shape: [2] }],
      build: (b, [indices, values]) => b.op('OneHot', [indices, b.integers([3]), values], { axis: int(1) }),
    },
  ],
  TopK: [top({ shape: ['batch=3', 4], separated: true }, 2), top({ shape: [4, 2], separated: true }, 3, 0, 0)],
} satisfies CaseTable;
