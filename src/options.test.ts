import { expect, it } from 'vitest';
import { OptionError } from './errors.js';
import { checkedNumber, checkKeys, described, type OptionKeys } from './options.js';

interface Options {
  readonly learningRate?: number;
  readonly weightDecay?: number;
}
const keys: OptionKeys<Options> = { learningRate: true, weightDecay: true };
const check = (options: unknown) => checkKeys('adam', options as Options, keys);

it('refuses unknown keys by name, with the nearest', () => {
  expect(() => check({ learning_rate: 1 })).toThrow(
    "unknown option 'learning_rate' of adam (did you mean 'learningRate'?); it takes learningRate, weightDecay",
  );
  for (const near of ['lr', 'learningrate', 'learning-rate', 'learnigRate']) {
    expect(() => check({ [near]: 1 })).toThrow(/did you mean 'learningRate'/);
  }
  expect(() => check({ wd: 1 })).toThrow(/did you mean 'weightDecay'/);
  expect(() => check({ constructor: 1 })).toThrow(/unknown option 'constructor' of adam; it takes/);
  check({ learningRate: undefined, unknown: undefined });
});

it.each([
  [null, 'null'],
  ['fast', "'fast'"],
  [3, '3'],
  [[1], 'an array of 1'],
  [() => 1, 'the function without a name'],
  [Promise.resolve({}), 'a promise (await it)'],
  [new Float32Array(2), 'a Float32Array'],
])('refuses options that are %s', (options, words) => {
  expect(() => check(options)).toThrow(OptionError);
  expect(() => check(options)).toThrow(`the options of adam are ${words}; give an object with any of learningRate`);
});

it('describes anything, also what JSON cannot hold', () => {
  const circular: Record<string, unknown> = { name: 'x' };
  circular.self = circular;
  expect(described(circular)).toBe('an object with name, self');
  expect(described(Object.create(null))).toBe('an empty object');
  expect(described(1n)).toBe('1n');
  expect(described(Symbol('s'))).toBe('a symbol');
  expect(described(new Date(0))).toBe('a Date');
  expect(described('y'.repeat(500)).length).toBeLessThan(70);
});

it('takes no text for a number', () => {
  const given: unknown = '3';
  expect(() => checkedNumber('steps', given as number, { atLeast: 1, integer: true })).toThrow(
    "steps is '3'; it must be a whole number, at least 1",
  );
});
