import { expect, test } from 'vitest';
import { GraphError, UnsupportedError } from '../errors.js';
import { Builder } from '../ops/builder.js';
import { constantsOf, int, type Value } from './graph.js';
import { tensorFrom } from './tensor.js';

const ops = (b: Builder, outputs: Record<string, Value>) => b.build('g', outputs).nodes.map(({ op }) => op);

test('equal nameless constants are one value; other types, shapes, names and bits are others', () => {
  const b = new Builder();
  expect(b.scalar(1, 'float32')).toBe(b.scalar(1, 'float32'));
  expect(b.integers([1, 2])).toBe(b.integers([1, 2]));
  const distinct = new Set([
    b.scalar(1, 'float32'),
    b.scalar(1, 'float64'),
    b.scalar(1, 'int64'),
    b.constant(tensorFrom('float32', [1], [1])),
    b.constant(tensorFrom('float32', [1, 1], [1])),
    b.scalar(0, 'float32'),
    b.scalar(-0, 'float32'),
    b.constant(tensorFrom('float32', [], [1]), 'weight'),
    b.constant(tensorFrom('float32', [], [1]), 'weight'),
  ]);
  expect(distinct.size).toBe(9);
});

test('large constants are not compared, but pooled under a key', () => {
  const b = new Builder();
  const large = () => tensorFrom('float64', [600], new Array<number>(600).fill(1));
  expect(b.constant(large())).not.toBe(b.constant(large()));
  expect(b.pooled('ones', large)).toBe(b.pooled('ones', large));
});

test('an equal node is reused: same operator, inputs, attributes and number of outputs', () => {
  const b = new Builder();
  const x = b.input('x', 'float32', [2, 3]);
  expect(b.exp(x)).toBe(b.exp(x));
  expect(b.softmax(x, 0)).not.toBe(b.softmax(x, 1));
  expect(b.op('Softmax', [x], { axis: int(1) })).toBe(b.op('Softmax', [x], { axis: int(1) }));
  expect(b.sub(x, b.exp(x))).not.toBe(b.sub(b.exp(x), x));
  expect(b.op('Exp', [x], {}, { fresh: true })).not.toBe(b.exp(x));
  expect(b.op('other.Exp', [x])).not.toBe(b.exp(x));
  expect(ops(b, { y: b.add(b.exp(x), b.exp(x)) })).toEqual(['Exp', 'Add']);
});

test('a body reuses the values of the graph around it, and not the other way', () => {
  const b = new Builder();
  const x = b.input('x', 'float32', [2]);
  const outside = b.exp(x);
  const inner = new Builder(b);
  expect(inner.exp(x)).toBe(outside);
  const inside = inner.log(x);
  expect(b.log(x)).not.toBe(inside);
});

test('dead code is dropped and the rest stays in order', () => {
  const b = new Builder();
  const x = b.input('x', 'float32', [2]);
  const first = b.exp(x);
  b.log(first);
  const last = b.neg(first);
  expect(ops(b, { last })).toEqual(['Exp', 'Neg']);
  expect(ops(b, { x })).toEqual([]);
});

test('a value that only a body reads is alive', () => {
  const b = new Builder();
  const x = b.input('x', 'float32', []);
  const factor = b.exp(x);
  const { result } = b.loop(2, { result: x }, (inner, _, { result }) => ({ result: inner.mul(result, factor) }));
  expect(ops(b, { result })).toEqual(['Exp', 'Loop']);
});

test('shape arithmetic on known sizes leaves no node behind', () => {
  const b = new Builder();
  const x = b.input('x', 'float32', [2, 3, 4]);
  const shape = b.op('Shape', [x]);
  const batch = b.gather(shape, b.integers([0]));
  const target = b.op('Concat', [batch, b.integers([-1])], { axis: int(0) });
  const y = b.op('Reshape', [x, target]);
  expect(y.shape).toEqual([2, 12]);
  const graph = b.build('g', { y });
  expect(graph.nodes.map(({ op }) => op)).toEqual(['Reshape']);
  expect([...constantsOf(graph)].map(({ constant }) => Array.from(constant?.data ?? [], Number))).toEqual([[2, -1]]);
});

test('a parameter is never folded away, whatever its elements are', () => {
  const b = new Builder();
  const x = b.input('x', 'float32', [2]);
  const scale = b.constant(tensorFrom('float32', [], [1]), 'scale');
  const shift = b.constant(tensorFrom('float32', [], [0]), 'shift');
  expect(ops(b, { y: b.add(b.mul(x, b.sqrt(scale)), shift) })).toEqual(['Sqrt', 'Mul', 'Add']);
  expect(b.add(b.mul(x, 1), 0)).toBe(x);
});

test('an error names the node, what it was given and what is wrong', () => {
  const b = new Builder();
  const x = b.input('x', 'float32', [2, 3]);
  const y = b.input('y', 'float32', ['batch', 4]);
  const attempt = (make: () => unknown) => {
    try {
      make();
    } catch (error) {
      return error;
    }
    return undefined;
  };
  const error = attempt(() => b.op('MatMul', [x, y, undefined], {}, { name: 'fc1' }));
  expect(b.matmul(x, y).shape).toEqual([2, 4]); // `batch` may be 3
  expect(error).toBeUndefined();
  const wrong = attempt(() => b.op('Gemm', [x, x], {}, { name: 'fc1' }));
  expect(wrong).toBeInstanceOf(GraphError);
  expect((wrong as Error).message).toBe(
    "Gemm node 'fc1' of (float32[2, 3], float32[2, 3]): inner sizes 3 and 2 of [2, 3] and [2, 3] differ",
  );
  expect((attempt(() => b.op('Add', [x, b.integers([1])])) as Error).message).toBe(
    'a Add node of (float32[2, 3], int64[1]): mixes float32 and int64; cast one of them',
  );
  expect((attempt(() => b.op('Where', [x, undefined, x])) as Error).message).toContain('lacks its input 1');
});

test('what follows from an unknown operator has no type, and says where it comes from only when asked', () => {
  const b = new Builder();
  const odd = b.op('own.Odd', [b.input('x', 'float32', [2])], {}, { name: 'strange' });
  const after = b.relu(odd);
  expect(after.knownType).toBeUndefined();
  expect(() => after.shape).toThrow(UnsupportedError);
  expect(() => after.shape).toThrow("Odd node 'strange'");
  expect(() => odd.shape).toThrow("Odd node 'strange'");
});
