// Losses of one's own that return what they must not: each mistake is said by the name of the loss and of its member.
import { describe, expect, it } from 'vitest';
import { train } from '../api/train.js';
import type { Dataset } from '../data/dataset.js';
import { OptionError } from '../errors.js';
import { mlp } from '../nn/zoo.js';
import { sgd } from '../optimizers/sgd.js';
import { checkedLoss } from './checked-loss.js';
import { crossEntropy } from './cross-entropy.js';
import { lossOf } from './index.js';
import type { Loss } from './loss.js';

const rows = 6;
const set = (columns: number): Dataset => ({
  name: 'numbers',
  size: rows,
  inputs: { dtype: 'float32', shape: [3], data: Float32Array.from({ length: 3 * rows }, (_, i) => Math.sin(i)) },
  targets: { dtype: 'float32', shape: [columns], data: new Float32Array(rows * columns) },
});

const squares = lossOf('mean-squared-error');
const own = (members: object): Loss => ({ ...squares, name: 'own', inUnits: undefined, ...members }) as unknown as Loss;
const trained = (loss: Loss) => {
  const data = { train: set(2), test: set(2) };
  return train(mlp({ sizes: [3, 2], seed: 1 }), {
    data,
    loss,
    optimizer: sgd(),
    steps: 1,
    normalize: false,
    threads: 1,
  });
};

describe('a loss of a user is refused by its name', () => {
  it.each<[string, object, RegExp]>([
    ['no value', { value: () => undefined }, /^value of the loss 'own' returned undefined; it must return a scalar/],
    ['a number', { value: () => 3 }, /^value of the loss 'own' returned 3; it must return a scalar/],
    ['a promise', { value: async () => 3 }, /^value of the loss 'own' returned a promise/],
    [
      'a vector',
      { value: (b, z, y) => b.sub(z, y) } satisfies Partial<Loss>,
      /^value of the loss 'own' returned float32\[6, 2\]/,
    ],
    ['no type', { targetType: () => undefined }, /^targetType of the loss 'own' returned undefined/],
    [
      'no shape',
      { targetType: () => ({ dtype: 'float32' }) },
      /^targetType of the loss 'own' returned an object with dtype/,
    ],
    ['no such type', { targetType: () => ({ dtype: 'real', shape: [6, 2] }) }, /^targetType of the loss 'own'/],
    [
      'a shape without examples',
      { targetType: () => ({ dtype: 'float32', shape: [2] }) },
      /^targetType of the loss 'own' returned float32\[2\] for/,
    ],
    [
      'a shape that would be repeated',
      { targetType: ({ dtype, shape }) => ({ dtype, shape: [...shape, 1] }) } satisfies Partial<Loss>,
      /^targetType of the loss 'own' returned float32\[batch, 2, 1\] for an output of float32\[batch, 2\]/,
    ],
    ['a mass of a number', { mass: () => 6 }, /^mass of the loss 'own' returned 6; it must return a scalar/],
    [
      'a vector of masses',
      { mass: (_b, output) => output } satisfies Partial<Loss>,
      /^mass of the loss 'own' returned float32/,
    ],
    ['an expected number', { expected: () => 1 }, /^expected of the loss 'own' returned 1; it must return a Value/],
    ['nothing contained', { contained: () => null }, /^contained of the loss 'own' returned null/],
  ])('%s', async (_, members, message) => {
    await expect(trained(own(members))).rejects.toThrow(OptionError);
    await expect(trained(own(members))).rejects.toThrow(message);
  });

  it('a loss of a class, with private fields, trains as the object does', async () => {
    class Own {
      readonly #inner = own({});
      readonly name = 'own';
      readonly targets = 'values';
      readonly metric = squares.metric;
      readonly step = 'self-tuning';
      targetType: Loss['targetType'] = (output) => this.#inner.targetType(output);
      value(...given: Parameters<Loss['value']>) {
        return this.#inner.value(...given);
      }
    }
    const [one, other] = [await trained(new Own()), await trained(own({}))];
    expect(one.parameters).toEqual(other.parameters);
  });
});

it('checks once, and leaves what is sound', () => {
  const checked = checkedLoss(crossEntropy());
  expect(checkedLoss(checked)).toBe(checked);
  expect(checked.targetType({ dtype: 'float32', shape: ['batch', 3] })).toEqual({ dtype: 'int64', shape: ['batch'] });
});
