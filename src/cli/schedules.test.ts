// Schedules in words: each kind, back and forth with the library's own text, and refusals that say how to write it.
import { describe, expect, test } from 'vitest';
import { OptionError } from '../errors.js';
import { at } from '../optimizers/schedules.js';
import { readOptions } from './named-options.js';
import { readSchedule, scheduleHelp } from './schedules.js';

const read = (text: string) => readSchedule('--learning-rate', text);

describe('what is written is what is read', () => {
  const words = [
    'constant:0.1',
    'step:0.1:0.5:7',
    'multi-step:0.1:0.3:5:12:12',
    'piecewise:0.02:5:0.1',
    'exponential:0.1:0.93:1',
    'linear:0.1:0:40',
    'polynomial:0.1:40:2:0.01',
    'cosine:0.1:1000:0',
    'cosine-with-restarts:0.1:7:2:1e-9',
    'one-cycle:0.5:50:0.3:0.02:0.000002',
    'one-cycle:1:50:0.2:0.5:0:linear:three-phase',
    'inverse-root:0.003:100',
    'warm-up:5:0.1',
    'warm-up:5:0.01:0.1',
    'warm-up:5:cosine:0.1:45:0',
    'warm-up:5:0.01:warm-up:2:one-cycle:0.5:50:0.3:0.02:0.000002:linear',
  ];

  test.each(words)('%s', (text) => expect(String(read(text))).toBe(text));

  test('every kind is among them, and in the help', () => {
    const kinds = [...scheduleHelp().matchAll(/^ {2}([a-z-]+):/gm)].map(([, name]) => name);
    expect([...new Set(words.map((text) => text.split(':')[0]))]).toEqual(kinds);
  });
});

test('a number is a number', () => {
  expect(read('0.1')).toBe(0.1);
  expect(read('1e-3')).toBe(0.001);
  expect(read('NaN')).toBeNaN();
});

test('numbers that may be left out', () => {
  const shortened = [
    ['cosine:0.1:10', 'cosine:0.1:10:0'],
    ['exponential:0.1:0.5', 'exponential:0.1:0.5:1'],
    ['polynomial:0.1:10', 'polynomial:0.1:10:1:0'],
    ['cosine-with-restarts:0.1:10', 'cosine-with-restarts:0.1:10:1:0'],
    ['inverse-root:3', 'inverse-root:3:100'],
    ['piecewise:0.5', 'piecewise:0.5'],
    ['one-cycle:0.5:50:three-phase', 'one-cycle:0.5:50:0.3:0.02:0.000002:three-phase'],
  ] as const;
  for (const [text, whole] of shortened) expect(String(read(text))).toBe(whole);
});

test('among the options of an optimizer, before and after others', () => {
  const kinds = { 'learning-rate': 'schedule', momentum: 'schedule', nesterov: 'boolean', damping: 'number' } as const;
  const parts = 'momentum=0.5:learning-rate=warm-up:5:one-cycle:0.1:50:linear:nesterov:damping=3'.split(':');
  const { 'learning-rate': rate, ...others } = readOptions('sgd', parts, kinds);
  expect(String(rate)).toBe('warm-up:5:one-cycle:0.1:50:0.3:0.004:4e-7:linear');
  expect(others).toEqual({ momentum: 0.5, nesterov: true, damping: 3 });
  expect(at(rate as (step: number) => number, 1000)).toBeCloseTo(4e-7, 12);
});

describe('refusals', () => {
  const wrong = [
    [
      'cosin:0.1:10',
      "'cosin' is neither a number nor a schedule (did you mean 'cosine'?); the schedules are constant, step",
    ],
    ['', "'' is neither a number nor a schedule; the schedules are"],
    ['0.1:0.2', "'0.2' follows the number 0.1; a schedule begins with its name"],
    ['cosine', 'write cosine:PEAK:STEPS[:END]'],
    ['cosine:0.1', 'write cosine:PEAK:STEPS[:END]'],
    ['cosine:0.1:10:0:0', 'write cosine:PEAK:STEPS[:END]'],
    ['cosine:0.1:ten', 'write cosine:PEAK:STEPS[:END]'],
    ['cosine:0.1::10', 'write cosine:PEAK:STEPS[:END]'],
    ['cosine:0.1:-10', "--learning-rate is 'cosine:0.1:-10': steps is -10; it must be a whole number, at least 1"],
    ['cosine:-1:10', 'peak is -1; it must be a finite number, at least 0'],
    ['piecewise:0.1:5', 'write piecewise:VALUE[:STEP:VALUE…]'],
    ['piecewise:0.1:0:1', 'step 0 stands after step 0'],
    ['multi-step:0.1:0.5', 'write multi-step:INITIAL:FACTOR:STEP[:STEP…]'],
    ['one-cycle:0.1:50:linear:0.3', 'write one-cycle:PEAK:STEPS'],
    ['warm-up', 'write warm-up:STEPS[:INITIAL]:SCHEDULE'],
    ['warm-up:5', 'write warm-up:STEPS[:INITIAL]:SCHEDULE'],
    ['warm-up:5:cosine:0.1', 'write cosine:PEAK:STEPS[:END]'],
    ['warm-up:5:cosin:0.1', "'cosin' is neither"],
  ] as const;

  test.each(wrong)('%s', (text, message) => {
    expect(() => read(text)).toThrow(OptionError);
    expect(() => read(text)).toThrow(message);
  });
});
