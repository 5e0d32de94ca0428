// Schedules against PyTorch's learning rates of 50 steps, at their borders, in words, and their refusals.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { OptionError } from '../errors.js';
import {
  constant,
  cosine,
  cosineWithRestarts,
  exponential,
  inverseRoot,
  linear,
  multiStep,
  type NamedSchedule,
  oneCycle,
  piecewise,
  polynomial,
  step,
  warmUp,
} from './schedules.js';

function recorded(name: string): readonly number[] {
  const file = new URL(`../../test/fixtures/schedules/${name}.json`, import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { learningRates: number[] }).learningRates;
}

/** By the name of the trace, with the numbers that are written in it. */
const references: Readonly<Record<string, NamedSchedule>> = {
  constant: piecewise([
    [0, 0.02],
    [5, 0.1],
  ]),
  'cosine-restarts-equal': cosineWithRestarts(0.1, 10),
  'cosine-restarts': cosineWithRestarts(0.1, 7, 2, 0.001),
  cosine: cosine(0.1, 50, 0.001),
  exponential: exponential(0.1, 0.93),
  'linear-down': linear(0.1, 0, 40),
  linear: linear(0.025, 0.1, 10),
  'multi-step': multiStep(0.1, 0.3, [5, 12, 12, 30]),
  'one-cycle-linear': oneCycle(0.5, 50, { rise: 0.2, initial: 0.05, end: 0.0005, curve: 'linear' }),
  'one-cycle-three-phase': oneCycle(0.5, 50, { threePhase: true }),
  'one-cycle': oneCycle(0.5, 50),
  'polynomial-1': polynomial(0.1, 50),
  polynomial: polynomial(0.1, 40, 2),
  step: step(0.1, 0.5, 7),
  'warmup-cosine': warmUp(5, cosine(0.1, 45), 0.01),
};

function expectEqual(schedule: NamedSchedule, expected: readonly number[]): void {
  for (const [k, value] of expected.entries()) {
    expect(Math.abs(schedule(k) - value), `step ${k}`).toBeLessThanOrEqual(1e-12 * Math.abs(value));
  }
}

describe('PyTorch', () => {
  test.each(Object.entries(references))('%s', (name, schedule) => {
    const expected = recorded(name);
    expect(expected).toHaveLength(50);
    expectEqual(schedule, expected);
  });

  test('cosine-short, up to its end: PyTorch then goes up again', () => {
    const expected = recorded('cosine-short');
    expectEqual(cosine(0.1, 20), expected.slice(0, 21));
    expect(expected[40]).toBeCloseTo(0.1);
    expect(cosine(0.1, 20)(40)).toBe(0);
  });
});

describe('formulas', () => {
  test('a constant is constant', () => {
    expect([0, 1, 1e6].map((k) => constant(0.25)(k))).toEqual([0.25, 0.25, 0.25]);
  });

  test('the inverse root falls to peak/√2 at its own number of steps', () => {
    expect(inverseRoot(3)(0)).toBe(3);
    expect(inverseRoot(3)(100)).toBe(3 / Math.SQRT2);
    expect(inverseRoot(3, 25)(75)).toBe(1.5);
  });

  test('a warm-up of n steps moves at its first and reaches the schedule after n, whatever the schedule', () => {
    const warm = warmUp(4, 0.5);
    expect([0, 1, 2, 3, 4, 99].map((k) => warm(k))).toEqual([0.1, 0.2, 0.30000000000000004, 0.4, 0.5, 0.5]);
    expect(warmUp(4, 1, 0)(0)).toBe(0);
    expect(warmUp(10, (k) => 2 - k)(11)).toBe(1);
  });

  test('what has an end stays there', () => {
    const ended = [
      linear(1, 0.25, 10),
      polynomial(1, 10, 3, 0.25),
      cosine(1, 10, 0.25),
      oneCycle(1, 10, { end: 0.25 }),
    ];
    for (const schedule of ended) for (const k of [10, 11, 1e9]) expect(schedule(k)).toBe(0.25);
  });

  test('exponential over several steps', () => {
    expect(exponential(1, 0.25, 10)(5)).toBe(0.5);
    expect(exponential(1, 2)(10)).toBe(1024);
  });
});

describe('words', () => {
  const words: readonly (readonly [NamedSchedule, string])[] = [
    [constant(0.1), 'constant:0.1'],
    [step(0.1, 0.5, 7), 'step:0.1:0.5:7'],
    [multiStep(0.1, 0.3, [5, 12]), 'multi-step:0.1:0.3:5:12'],
    [references.constant ?? constant(0), 'piecewise:0.02:5:0.1'],
    [exponential(0.1, 0.93), 'exponential:0.1:0.93:1'],
    [linear(0.1, 0, 40), 'linear:0.1:0:40'],
    [polynomial(0.1, 40, 2), 'polynomial:0.1:40:2:0'],
    [cosine(0.1, 1000), 'cosine:0.1:1000:0'],
    [cosineWithRestarts(0.1, 7, 2, 1e-9), 'cosine-with-restarts:0.1:7:2:1e-9'],
    [oneCycle(0.5, 50), 'one-cycle:0.5:50:0.3:0.02:0.000002'],
    [
      oneCycle(1, 50, { rise: 0.2, initial: 0.5, end: 0, curve: 'linear', threePhase: true }),
      'one-cycle:1:50:0.2:0.5:0:linear:three-phase',
    ],
    [inverseRoot(0.003), 'inverse-root:0.003:100'],
    [warmUp(5, 0.1), 'warm-up:5:0.1'],
    [warmUp(5, cosine(0.1, 45), 0.01), 'warm-up:5:0.01:cosine:0.1:45:0'],
    [
      warmUp(5, function own() {
        return 1;
      }),
      'warm-up:5:own',
    ],
  ];

  test.each(words)('as text, in JSON and in messages: %s', (schedule, text) => {
    expect(String(schedule)).toBe(text);
    expect(JSON.parse(JSON.stringify({ learningRate: schedule }))).toEqual({ learningRate: text });
    expect(schedule.name).toBe(text);
  });
});

describe('refusals', () => {
  const wrong: readonly (readonly [string, () => unknown])[] = [
    ['value is -1; it must be a finite number, at least 0', () => constant(-1)],
    ['value is NaN; it must be a finite number, at least 0', () => piecewise([[0, Number.NaN]])],
    ['every is 0; it must be a whole number, at least 1', () => step(0.1, 0.5, 0)],
    ['factor is 0; it must be a finite number, greater than 0', () => exponential(0.1, 0)],
    ['steps is -5; it must be a whole number, at least 1', () => cosine(0.1, -5)],
    ['steps is 1.5; it must be a whole number, at least 1', () => linear(0.1, 0, 1.5)],
    ["steps is '100'; it must be a whole number, at least 1", () => cosine(0.1, '100' as unknown as number)],
    ['power is 0; it must be a finite number, greater than 0', () => polynomial(0.1, 10, 0)],
    ['end is Infinity; it must be a finite number, at least 0', () => cosine(0.1, 10, Number.POSITIVE_INFINITY)],
    ['growth is 0; it must be a whole number, at least 1', () => cosineWithRestarts(0.1, 10, 0)],
    ['milestones: step 5 stands after step 12; give them in ascending order', () => multiStep(0.1, 0.3, [12, 5])],
    ['milestones is an array of 0; give an array of at least one', () => multiStep(0.1, 0.3, [])],
    ['milestones[0] is -1; it must be a whole number, at least 0', () => multiStep(0.1, 0.3, [-1])],
    ['the first piece starts at step 3; it must start at step 0', () => piecewise([[3, 0.1]])],
    [
      'steps: step 0 stands after step 0; give them in ascending order',
      () =>
        piecewise([
          [0, 0.1],
          [0, 0.2],
        ]),
    ],
    ['rise is 1; it must be a finite number, greater than 0, less than 1', () => oneCycle(0.1, 100, { rise: 1 })],
    [
      'a phase of oneCycle ends at step 0 and starts at step 0: give more than 2 steps, or a rise other than 0.5',
      () => oneCycle(0.1, 2, { rise: 0.5 }),
    ],
    [
      'a phase of oneCycle ends at step 9 and starts at step 10: give more than 10 steps, or a rise other than 0.6',
      () => oneCycle(0.1, 10, { rise: 0.6, threePhase: true }),
    ],
    [
      "curve is 'sine' (did you mean 'cosine'?); it must be 'cosine' or 'linear'",
      () => oneCycle(0.1, 10, { curve: 'sine' as 'linear' }),
    ],
    [
      "unknown option 'final' of oneCycle; it takes rise, initial, end, curve, threePhase",
      () => oneCycle(0.1, 10, { final: 0 } as object),
    ],
    ['threePhase is 1; it must be true or false', () => oneCycle(0.1, 10, { threePhase: 1 as unknown as boolean })],
    ['peak is -1; it must be a finite number, at least 0', () => cosine(-1, 10)],
    ['pieces is 0.1; give an array of at least one', () => piecewise(0.1 as unknown as [])],
    ['steps is 0; it must be a whole number, at least 1', () => warmUp(0, 0.1)],
    ['the schedule at its start is NaN; it must be a finite number, at least 0', () => warmUp(5, Number.NaN)],
    ['the schedule at its start is NaN; it must be a finite number, at least 0', () => warmUp(5, () => Number.NaN)],
    ['the step of cosine:0.1:10:0 is -1; it must be a finite number, at least 0', () => cosine(0.1, 10)(-1)],
    ['the step of constant:1 is NaN; it must be a finite number, at least 0', () => constant(1)(Number.NaN)],
  ];

  test.each(wrong)('%s', (message, make) => {
    expect(make).toThrow(OptionError);
    expect(make).toThrow(message);
  });
});

test.each([undefined, 'cosine:1:5'])('a warm-up to %s is refused', (schedule) => {
  expect(() => warmUp(5, schedule as never)).toThrow(
    /the schedule after the warm-up is .*; give a number, or a schedule such as cosine\(0\.001, 5000\)/,
  );
});
