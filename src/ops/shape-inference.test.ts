// Types of values whose sizes have names, and shapes that a program computes from them.
import { describe, expect, test } from 'vitest';
import { elements, int, type Shape, text, type Value } from '../graph/graph.js';
import { tensorFrom } from '../graph/tensor.js';
import { Builder } from './builder.js';
import { broadcastShapes, productOf, quotientOf } from './shapes/shapes.js';

const shapeOf = (make: (b: Builder, x: Value) => Value, shape: Shape = ['batch', 4, 8]): Shape | undefined => {
  const b = new Builder();
  return make(b, b.input('x', 'float32', shape)).knownType?.shape;
};

test('sizes multiply and divide by name', () => {
  expect(productOf(['batch', 4, 8])).toBe('batch*32');
  expect(productOf(['b', 'a'])).toBe('a*b');
  expect(productOf(['batch*32', 2])).toBe('batch*64');
  expect(productOf(['batch', 0])).toBe(0);
  expect(productOf(['a+b', 2])).toBe('(a+b)*2');
  expect(quotientOf(['batch', 4, 8], [32])).toBe('batch');
  expect(quotientOf(['batch*32'], [8])).toBe('batch*4');
  expect(quotientOf(['batch', 4], ['batch'])).toBe(4);
  expect(quotientOf(['batch'], [3])).toBe('batch/3');
});

test('names broadcast against 1 and themselves, and give way to numbers', () => {
  expect(broadcastShapes(['batch', 1], [3])).toEqual(['batch', 3]);
  expect(broadcastShapes(['batch', 1], ['batch', 'time'])).toEqual(['batch', 'time']);
  expect(broadcastShapes(['batch'], [5])).toEqual([5]);
  expect(() => broadcastShapes([2], [3])).toThrow('shapes [2] and [3] do not broadcast');
  expect(broadcastShapes([0, 1], [1, 3])).toEqual([0, 3]);
});

describe('operators keep names', () => {
  const cases: readonly [string, Shape, (b: Builder, x: Value) => Value][] = [
    ['Reshape', ['batch', 32], (b, x) => b.reshape(x, [-1, 32])],
    ['Reshape copying', ['batch', 32], (b, x) => b.reshape(x, [0, -1])],
    ['Flatten', ['batch', 32], (b, x) => b.op('Flatten', [x])],
    ['Flatten all', [1, 'batch*32'], (b, x) => b.op('Flatten', [x], { axis: int(0) })],
    ['Transpose', [8, 4, 'batch'], (b, x) => b.transpose(x)],
    ['MatMul', ['batch', 4, 3], (b, x) => b.matmul(x, b.input('w', 'float32', [8, 3]))],
    ['ReduceSum', ['batch'], (b, x) => b.sum(x, [1, -1])],
    ['Concat', ['batch', 6, 8], (b, x) => b.concat([x, b.slice(x, 1, 0, 2)], 1)],
    ['Concat of names', ['batch+batch', 4, 8], (b, x) => b.concat([x, b.exp(x)], 0)],
    ['Slice of the whole axis', ['batch', 4, 8], (b, x) => b.op('Slice', [x, b.integers([0]), b.integers([2 ** 40])])],
    ['Slice backwards', ['batch', 4, 8], (b, x) => b.reverse(x, 0)],
    ['Pad', ['batch', 5, 8], (b, x) => b.pad(x, [0, 1, 0], [0, 0, 0])],
    ['Tile', ['batch*2', 4, 8], (b, x) => b.op('Tile', [x, b.integers([2, 1, 1])])],
    ['Unsqueeze', ['batch', 1, 4, 8], (b, x) => b.unsqueeze(x, [1])],
    ['ArgMax', ['batch', 8], (b, x) => b.op('ArgMax', [x], { axis: int(1), keepdims: int(0) })],
    [
      'Range',
      ['batch'],
      (b, x) =>
        b.op('Range', [
          b.scalar(0, 'int64'),
          b.squeeze(b.op('Shape', [x], { end: int(1) }), [0]),
          b.scalar(1, 'int64'),
        ]),
    ],
    ['ConstantOfShape', ['batch', 4, 8], (b, x) => b.zerosLike(x)],
    ['Expand', ['batch', 4, 8], (b, x) => b.expandLike(b.scalar(1, 'float32'), x)],
  ];
  test.each(cases)('%s', (_, expected, make) => {
    expect(shapeOf(make)).toEqual(expected);
  });
});

test('the shape arithmetic of exporters follows names', () => {
  // view(x.size(0), -1) as PyTorch's exporter writes it
  const flattened = shapeOf((b, x) => {
    const batch = b.gather(b.op('Shape', [x]), b.scalar(0, 'int64'));
    const target = b.op('Concat', [b.unsqueeze(batch, [0]), b.integers([-1])], { axis: int(0) });
    return b.op('Reshape', [x, target]);
  });
  expect(flattened).toEqual(['batch', 32]);
  // split into heads: [batch, 4, 2, 8 / 2]
  const heads = shapeOf((b, x) => {
    const size = b.op('Shape', [x], { start: int(2) });
    const part = b.op('Div', [size, b.integers([2])]);
    const target = b.op('Concat', [b.op('Shape', [x], { end: int(2) }), b.integers([2]), part], { axis: int(0) });
    return b.op('Reshape', [x, b.op('Cast', [target], { to: text('int64') })]);
  });
  expect(heads).toEqual(['batch', 4, 2, 4]);
  // expand(-1, …): Where(shape == −1, 1, shape)
  const expanded = shapeOf(
    (b, x) => {
      const wanted = b.op('Concat', [b.op('Shape', [x], { end: int(1) }), b.integers([-1, 5])], { axis: int(0) });
      const value = elements(tensorFrom('int64', [1], [1]));
      const ones = b.op('ConstantOfShape', [b.integers([3])], { value });
      return b.op('Expand', [x, b.where(b.equal(wanted, b.integers([-1])), ones, wanted)]);
    },
    ['batch', 4, 1],
  );
  expect(expanded).toEqual(['batch', 4, 5]);
});

test('a shape that only the running program knows leaves the type open, without an error', () => {
  const b = new Builder();
  const x = b.input('x', 'float32', ['batch', 4]);
  const open = b.op('Reshape', [x, b.input('shape', 'int64', [2])]);
  expect(open.knownType).toBeUndefined();
  expect(b.relu(open).knownType).toBeUndefined();
});

test('shapes that do not fit are refused in words', () => {
  const b = new Builder();
  const x = b.input('x', 'float32', [2, 3]);
  const messages: readonly [() => unknown, string][] = [
    [() => b.reshape(x, [4, 2]), '[2, 3] has 6 elements and cannot take the shape [4, 2]'],
    [() => b.reshape(x, [4, -1]), '[2, 3] cannot take the shape [4, -1]'],
    [() => b.softmax(x, 2), 'axis 2 is out of range for rank 2'],
    [() => b.sum(x, [2]), 'axis 2 is out of range'],
    [() => b.concat([x, b.transpose(x)], 0), 'cannot join float32[2, 3] and float32[3, 2] along axis 0'],
    [() => b.transpose(x, [0, 0]), '[0, 0] is not a permutation of 2 axes'],
    [() => b.squeeze(x, [1]), 'axis 1 has size 3, not 1'],
    [() => b.matmul(x, x), 'inner sizes 3 and 2'],
    [() => b.op('Tile', [x, b.integers([2])]), 'has 1 repeats for 2 axes'],
    [() => b.op('Pad', [x, b.integers([1, 1])]), 'has 2 pads for 2 axes'],
    [() => b.add(x, b.input('y', 'float32', [4])), 'shapes [2, 3] and [4] do not broadcast'],
  ];
  for (const [make, message] of messages) expect(make).toThrow(message);
});
