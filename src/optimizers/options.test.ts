// Numbers that may be schedules: both are held to their range.
import { expect, test } from 'vitest';
import { checked } from './options.js';

const rate = (schedule: (step: number) => number) => checked('rate', schedule, { above: 0, below: 1 });

test('what a schedule gives is refused out of its range, at the step at which it is', () => {
  const schedule = rate((step) => 0.5 - step);
  expect(schedule).toBeTypeOf('function');
  if (typeof schedule !== 'function') return;
  expect(schedule(0)).toBe(0.5);
  expect(() => schedule(2)).toThrow('rate at step 2 is -1.5; it must be a finite number, at least 0, less than 1');
});

test('a rate may fall to 0 in the end', () => {
  const schedule = rate(() => 0);
  expect(typeof schedule === 'function' && schedule(9)).toBe(0);
});

test('a text is no number', () => {
  const schedule = rate((() => '0.1') as unknown as () => number);
  expect(() => typeof schedule === 'function' && schedule(1)).toThrow("rate at step 1 is '0.1'; it must be a finite");
});
