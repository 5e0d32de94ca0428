// What gradient checks do not see of the indexing operators: folding, cheap inverses, refusals.
import { expect, test } from 'vitest';
import { gradients } from '../autodiff/gradients.js';
import { nodeEngine } from '../engine/node.js';
import { type Graph, text } from '../graph/graph.js';
import { toNumbers } from '../graph/tensor.js';
import { Builder } from './builder.js';

const operators = (graph: Graph): string[] => graph.nodes.map(({ op }) => op);

test('elements of a known shape are known', () => {
  const b = new Builder();
  const shape = b.op('Shape', [b.input('x', 'float32', [4, 6, 8])]);
  const chosen = b.gather(shape, b.integers([-1, 0]));
  expect(chosen.constant && toNumbers(chosen.constant)).toEqual([8, 4]);
});

test('a known index out of range is refused, not folded to another element', () => {
  const b = new Builder();
  const shape = b.op('Shape', [b.input('x', 'float32', [4, 6, 8])]);
  const message = (element: number) =>
    `a Gather node of (int64[3], int64[1]): reads element ${element} of a tensor with 3`;
  expect(() => b.gather(shape, b.integers([3]))).toThrow(message(3));
  expect(() => b.gather(shape, b.integers([-4]))).toThrow(message(-1));
});

test('a known permutation is inverted by another, not scattered', () => {
  const b = new Builder();
  const x = b.input('x', 'float32', [3]);
  const [slope] = gradients(b, b.sum(b.square(b.gather(x, b.integers([2, 0, 1])))), [x]);
  const used = operators(b.build('test', { slope: slope ?? x }));
  expect(used).toContain('Gather');
  expect(used).not.toContain('ScatterElements');
});

test('what cannot be differentiated says so', () => {
  const b = new Builder();
  const x = b.input('x', 'float32', [3, 2]);
  const indices = b.integers([0, 1, 2]);
  const largest = b.op('ScatterND', [x, b.unsqueeze(indices, [1]), x], { reduction: text('max') });
  expect(() => gradients(b, b.sum(largest), [x])).toThrow("the reduction 'max' has no gradient rule");
  const diagonal = b.op('Einsum', [b.matmul(x, b.transpose(x))], { equation: text('ii->i') });
  expect(() => gradients(b, b.sum(diagonal), [x])).toThrow("a diagonal ('ii') has no gradient rule");
});

test.each([
  ['Gather', [[], [2]], 'cannot choose from a scalar'],
  ['GatherElements', [[3, 2], [2]], 'indices of rank 1 choose from rank 2'],
  [
    'GatherND',
    [
      [3, 2],
      [2, 3],
    ],
    'indices [2, 3] do not point into rank 2',
  ],
] as const)('%s refuses what does not fit', (op, [x, indices], message) => {
  const b = new Builder();
  expect(() => b.op(op, [b.input('x', 'float32', x), b.input('i', 'int64', indices)])).toThrow(message);
});

// ScatterND of ONNX Runtime 1.30 fails this: its threads add to one element without waiting for each other.
test.each(['Gather', 'GatherND'] as const)(
  '%s: two threads add up the cotangents of rows that are read often',
  async (op) => {
    const [rows, size, width] = [2048, 5, 128];
    const b = new Builder();
    const x = b.input('x', 'float32', [size, width]);
    const indices = b.input('indices', 'int64', op === 'Gather' ? [rows] : [rows, 1]);
    const weights = b.input('weights', 'float32', [rows, width]);
    const [gradient = x] = gradients(b, b.sum(b.mul(b.op(op, [x, indices]), weights)), [x]);
    const engine = await nodeEngine({ threads: 2 });
    try {
      const program = await engine.compile(b.build('reads', { gradient }));
      const w = Float32Array.from({ length: rows * width }, (_, i) => (i % 7) - 3); // sums of these are exact
      const expected = new Float32Array(size * width);
      for (let i = 0; i < w.length; i++) {
        const at = (Math.floor(i / width) % size) * width + (i % width);
        expected[at] = (expected[at] ?? 0) + (w[i] ?? 0);
      }
      const feeds = {
        x: { dtype: 'float32', dims: [size, width], data: new Float32Array(size * width) },
        indices: {
          dtype: 'int64',
          dims: indices.dims,
          data: BigInt64Array.from({ length: rows }, (_, i) => BigInt(i % size)),
        },
        weights: { dtype: 'float32', dims: [rows, width], data: w },
      } as const;
      for (let run = 0; run < 10; run++) expect((await program.run(feeds)).gradient?.data).toEqual(expected);
    } finally {
      await engine.close();
    }
  },
);
