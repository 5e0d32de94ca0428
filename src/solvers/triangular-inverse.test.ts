import { expect, test } from 'vitest';
import { identity, largestDifference, multiply } from '../../test/support/dense-solves.js';
import { evaluate } from '../../test/support/evaluate.js';
import { GraphError } from '../errors.js';
import { tensorFrom, toNumbers } from '../graph/tensor.js';
import { Builder } from '../ops/builder.js';
import { random } from '../random.js';
import { upperInverse } from './triangular-inverse.js';

test.each([1, 2, 128, 129, 260])('the inverse of an upper triangular matrix of order %i is one', async (order) => {
  const source = random(order);
  const matrix = Float64Array.from({ length: order ** 2 }, (_, i) => {
    const [row, column] = [Math.floor(i / order), i % order];
    return row === column ? 1 + source.uniform() : row < column ? source.normal() / order : 0;
  });
  const b = new Builder();
  const a = b.constant(tensorFrom('float64', [order, order], Array.from(matrix)));
  const { inverse } = await evaluate({ inverse: upperInverse(b, a) }, b);
  const elements = inverse ? toNumbers(inverse) : [];
  expect(largestDifference(multiply(matrix, elements, order), identity(order))).toBeLessThan(1e-13);
  expect(elements.every((x, i) => i % order >= Math.floor(i / order) || x === 0)).toBe(true);
});

test('refuses what is not square', () => {
  const b = new Builder();
  expect(() => upperInverse(b, b.input('x', 'float32', [2, 3]))).toThrow(GraphError);
});
