// Gradient checks of the operators that move, join, slice, pad and create.
import fc from 'fast-check';
import { type Attributes, elements, int, ints, text, type Value } from '../../../src/graph/graph.js';
import { tensorFrom } from '../../../src/graph/tensor.js';
import type { Builder } from '../../../src/ops/builder.js';
import type { CaseTable, CheckedSize, GradientCase } from '../gradient-check.js';
import { shape, size } from './shapes.js';

/** One input of a shape through a function. */
const of = (
  name: string,
  dims: readonly CheckedSize[],
  build: (b: Builder, x: Value) => Value | readonly Value[],
): GradientCase => ({ name, inputs: [{ shape: dims }], build: (b, [x]) => build(b, x as Value) });

const slice = (dims: readonly CheckedSize[], ...ranges: readonly number[][]): GradientCase =>
  of(`Slice ${JSON.stringify(ranges)}`, dims, (b, x) =>
    b.op('Slice', [x, ...ranges.map((range) => b.integers(range))]),
  );

const anySlice: fc.Arbitrary<GradientCase> = fc
  .record({
    dims: fc.tuple(size, fc.integer({ min: 1, max: 6 }), size),
    start: fc.integer({ min: -8, max: 8 }),
    end: fc.integer({ min: -9, max: 9 }),
    step: fc.constantFrom(1, 2, 3, -1, -2, -3),
    both: fc.boolean(),
  })
  .map(({ dims, start, end, step, both }) =>
    both ? slice(dims, [start, 0], [end, 2], [1, 2], [step, 1]) : slice(dims, [start], [end], [-2], [step]),
  );

const largest = 2 ** 31 - 1;

const pad = (
  dims: readonly CheckedSize[],
  pads: readonly number[],
  mode: string,
  options: { value?: number; axes?: readonly number[] } = {},
): GradientCase =>
  of(`Pad ${mode} [${pads}]`, dims, (b, x) => {
    const value = options.value === undefined ? undefined : b.scalar(options.value, 'float64');
    const inputs = [x, b.integers(pads), value, options.axes && b.integers(options.axes)];
    return b.op('Pad', options.axes ? inputs : inputs.slice(0, value ? 3 : 2), { mode: text(mode) });
  });

const split = (dims: readonly CheckedSize[], attributes: Attributes, outputs: number, sizes?: readonly number[]) =>
  of(`Split ${sizes ?? outputs}`, dims, (b, x) => {
    const names = Array.from({ length: outputs }, (_, i) => `part${i}`);
    return b.node('Split', sizes ? [x, b.integers(sizes)] : [x], attributes, { outputs: names });
  });

const concat = (axis: number, ...shapes: readonly (readonly CheckedSize[])[]): GradientCase => ({
  name: `Concat along ${axis}`,
  inputs: shapes.map((dims) => ({ shape: dims })),
  build: (b, x) => b.op('Concat', x, { axis: int(axis) }),
});

const tile = (dims: readonly CheckedSize[], ...repeats: readonly number[]) =>
  of(`Tile ${repeats}`, dims, (b, x) => b.op('Tile', [x, b.integers(repeats)]));

const reshape = (from: readonly CheckedSize[], to: readonly number[], attributes: Attributes = {}) =>
  of(`Reshape to ${to}`, from, (b, x) => b.op('Reshape', [x, b.integers(to)], attributes));

export const movementCases = {
  Identity: shape().map((dims) => of('Identity', dims, (b, x) => b.op('Identity', [x]))),
  Reshape: [
    reshape([2, 3], [3, 2]),
    reshape([2, 3], [-1]),
    reshape([2, 1, 3], [0, 3]),
    reshape(['n=2', 3, 2], [-1, 6]),
    reshape(['n=2', 3, 2], [0, -1]),
    reshape(['n=2', 'm=3'], [-1, 1]),
    reshape([0, 3], [0, 3, 1]),
    reshape([1], []),
    reshape([0, 3], [3, 0], { allowzero: int(1) }),
    of('Reshape to a shape computed from names', ['n=2', 3, 2], (b, x) =>
      b.op('Reshape', [x, b.vector([b.dimension(x, 0), 6])]),
    ),
  ],
  Flatten: fc
    .tuple(shape(0), fc.integer({ min: -3, max: 3 }))
    .filter(([dims, axis]) => Math.abs(axis) <= dims.length)
    .map(([dims, axis]) => of(`Flatten at ${axis}`, dims, (b, x) => b.op('Flatten', [x], { axis: int(axis) }))),
  Transpose: shape(1).chain((dims) =>
    fc
      .shuffledSubarray([...dims.keys()], { minLength: dims.length })
      .map((order) => of(`Transpose ${order}`, dims, (b, x) => b.op('Transpose', [x], { perm: ints(order) }))),
  ),
  Squeeze: [
    of('Squeeze all', [1, 2, 1], (b, x) => b.op('Squeeze', [x])),
    of('Squeeze one', ['n=2', 1, 1], (b, x) => b.op('Squeeze', [x, b.integers([-1])])),
    of('Squeeze of nothing', [0, 1], (b, x) => b.op('Squeeze', [x, b.integers([1])])),
  ],
  Unsqueeze: [
    of('Unsqueeze', [2, 3], (b, x) => b.op('Unsqueeze', [x, b.integers([0, 2])])),
    of('Unsqueeze', ['n=2', 3], (b, x) => b.op('Unsqueeze', [x, b.integers([-1])])),
    of('Unsqueeze', [], (b, x) => b.op('Unsqueeze', [x, b.integers([0])])),
  ],
  Expand: [
    of('Expand', [3, 1], (b, x) => b.op('Expand', [x, b.integers([2, 1, 4])])),
    of('Expand', [3, 1], (b, x) => b.op('Expand', [x, b.integers([1])])),
    of('Expand', [], (b, x) => b.op('Expand', [x, b.integers([2, 2])])),
    of('Expand', [1, 2], (b, x) => b.op('Expand', [x, b.integers([0, 2])])),
    {
      name: 'Expand to the shape of another value',
      inputs: [{ shape: [3] }, { shape: ['n=2', 3] }],
      build: (b, [x, like]) => b.op('Expand', [x, b.op('Shape', [like])]),
    },
  ],
  Tile: [
    tile([2, 3], 2, 1),
    tile([2], 3),
    tile(['n=2', 3, 1], 2, 1, 3),
    tile(['n=2', 'm=2'], 2, 2),
    tile([0, 2], 2, 2),
  ],
  Concat: [
    concat(0, [2, 3], [1, 3]),
    concat(-1, ['n=2', 3], ['n=2', 1], ['n=2', 2]),
    concat(0, ['n=2', 3], ['m=3', 3], [1, 3]),
    concat(0, [0, 3], [1, 3]),
    concat(1, [2, 1, 2], [2, 3, 2]),
    {
      name: 'Concat of a value twice',
      inputs: [{ shape: [2] }],
      build: (b, [x]) => b.op('Concat', [x, x], { axis: int(0) }),
    },
  ],
  Split: [
    split([5, 2], { axis: int(0) }, 2, [2, 3]),
    split(['n=2', 5], { axis: int(-1), num_outputs: int(2) }, 2),
    split([2, 4], { axis: int(1), num_outputs: int(4) }, 4),
    of('Split of which one part is used', [5], (b, x) => {
      const parts = b.node('Split', [x, b.integers([1, 3, 1])], {}, { outputs: ['p', 'q', 'r'] });
      return parts.slice(1, 2);
    }),
  ],
  Slice: fc.oneof(
    { weight: 6, arbitrary: anySlice },
    {
      weight: 2,
      arbitrary: fc.constantFrom(
        slice(['n=2', 5], [1], [largest], [1], [2]),
        slice(['n=3', 2], [0], [largest], [0]),
        slice(['n=3', 2], [-1], [-largest], [0], [-1]),
        slice(['n=2', 'm=2', 5], [3], [-largest], [2], [-2]),
        slice([4, 3], [1], [3]),
        slice([0, 4], [1], [4], [1], [2]),
      ),
    },
  ),
  Pad: [
    pad([2, 3], [1, 0, 0, 2], 'constant'),
    pad([2, 3], [1, 0, 0, 2], 'constant', { value: 0.7 }),
    pad(['n=2', 3], [0, 2, 0, 1], 'constant'),
    pad(['n=2', 4], [0, -1, 0, 2], 'constant'),
    pad([4, 4], [-1, -2, -1, -1], 'constant'),
    pad([0, 2], [0, 1, 0, 1], 'constant'),
    pad([2, 3, 2], [1, 2], 'constant', { value: 0, axes: [1] }),
    pad([2, 3, 2], [1, 2, 0, 1], 'constant', { value: 0, axes: [-1, 0] }),
    {
      name: 'Pad by its value',
      inputs: [{ shape: [2, 2] }, { shape: [] }],
      build: (b, [x, value]) => b.op('Pad', [x, b.integers([1, -1, 0, 2]), value]),
    },
    pad([3, 4], [2, 1, 1, 3], 'reflect'),
    pad(['n=2', 4], [0, 3, 0, 3], 'reflect'),
    pad([2, 3], [1, 2, 1, 0], 'edge'),
    pad(['n=2', 1], [0, 1, 0, 1], 'edge'),
    pad([3, 4], [1, 2, 3, 4], 'wrap'),
  ],
  Trilu: [
    of('Trilu', [3, 3], (b, x) => b.op('Trilu', [x], { upper: int(1) })),
    of('Trilu', [2, 2, 3], (b, x) => b.op('Trilu', [x], { upper: int(0) })),
    of('Trilu', ['n=3', 3], (b, x) => b.op('Trilu', [x, b.scalar(1, 'int64')], { upper: int(0) })),
    of('Trilu', [3, 2], (b, x) => b.op('Trilu', [x, b.scalar(-1, 'int64')], { upper: int(1) })),
  ],
  Shape: 'discrete',
  Size: 'discrete',
  ConstantOfShape: [
    of('ConstantOfShape', ['n=2', 3], (b, x) => {
      const value = elements(tensorFrom('float64', [1], [1.5]));
      return b.mul(x, b.op('ConstantOfShape', [b.op('Shape', [x])], { value }));
    }),
  ],
  Range: [
    of('Range', ['n=3'], (b, x) => {
      const length = b.op('Squeeze', [b.op('Shape', [x])]);
      return b.mul(x, b.cast(b.op('Range', [b.scalar(0, 'int64'), length, b.scalar(1, 'int64')]), 'float64'));
    }),
  ],
  EyeLike: [of('EyeLike', ['n=2', 3], (b, x) => b.mul(x, b.op('EyeLike', [x])))],
  Dropout: [
    of('Dropout', ['n=2', 3], (b, x) => b.op('Dropout', [x])),
    of('Dropout', [2, 3], (b, x) =>
      b.op('Dropout', [x, b.scalar(0.5, 'float64'), b.constant(tensorFrom('bool', [], [0]))]),
    ),
    of('Dropout', [2, 3], (b, x) =>
      b.op('Dropout', [x, b.scalar(0, 'float64'), b.constant(tensorFrom('bool', [], [1]))]),
    ),
  ],
} satisfies CaseTable;
