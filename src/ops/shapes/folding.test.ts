// What is folded when a graph is built has the very bits that the runtime computes.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { evaluate } from '../../../test/support/evaluate.js';
import { type Attributes, elements, int, ints, text, type Value } from '../../graph/graph.js';
import { type DataType, elementCount, type TensorData, tensorFrom } from '../../graph/tensor.js';
import { Builder } from '../builder.js';
import { semantics } from '../table.js';

interface Folded {
  readonly op: string;
  readonly inputs: readonly TensorData[];
  readonly attributes?: Attributes;
  readonly outputs?: number;
}

const vector = (...numbers: readonly number[]) => tensorFrom('int64', [numbers.length], numbers);
const scalar = (number: number, dtype: DataType = 'int64') => tensorFrom(dtype, [], [number]);

function tensorOf(dtype: DataType, dims: readonly number[], element: fc.Arbitrary<number>): fc.Arbitrary<TensorData> {
  const length = elementCount(dims);
  return fc.array(element, { minLength: length, maxLength: length }).map((numbers) => tensorFrom(dtype, dims, numbers));
}

const whole = fc.integer({ min: -9, max: 9 });
const positive = fc.integer({ min: 1, max: 9 });
const scales = (dtype: DataType) => tensorOf(dtype, [4], fc.double({ min: -1e3, max: 1e3, noNaN: true }));
const bit = fc.integer({ min: 0, max: 1 });
const real = fc.double({ min: -1e3, max: 1e3, noNaN: true });

/** Draws of an operator on operands of the given element types. */
const drawn = (op: string, operands: readonly fc.Arbitrary<TensorData>[], attributes: Attributes = {}): Folded[] =>
  fc.sample(fc.tuple(...operands), { numRuns: 6, seed: 3 }).map((inputs) => ({ op, inputs, attributes }));

const x = tensorOf('int64', [2, 3], whole);
const row = tensorOf('int64', [3], whole);
const divisor = tensorOf(
  'int64',
  [3],
  fc.oneof(
    positive,
    positive.map((number) => -number),
  ),
);
const truth = tensorOf('bool', [2, 1], bit);
const floats = (dtype: 'float32' | 'float64', range = real) => tensorOf(dtype, [2, 3], range);
const positiveReal = fc.double({ min: 1e-3, max: 1e3, noNaN: true });
const axis = (at: number) => ({ axis: int(at) });

const cases: readonly Folded[] = [
  ...['Add', 'Sub', 'Mul', 'Max', 'Min', 'Equal', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual'].flatMap((op) =>
    drawn(op, [x, row]),
  ),
  ...['Div', 'Mod'].flatMap((op) => drawn(op, [x, divisor])),
  ...['Neg', 'Abs', 'Sign'].flatMap((op) => drawn(op, [x])),
  ...['And', 'Or', 'Xor'].flatMap((op) => drawn(op, [truth, tensorOf('bool', [3], bit)])),
  ...drawn('Not', [truth]),
  ...drawn('Where', [truth, x, row]),
  ...['int32', 'bool', 'float32', 'float64'].flatMap((to) => drawn('Cast', [x], { to: text(to) })),
  ...drawn('Cast', [floats('float32')], { to: text('int64') }),
  ...drawn('Cast', [floats('float64')], { to: text('float32') }),
  ...(['float32', 'float64'] as const).flatMap((dtype) => [
    ...['Add', 'Sub', 'Mul', 'Div'].flatMap((op) => drawn(op, [floats(dtype), floats(dtype, positiveReal)])),
    ...['Neg', 'Abs', 'Floor', 'Ceil'].flatMap((op) => drawn(op, [floats(dtype)])),
    ...drawn('Sqrt', [floats(dtype, positiveReal)]),
  ]),
  ...['ReduceSum', 'ReduceProd', 'ReduceMax', 'ReduceMin'].flatMap((op) =>
    [0, 1].flatMap((keeps) => drawn(op, [row, fc.constant(vector(0))], { keepdims: int(keeps) })),
  ),
  ...drawn('Identity', [x]),
  ...drawn('Reshape', [x, fc.constant(vector(3, -1))]),
  ...drawn('Flatten', [x], axis(1)),
  ...drawn('Squeeze', [truth, fc.constant(vector(1))]),
  ...drawn('Unsqueeze', [x, fc.constant(vector(0, -1))]),
  ...drawn('Transpose', [tensorOf('int64', [2, 3, 2], whole)], { perm: ints([2, 0, 1]) }),
  ...drawn('Expand', [row, fc.constant(vector(2, 1))]),
  ...drawn('Tile', [x, fc.constant(vector(2, 3))]),
  ...drawn('Concat', [row, divisor, row], axis(0)),
  ...drawn('Concat', [scales('float32'), scales('float32')], axis(0)),
  ...drawn('Slice', [scales('float32'), fc.constant(vector(1)), fc.constant(vector(3))]),
  ...drawn('Unsqueeze', [scales('float64'), fc.constant(vector(0))]),
  ...drawn('Gather', [scales('float32'), fc.constant(vector(-1, 0))], axis(0)),
  ...drawn('Slice', [
    x,
    fc.constant(vector(-1, 0)),
    fc.constant(vector(-9, 9)),
    fc.constant(vector(1, 0)),
    fc.constant(vector(-2, 1)),
  ]),
  ...drawn('Slice', [row, fc.constant(vector(1)), fc.constant(tensorFrom('int64', [1], [2 ** 62]))]),
  { op: 'Split', inputs: [vector(1, 2, 3, 4, 5), vector(2, 3)], attributes: axis(0), outputs: 2 },
  { op: 'ConstantOfShape', inputs: [vector(2, 2)], attributes: { value: elements(vector(7)) } },
  { op: 'Range', inputs: [scalar(9), scalar(-2), scalar(-3)] },
  { op: 'Range', inputs: [scalar(3), scalar(3), scalar(1)] },
  { op: 'Shape', inputs: [tensorFrom('float32', [2, 0], [])] },
  {
    op: 'Shape',
    inputs: [tensorFrom('float32', [2, 1, 3], [1, 2, 3, 4, 5, 6])],
    attributes: { start: int(-2), end: int(-1) },
  },
  { op: 'Size', inputs: [tensorFrom('float32', [2, 3], [1, 2, 3, 4, 5, 6])] },
];

/** Distinguishes the two zeros. */
const bits = (value: number | bigint): string => (Object.is(value, -0) ? '-0' : String(value));

test('each folded node has the elements that the runtime computes', async () => {
  const runtime = new Builder(undefined, { infer: semantics.infer, fold: () => undefined });
  const outputs: Record<string, Value> = {};
  const known = new Map<string, { what: string; data: TensorData | undefined }>();
  for (const [c, { op, inputs, attributes = {}, outputs: count = 1 }] of cases.entries()) {
    const names = Array.from({ length: count }, (_, i) => `y${c}_${i}`);
    const compute = (b: Builder) =>
      b.node(
        op,
        inputs.map((input) => b.constant(input)),
        attributes,
        { outputs: names },
      );
    const [folded, computed] = [compute(new Builder()), compute(runtime)];
    for (const [i, name] of names.entries()) {
      known.set(name, { what: `${op} #${c}`, data: folded[i]?.constant });
      outputs[name] = computed[i] as Value;
    }
  }
  const results = await evaluate(outputs, runtime);
  for (const [name, { what, data }] of known) {
    expect(data, `${what} is folded`).toBeDefined();
    const result = results[name];
    expect([what, result?.dtype, result?.dims, Array.from(result?.data ?? [], bits)]).toEqual([
      what,
      data?.dtype,
      data?.dims,
      Array.from(data?.data ?? [], bits),
    ]);
  }
});

test('integers beyond 2⁵³ are moved as they are, and not computed with', () => {
  const b = new Builder();
  const largest = b.constant({ dtype: 'int64', dims: [1], data: BigInt64Array.of(2n ** 63n - 1n) });
  const joined = b.op('Concat', [largest, b.integers([1])], { axis: int(0) });
  expect(joined.constant?.data).toEqual(BigInt64Array.of(2n ** 63n - 1n, 1n));
  expect(b.op('Slice', [joined, b.integers([0]), b.integers([1])]).constant?.data).toEqual(largest.constant?.data);
  expect(b.add(largest, 1).constant).toBeUndefined();
  expect(b.op('Div', [b.integers([1]), b.integers([0])]).constant).toBeUndefined();
});

test('large and named floating-point constants are left to the runtime', () => {
  const b = new Builder();
  const many = b.constant(tensorFrom('float32', [9], new Array<number>(9).fill(2)));
  const parameter = b.constant(tensorFrom('float32', [], [2]), 'temperature');
  expect(b.sqrt(many).constant).toBeUndefined();
  expect(b.sqrt(parameter).constant).toBeUndefined();
  expect(b.concat([b.unsqueeze(parameter, [0]), b.unsqueeze(parameter, [0])], 0).constant).toBeUndefined();
  expect(b.exp(b.scalar(1, 'float32')).constant).toBeUndefined(); // libraries differ in the last bit
  expect(Number(b.sqrt(b.scalar(2, 'float32')).constant?.data[0])).toBe(Math.fround(Math.SQRT2));
});
