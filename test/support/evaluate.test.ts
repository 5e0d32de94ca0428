import { expect, it } from 'vitest';
import { tensorFrom } from '../../src/graph/tensor.js';
import { Builder } from '../../src/ops/builder.js';
import { evaluate } from './evaluate.js';

it('computes outputs of a builder from its inputs', async () => {
  const b = new Builder();
  const x = b.input('x', 'float64', [2, 2]);
  const { y, total } = await evaluate({ y: b.matmul(x, x), total: b.sum(x) }, b, {
    x: tensorFrom('float64', [2, 2], [1, 2, 3, 4]),
  });
  expect(y).toEqual(tensorFrom('float64', [2, 2], [7, 10, 15, 22]));
  expect(total).toEqual(tensorFrom('float64', [], [10]));
});
