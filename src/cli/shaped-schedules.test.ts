// Schedules by name alone: those of the library at the run's length, a warm-up before them, and refusals that say how to write it.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { OptionError } from '../errors.js';
import { at } from '../optimizers/schedules.js';
import { scheduleHelp } from './schedules.js';
import { readShape, shaped, shapeHelp, shapeNames } from './shaped-schedules.js';

const written = (text: string, peak = 0.1, steps = 50) => String(readShape(text)(peak, steps));

test('every schedule of the library has a name, and help', () => {
  const kinds = [...scheduleHelp().matchAll(/^ {2}([a-z-]+):/gm)].map(([, name]) => name);
  expect([...shapeNames, 'warm-up'].sort()).toEqual([...kinds].sort());
  expect(shapeHelp().map((line) => /^ {2}([a-z-]+)/.exec(line)?.[1])).toEqual(shapeNames);
});

test.each([
  ['constant', 'constant:0.1'],
  ['linear', 'linear:0.1:0:50'],
  ['linear:0.5', 'linear:0.1:0.05:50'],
  ['cosine', 'cosine:0.1:50:0'],
  ['cosine:0.5', 'cosine:0.1:50:0.05'],
  ['cosine-with-restarts', 'cosine-with-restarts:0.1:13:1:0'],
  ['cosine-with-restarts:7:2', 'cosine-with-restarts:0.1:7:2:0'],
  ['polynomial', 'polynomial:0.1:50:1:0'],
  ['polynomial:2:0.5', 'polynomial:0.1:50:2:0.05'],
  ['exponential', 'exponential:0.1:0.01:50'],
  ['exponential:0.93:1', 'exponential:0.1:0.93:1'],
  ['step', 'step:0.1:0.1:17'],
  ['step:0.5:7', 'step:0.1:0.5:7'],
  ['multi-step', 'multi-step:0.1:0.1:25:38'],
  ['multi-step:0.3:5:12:12', 'multi-step:0.1:0.3:5:12:12'],
  ['piecewise:5:0.5:10:0.25', 'piecewise:0.1:5:0.05:10:0.025'],
  ['one-cycle', 'one-cycle:0.1:50:0.3:0.004:4e-7'],
  ['one-cycle:0.5', 'one-cycle:0.1:50:0.5:0.004:4e-7'],
  ['inverse-root', 'inverse-root:0.1:100'],
  ['inverse-root:7', 'inverse-root:0.1:7'],
])('%s is %s', (text, expected) => expect(written(text)).toBe(expected));

test('a warm-up is a part of the run: PyTorch’s LinearLR and CosineAnnealingLR in turn', () => {
  const file = new URL('../../test/fixtures/schedules/warmup-cosine.json', import.meta.url);
  const { learningRates } = JSON.parse(readFileSync(file, 'utf8')) as { learningRates: readonly number[] };
  const schedule = shaped(readShape('cosine'), 0.1, 50, 5);
  // After the warm-up: it starts at a tenth there, at one step of a line from 0 here.
  for (const [k, expected] of learningRates.entries()) if (k >= 5) expect(at(schedule, k)).toBeCloseTo(expected, 12);
  expect([0, 1, 2, 3, 4].map((k) => at(schedule, k) * 60)).toEqual([1, 2, 3, 4, 5].map((x) => expect.closeTo(x, 10)));
  expect(at(shaped(readShape('cosine'), 0.1, 50, undefined), 49)).toBe(at(readShape('cosine')(0.1, 50), 49));
});

describe('refusals', () => {
  test.each([
    ['cosin', /which begins with no schedule \(did you mean 'cosine'\?\); choose one of constant, linear/],
    ['reduce-on-plato', /did you mean 'reduce-on-plateau'/],
    [
      'cosine:0.1:1000',
      /write cosine\[:END\]: the learning rate is given by --learning-rate, and the length is that of the run/,
    ],
    ['cosine:x', /write cosine/],
    ['piecewise', /write piecewise:STEP:FACTOR/],
    ['piecewise:5:0.5:7', /write piecewise:STEP:FACTOR/],
    ['', /which begins with no schedule/],
  ])('%s', (text, message) => {
    expect(() => readShape(text)).toThrow(OptionError);
    expect(() => readShape(text)).toThrow(message);
  });

  test('numbers out of range are told with the flag', () => {
    expect(() => written('step:0')).toThrow("--schedule is 'step:0': factor is 0");
    expect(() => shaped(readShape('cosine'), 0.1, 50, 50)).toThrow(
      '--warm-up is 50, and the run has 50 steps; give fewer',
    );
  });
});
