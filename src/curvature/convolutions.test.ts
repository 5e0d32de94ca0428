// The rows of convolutions, tied weights, embeddings and scales, against patches by hand and the Gauss–Newton matrix.
import { expect, test } from 'vitest';
import {
  at,
  generate,
  gram,
  kronecker,
  type Matrix,
  matrixOf,
  multiplied,
  plus,
  relativeError,
  rowsOf,
  scaled,
  trace,
  transposed,
} from '../../test/support/dense.js';
import type { FedBuilder } from '../../test/support/fed-builder.js';
import { gaussNewton, type Measured, measured, rounding, size } from '../../test/support/measured-blocks.js';
import { int, ints, type Value } from '../graph/graph.js';

// With one position a convolution is a dense layer on the whole image.
test('one example, one position: G ⊗ A is the Gauss–Newton block of the kernel', async () => {
  const { blocks, matrix } = await measured(
    {
      parameters: { k: [3, 2, 2, 3], w: [3, 3] },
      input: [1, 2, 2, 3],
      network: (b, x, p) => b.matmul(b.tanh(b.reshape(b.op('Conv', [x, p('k')]), [1, 3])), p('w')),
    },
    'exact',
  );
  expect(blocks.map(({ kind, inputs, outputs }) => [kind, inputs, outputs])).toEqual([
    ['convolution', 12, 3],
    ['dense', 3, 3],
  ]);
  // The kernel's own order is outputs first.
  const kfac = kronecker(gram(matrix('g0')), gram(matrix('a0')));
  expect(relativeError(kfac, gaussNewton(matrix, 'k', 36))).toBeLessThan(rounding);
});

// Strides, dilation and padding, a bias: the sum over positions of aᵀg is the gradient, whatever the order of rows.
test('rows of all positions: aᵀg is the gradient of kernel and bias', async () => {
  const [examples, windows] = [3, 4 * 2];
  const { blocks, rest, matrix } = await measured(
    {
      parameters: { k: [4, 2, 3, 2], c: [4], w: [4 * windows, 3] },
      input: [examples, 2, 7, 6],
      network: (b, x, p) => {
        const attributes = { strides: ints([2, 3]), pads: ints([1, 0, 1, 0]), dilations: ints([1, 2]) };
        const y = b.tanh(b.op('Conv', [x, p('k'), p('c')], attributes));
        return b.matmul(b.reshape(y, [examples, 4 * windows]), p('w'));
      },
    },
    'empirical',
  );
  expect([...rest]).toEqual([]);
  expect(blocks[0]).toMatchObject({ kind: 'convolution', weight: 'k', bias: 'c', inputs: 12, outputs: 4 });
  const [a, g] = [matrix('a0'), matrix('g0')];
  expect([a.rows, a.columns]).toEqual([examples * windows, 13]);
  // a carries 1/√(N·T) and g carries 1/√N, the gradient 1/N.
  const product = scaled(multiplied(transposed(g), a), Math.sqrt(windows));
  const kernel = generate(4, 12, (i, j) => at(product, i, j));
  expect(relativeError(kernel, matrixOf(4, 12, matrix('slope.k').data))).toBeLessThan(rounding);
  const bias = generate(1, 4, (_, j) => at(product, j, 12));
  expect(relativeError(bias, matrix('slope.c'))).toBeLessThan(rounding);
});

test('A is the mean over all positions of the patches', async () => {
  const { matrix, images } = await measured(
    {
      parameters: { k: [2, 2, 2], w: [6, 3] },
      input: [2, 2, 4],
      network: (b, x, p) => b.matmul(b.reshape(b.op('Conv', [x, p('k')]), [2, 6]), p('w')),
    },
    'empirical',
  );
  // [channel 0 at t, t + 1, channel 1 at t, t + 1] for both examples and three positions
  const patch = (row: number, j: number): number => {
    const [example, t, channel, offset] = [Math.floor(row / 3), row % 3, Math.floor(j / 2), j % 2];
    return images[example * 8 + channel * 4 + t + offset] ?? Number.NaN;
  };
  expect(relativeError(gram(matrix('a0')), scaled(gram(generate(6, 4, patch)), 1 / 6))).toBeLessThan(rounding);
});

test('many positions: the patches of the first examples stand for all', async () => {
  const { matrix, images } = await measured(
    {
      parameters: { k: [1, 1, 1], w: [1, 2] },
      input: [3, 1, 10_000],
      network: (b, x, p) => b.matmul(b.mean(b.op('Conv', [x, p('k')]), [2]), p('w')),
    },
    'empirical',
  );
  const expected = images.slice(0, 10_000).reduce((sum, x) => sum + x * x, 0) / 10_000;
  expect(matrix('a0').rows).toBe(10_000);
  expect(matrix('g0').rows).toBe(30_000);
  expect((gram(matrix('a0')).data[0] ?? 0) / expected).toBeCloseTo(1, 5);
});

test('tied weights: rows of all uses, aᵀg is their common gradient', async () => {
  const examples = 4;
  const { blocks, rest, matrix, images, elements } = await measured(
    {
      parameters: { w: [3, 3], c: [3] },
      input: [examples, 3],
      network: (b, x, p) => b.gemm(b.tanh(b.gemm(x, p('w'), p('c'))), p('w'), p('c')),
    },
    'empirical',
  );
  expect(rest.size).toBe(0);
  expect(blocks.map(({ weight, bias, uses }) => [weight, bias, uses.length])).toEqual([['w', 'c', 2]]);
  const [a, g] = [matrix('a0'), matrix('g0')];
  const x = matrixOf(examples, 3, images);
  const hidden = multiplied(x, matrixOf(3, 3, elements.get('w') ?? []));
  const second = generate(examples, 3, (i, j) => Math.tanh(at(hidden, i, j) + (elements.get('c')?.[j] ?? 0)));
  const both = generate(2 * examples, 4, (i, j) =>
    j === 3 ? 1 : i < examples ? at(x, i, j) : at(second, i - examples, j),
  );
  expect(relativeError(gram(a), scaled(gram(both), 1 / (2 * examples)))).toBeLessThan(rounding);
  const product = scaled(multiplied(transposed(a), g), Math.sqrt(2));
  expect(relativeError(rowsOf(product, 0, 3), matrixOf(3, 3, matrix('slope.w').data))).toBeLessThan(rounding);
  expect(relativeError(rowsOf(product, 3, 4), matrix('slope.c'))).toBeLessThan(rounding);
});

test('an embedding: A is the diagonal of the tokens’ frequencies, aᵀg the gradient of the table', async () => {
  const tokens = [4, 0, -1, 2, 4, 4];
  const { blocks, matrix } = await measured(
    {
      parameters: { e: [5, 3] },
      input: [6],
      network: (b, _x, p) => b.tanh(b.gather(p('e'), b.given([6], tokens, 'int64'))),
    },
    'empirical',
  );
  expect(blocks.map(({ kind, inputs, outputs }) => [kind, inputs, outputs])).toEqual([['embedding', 5, 3]]);
  const frequencies = [1, 0, 1, 0, 4]; // −1 is the last
  const expected = generate(5, 5, (i, j) => (i === j ? (frequencies[i] ?? 0) / 6 : 0));
  expect(relativeError(gram(matrix('a0')), expected)).toBeLessThan(rounding);
  const diagonal = generate(5, 1, (i) => (frequencies[i] ?? 0) / 6);
  expect(relativeError(matrix('diagonal0'), diagonal)).toBeLessThan(rounding);
  const product = multiplied(transposed(matrix('a0')), matrix('g0'));
  expect(relativeError(product, matrixOf(5, 3, matrix('slope.e').data))).toBeLessThan(rounding);
});

type Normalization = (b: FedBuilder, x: Value, p: (name: string) => Value) => Value;
const normalizations: readonly [string, readonly number[], readonly number[], Normalization][] = [
  [
    'channels of pictures',
    [3, 4, 2, 3],
    [4],
    (b, x, p) => b.op('GroupNormalization', [x, p('s'), p('t')], { num_groups: int(2) }),
  ],
  ['features of sequences', [3, 4, 6], [6], (b, x, p) => b.op('LayerNormalization', [x, p('s'), p('t')])],
  [
    'several normalized axes',
    [3, 4, 6],
    [4, 6],
    (b, x, p) => b.op('LayerNormalization', [x, p('s'), p('t')], { axis: int(1) }),
  ],
];

test.each(normalizations)(
  'scale and shift of %s: A is the identity, G sums to the shift’s gradient',
  async (...given) => {
    const [, input, features, normalize] = given;
    const [examples = 1] = input;
    const { blocks, matrix } = await measured(
      {
        parameters: { s: features, t: features, w: [size(input) / examples, 3] },
        input,
        network: (b, x, p) =>
          b.matmul(b.reshape(b.tanh(normalize(b, x, p)), [examples, size(input) / examples]), p('w')),
      },
      'empirical',
    );
    const found = blocks.findIndex(({ kind }) => kind === 'scale-and-shift');
    expect(blocks[found]).toMatchObject({ weight: 's', bias: 't', inputs: 1, outputs: size(features) });
    expect(gram(matrix(`a${found}`)).data).toEqual(Float64Array.of(1, 0, 0, 1));
    const g = matrix(`g${found}`);
    expect([g.rows, g.columns]).toEqual([size(input) / size(features), size(features)]);
    const sums = generate(1, g.columns, (_, j) =>
      Array.from({ length: g.rows }, (_, i) => at(g, i, j)).reduce((sum, x) => sum + x, 0),
    );
    expect(relativeError(scaled(sums, 1 / Math.sqrt(examples)), matrix('slope.t'))).toBeLessThan(rounding);
  },
);

// The layer whose weight is `w` and that whose weight is its transpose, applied one after the other.
const turned: readonly [string, Measured['parameters'], (b: FedBuilder, x: Value, w: Value, wt: Value) => Value][] = [
  ['a dense layer and its transpose', { w: [3, 4] }, (b, x, w, wt) => b.matmul(b.tanh(b.matmul(x, w)), wt)],
  [
    'an embedding and the last layer',
    { w: [5, 3] },
    (b, _x, w, wt) => b.matmul(b.tanh(b.gather(w, b.given([4], [4, 0, 2, 4], 'int64'))), wt),
  ],
];

test.each(turned)('%s: one product with the trace of the sum of theirs', async (_name, parameters, network) => {
  const { w: [rows = 1, columns = 1] = [] } = parameters;
  const input = [4, 3];
  const tied = await measured(
    { parameters, input, network: (b, x, p) => network(b, x, p('w'), b.transpose(p('w'))) },
    'empirical',
  );
  expect(tied.blocks.map(({ uses }) => uses.map(({ transposed }) => transposed).sort())).toEqual([[false, true]]);
  // The two layers with equal weights that are parameters of their own, one at a time.
  const weights = tied.elements.get('w') ?? [];
  const first = await measured(
    {
      parameters,
      input,
      network: (b, x, p) => network(b, x, p('w'), b.transpose(b.given([rows, columns], weights, 'float32'))),
    },
    'empirical',
  );
  const second = await measured(
    {
      parameters,
      input,
      network: (b, x, p) => network(b, x, b.given([rows, columns], weights, 'float32'), b.transpose(p('w'))),
    },
    'empirical',
  );
  const [l1, r1] = [gram(first.matrix('a0')), gram(first.matrix('g0'))];
  // By itself the second layer's block is stored outputs first: its inputs are the columns of w.
  const [l2, r2] = [gram(second.matrix('g0')), gram(second.matrix('a0'))];
  const mean = (x: Matrix): number => trace(x) / x.rows;
  const left = plus(scaled(l1, mean(r1)), scaled(l2, mean(r2)));
  const total = mean(l1) * mean(r1) + mean(l2) * mean(r2);
  const right = plus(scaled(r1, mean(l1) / total), scaled(r2, mean(l2) / total));
  expect(relativeError(gram(tied.matrix('a0')), left)).toBeLessThan(2 * rounding);
  expect(relativeError(gram(tied.matrix('g0')), right)).toBeLessThan(2 * rounding);
  expect(trace(left) * trace(right)).toBeCloseTo(trace(l1) * trace(r1) + trace(l2) * trace(r2), 6);
});
