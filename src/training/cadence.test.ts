import { expect, it } from 'vitest';
import { OptionError } from '../errors.js';
import { cadence, type Every } from './cadence.js';

/** The steps of 1 to 29 at which it is due; ten steps are an epoch, and each takes half a second. */
function dueAt(every: Every, from = 1): number[] {
  let milliseconds = 0;
  const { due } = cadence('every', every, () => milliseconds);
  return Array.from({ length: 30 - from }, (_, i) => from + i).filter((step) => {
    milliseconds = 500 * step;
    return due({ step, epoch: step / 10 });
  });
}

it.each<[Every, number[]]>([
  [10, [10, 20]],
  ['12', [12, 24]],
  ['25 steps', [25]],
  ['5s', [11, 21]],
  ['0.1m', [13, 25]],
  ['1h', []],
  ['1epoch', [10, 20]],
  ['2epochs', [20]],
  ['0.5epochs', [5, 10, 15, 20, 25]],
])('is due every %s', (every, steps) => {
  expect(dueAt(every)).toEqual(steps);
});

it('is due at each step', () => {
  expect(dueAt(1)).toHaveLength(29);
});

it('is due late if it was not asked in time', () => {
  const { due } = cadence('every', 10);
  const asked = [1, 9, 13, 14, 20, 35, 39].filter((step) => due({ step, epoch: 0 }));
  expect(asked).toEqual([13, 20, 35]);
});

it('counts seconds and epochs from where a run goes on', () => {
  expect(dueAt('5s', 7)).toEqual([17, 27]);
  expect(dueAt('1epoch', 15)).toEqual([20]);
});

it.each([0, -3, 2.5, Number.NaN, '', 'often', '10 parsecs', '1e10', '-5s', '0s', true as unknown as number])(
  'refuses %s',
  (every) => {
    expect(() => cadence('every', every)).toThrow(OptionError);
    expect(() => cadence('every', every)).toThrow(/^every is /);
  },
);
