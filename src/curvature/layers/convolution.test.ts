// Convolutions of any geometry, plain, grouped, depthwise and transposed: rows against gradients and Gauss–Newton blocks.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  at,
  generate,
  gram,
  kronecker,
  type Matrix,
  matrixOf,
  multiplied,
  relativeError,
  rowsOf,
  scaled,
  transposed,
} from '../../../test/support/dense.js';
import { gaussNewton, measured, rounding, size } from '../../../test/support/measured-blocks.js';
import { int, ints } from '../../graph/graph.js';

/** The rows of one group among those of all, one below the other. */
const groupOf = (rows: Matrix, groups: number, index: number): Matrix =>
  rowsOf(rows, (index * rows.rows) / groups, ((index + 1) * rows.rows) / groups);

const axis = fc
  .record({
    kernel: fc.integer({ min: 1, max: 3 }),
    stride: fc.integer({ min: 1, max: 2 }),
    dilation: fc.integer({ min: 1, max: 2 }),
    before: fc.integer({ min: 0, max: 1 }),
    after: fc.integer({ min: 0, max: 1 }),
    more: fc.integer({ min: 0, max: 2 }),
  })
  .map((one) => ({ ...one, size: Math.max(3, (one.kernel - 1) * one.dilation + 1 + one.more) }));

const geometries = fc.record({
  axes: fc.array(axis, { minLength: 1, maxLength: 2 }),
  groups: fc.integer({ min: 1, max: 3 }),
  inputs: fc.integer({ min: 1, max: 2 }),
  outputs: fc.integer({ min: 1, max: 2 }),
  hasBias: fc.boolean(),
  isTransposed: fc.boolean(),
});

test('aᵀg of the rows of all positions is the gradient of kernel and bias, in each group', async () => {
  await fc.assert(
    fc.asyncProperty(geometries, async ({ axes, groups, inputs, outputs, hasBias, isTransposed }) => {
      const examples = 3;
      const kernel = axes.map((each) => each.kernel);
      const attributes = {
        group: int(groups),
        strides: ints(axes.map(({ stride }) => stride)),
        dilations: ints(axes.map(({ dilation }) => dilation)),
        pads: ints([...axes.map(({ before }) => before), ...axes.map(({ after }) => after)]),
      };
      const dims = isTransposed ? [groups * inputs, outputs, ...kernel] : [groups * outputs, inputs, ...kernel];
      const { blocks, rest, matrix } = await measured(
        {
          parameters: { k: dims, ...(hasBias && { c: [groups * outputs] }) },
          input: [examples, groups * inputs, ...axes.map((each) => each.size)],
          network: (b, x, p) => {
            const operands = hasBias ? [x, p('k'), p('c')] : [x, p('k')];
            const y = b.tanh(b.op(isTransposed ? 'ConvTranspose' : 'Conv', operands, attributes));
            const features = size(y.dims) / examples;
            const columns = Array.from({ length: 3 * features }, (_, i) => Math.sin(1 + i));
            return b.matmul(b.reshape(y, [examples, features]), b.given([features, 3], columns, 'float32'));
          },
        },
        'empirical',
      );
      expect([...rest]).toEqual([]);
      expect(blocks.map(({ weight, bias }) => [weight, bias])).toEqual(
        isTransposed && hasBias
          ? [
              ['k', undefined],
              ['c', undefined],
            ]
          : [['k', hasBias ? 'c' : undefined]],
      );
      const [block] = blocks;
      expect(block?.groups).toBe(groups);
      const [a, g] = [matrix('a0'), matrix('g0')];
      const perExample = a.rows / groups / examples;
      const own = Array.from({ length: groups }, (_, i) => {
        // a carries 1/√(N·T) and g carries 1/√N, the gradient 1/N.
        const product = scaled(
          multiplied(transposed(groupOf(a, groups, i)), groupOf(g, groups, i)),
          Math.sqrt(perExample),
        );
        return block?.outputsFirst ? transposed(product) : product;
      });
      const width = block?.outputsFirst ? block.inputs : (block?.outputs ?? 0);
      const weights = own.flatMap((product) =>
        Array.from({ length: product.rows * width }, (_, k) => at(product, Math.floor(k / width), k % width)),
      );
      const close = (found: readonly number[], name: string) =>
        expect(relativeError(matrixOf(1, found.length, found), matrix(`slope.${name}`))).toBeLessThan(3 * rounding);
      close(weights, 'k');
      if (hasBias && !isTransposed) {
        close(
          own.flatMap((product) => Array.from({ length: product.rows }, (_, i) => at(product, i, width))),
          'c',
        );
      }
      if (hasBias && isTransposed) {
        expect(gram(matrix('a1')).data).toEqual(Float64Array.of(1));
        const sums = multiplied(
          generate(1, matrix('g1').rows, () => 1),
          matrix('g1'),
        );
        close([...scaled(sums, 1 / Math.sqrt(examples)).data], 'c');
      }
    }),
    { numRuns: 40, seed: 3 },
  );
});

const onePosition = [
  ['two groups', 'Conv', 2, [1, 4, 2, 2], [4, 2, 2, 2], [1, 4]],
  ['depthwise', 'Conv', 3, [1, 3, 2, 2], [6, 1, 2, 2], [1, 6]],
  ['transposed', 'ConvTranspose', 1, [1, 3, 1, 1], [3, 2, 2, 2], [1, 8]],
  ['transposed in two groups', 'ConvTranspose', 2, [1, 4, 1, 1], [4, 1, 2, 2], [1, 8]],
] as const;

test.each(onePosition)(
  'one example, one position, %s: the block of each group is the Gauss–Newton one',
  async (...given) => {
    const [, op, groups, input, kernel, output] = given;
    const { blocks, matrix } = await measured(
      {
        parameters: { k: kernel },
        input,
        network: (b, x, p) => {
          const columns = Array.from({ length: 3 * output[1] }, (_, i) => Math.sin(1 + i));
          const y = b.tanh(b.reshape(b.op(op, [x, p('k')], { group: int(groups) }), output));
          return b.matmul(y, b.given([output[1], 3], columns, 'float32'));
        },
      },
      'exact',
    );
    const exact = gaussNewton(matrix, 'k', size(kernel));
    const order = size(kernel) / groups;
    expect(blocks).toHaveLength(1);
    for (let i = 0; i < groups; i++) {
      const [a, g] = ['a0', 'g0'].map((name) => gram(groupOf(matrix(name), groups, i)));
      if (!a || !g) throw new Error('two sides');
      const own = generate(order, order, (row, column) => at(exact, i * order + row, i * order + column));
      // In the kernel's own order.
      expect(relativeError(blocks[0]?.outputsFirst ? kronecker(g, a) : kronecker(a, g), own)).toBeLessThan(rounding);
    }
  },
);

test('a transposed convolution of one position is the dense layer to all its outputs', async () => {
  const [examples, channels, outputs, area] = [4, 3, 2, 6];
  const parameters = { k: [channels, outputs, 2, 3] };
  const input = [examples, channels, 1, 1];
  const last = Array.from({ length: 3 * outputs * area }, (_, i) => Math.sin(1 + i));
  const results = await Promise.all(
    [true, false].map((isConvolution) =>
      measured(
        {
          parameters: isConvolution ? parameters : { k: [channels, outputs * area] },
          input,
          network: (b, x, p) => {
            const y = isConvolution
              ? b.reshape(b.op('ConvTranspose', [x, p('k')]), [examples, outputs * area])
              : b.matmul(b.reshape(x, [examples, channels]), p('k'));
            return b.matmul(b.tanh(y), b.given([outputs * area, 3], last, 'float32'));
          },
        },
        'empirical',
      ),
    ),
  );
  const [convolution, dense] = results;
  if (!convolution || !dense) throw new Error('two networks');
  for (const name of ['a0', 'g0']) {
    expect(relativeError(convolution.matrix(name), dense.matrix(name))).toBeLessThan(rounding);
  }
});

test('many positions: the patches of the first examples stand for those of all, in size too', async () => {
  const withExamples = (examples: number) =>
    measured(
      {
        parameters: { k: [1, 1, 1] },
        input: [1, 1, 10_000],
        network: (b, x, p) => {
          const images = b.gather(x, b.given([examples], new Array<number>(examples).fill(0), 'int64'));
          return b.matmul(b.mean(b.op('ConvTranspose', [images, p('k')]), [2]), b.given([1, 2], [1, -1], 'float32'));
        },
      },
      'exact',
    );
  const [one, three] = [await withExamples(1), await withExamples(3)];
  expect([three.matrix('a0').rows, three.matrix('g0').rows]).toEqual([30_000, 2 * 10_000]);
  // All examples are the same, and G is a mean over them.
  expect(relativeError(gram(three.matrix('g0')), gram(one.matrix('g0')))).toBeLessThan(10 * rounding);
});
