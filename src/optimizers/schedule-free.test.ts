// Schedule-Free chains: what may follow, the weights of the average with schedules, and any chain made schedule-free.
import { describe, expect, test } from 'vitest';
import { largestDifference, replayed, traceNamed } from '../../test/support/optimizer-trace.js';
import { OptionError } from '../errors.js';
import { scaleByAdam } from './adam.js';
import { chain } from './chain.js';
import { scheduleFree, scheduleFreeAdamw, scheduleFreeSgd } from './schedule-free.js';
import { linear } from './schedules.js';
import { addDecayedWeights } from './transforms/decay.js';
import { cautious, scaleBySign } from './transforms/sign.js';

const trace = traceNamed('schedule-free-adamw-mlp');

test('written as a chain it is the optimizer itself', async () => {
  const written = chain(
    scaleByAdam({ beta1: 0 }),
    addDecayedWeights(0.1),
    scheduleFree({ learningRate: 0.02, momentum: 0.9 }),
  );
  expect(largestDifference(trace, await replayed(trace, written, 'float64'))).toBeLessThan(1e-12);
});

test('while all rates are 0 nothing moves, and nothing is NaN', async () => {
  const { after, evaluation } = await replayed(
    trace,
    scheduleFreeSgd({ learningRate: (step) => (step < 5 ? 0 : 0.5) }),
    'float64',
  );
  expect(after['5']).toEqual(after['1']);
  expect(evaluation?.['5']).toEqual(after['1']);
  expect(
    Object.values(after['20'] ?? {})
      .flat()
      .every(Number.isFinite),
  ).toBe(true);
  expect(after['20']).not.toEqual(after['1']);
});

test('steps of a falling rate weigh as the largest one; without the power of the rate, all alike', async () => {
  const falling = { learningRate: linear(0.5, 0.01, 20) };
  const [squared, plain] = [
    await replayed(trace, scheduleFreeSgd(falling), 'float64'),
    await replayed(trace, scheduleFreeSgd({ ...falling, ratePower: 0 }), 'float64'),
  ];
  expect(squared).toEqual(plain);
});

describe('what follows in a chain is refused', () => {
  test.each([
    ['a transform', addDecayedWeights(0.1)],
    ['one that reads the updates', cautious()],
    ['its own sign', scaleBySign()],
  ])('%s', async (_, next) => {
    const run = replayed(trace, chain(scheduleFreeAdamw(), next), 'float64');
    await expect(run).rejects.toThrow(OptionError);
    await expect(run).rejects.toThrow(/a transform follows one that ends a chain/);
  });
});
