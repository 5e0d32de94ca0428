// The search for a learning rate: what made-up losses suggest, where it ends, and that it harms nothing.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findLearningRate } from '../api/find-learning-rate.js';
import { drawnDigits } from '../data/digits/digits.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { OptionError } from '../errors.js';
import { mlp } from '../nn/zoo.js';
import { adam } from '../optimizers/adam.js';
import { chain } from '../optimizers/chain.js';
import { cgfac } from '../optimizers/second-order/cgfac.js';
import { sgd } from '../optimizers/sgd.js';
import { normalized } from '../optimizers/steps/normalized.js';
import { selfTuning } from '../optimizers/steps/self-tuning.js';
import { clipByGlobalNorm } from '../optimizers/transforms/clip.js';
import { ratePage } from '../reporting/rate-page.js';
import { suggestedRate } from './rate-search.js';

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => engine.close());

/** Losses of rates 10⁻⁷ … 10 that fall around one rate and grow from another. */
const curve = (steepest: number, end: number) =>
  Array.from({ length: 161 }, (_, i) => {
    const rate = 10 ** (i / 20 - 7);
    const [fall, growth] = [Math.tanh(2 * Math.log10(rate / steepest)), Math.max(0, Math.log10(rate / end))];
    return { rate, loss: 2 - fall + 10 * growth };
  });

describe('what losses suggest', () => {
  test.each([1e-5, 1e-3, 1e-2])('the steepest descent: %s', (steepest) => {
    const found = suggestedRate(curve(steepest, 100 * steepest));
    expect(found.steepest).toBeCloseTo(steepest, 12);
    expect(found.suggestion).toBe(steepest);
    expect(Math.log10((found.lowest?.rate ?? 0) / steepest)).toBeCloseTo(2, 0);
  });

  test('at most a tenth of the rate of the lowest loss', () => {
    const { suggestion, steepest, lowest } = suggestedRate(curve(1e-2, 2e-2));
    expect(suggestion).toBe(Number(((lowest?.rate ?? 0) / 10).toPrecision(2)));
    expect(suggestion).toBeLessThan(steepest ?? 0);
  });

  test('smoothing does not move a straight line, and one noisy loss decides nothing', () => {
    const line = Array.from({ length: 30 }, (_, i) => ({ rate: 10 ** (i / 10 - 5), loss: 5 - i / 10 }));
    const inner = suggestedRate(line).points.slice(3, -3);
    for (const { loss, smoothed } of inner) expect(smoothed).toBeCloseTo(loss, 12);
    const noisy = curve(1e-3, 1).map((point, i) => (i === 20 ? { ...point, loss: point.loss - 0.2 } : point));
    expect(suggestedRate(noisy).steepest).toBeCloseTo(1e-3, 6);
  });

  test('nothing if they never fall, and none that are not finite', () => {
    const rising = Array.from({ length: 20 }, (_, i) => ({ rate: 10 ** (i / 5 - 5), loss: 1 + i }));
    expect(suggestedRate(rising)).toMatchObject({ suggestion: undefined, steepest: undefined });
    expect(suggestedRate([])).toEqual({ points: [], suggestion: undefined, steepest: undefined, lowest: undefined });
    expect(suggestedRate([...rising, { rate: 2, loss: Number.NaN }]).points).toHaveLength(20);
  });
});

describe('a search', () => {
  const data = drawnDigits({ trainSize: 400, testSize: 40 });
  const model = mlp({ sizes: [784, 16, 10], seed: 1 });
  const bits = () => [...model.parameters.values()].map(({ constant }) => String(constant?.data));
  const find = (optimizer: Parameters<typeof findLearningRate>[1]['optimizer'], more = {}) =>
    findLearningRate(model, { data, optimizer, engine, batchSize: 100, seed: 1, ...more });

  test('finds a rate at which the optimizer learns, and leaves the model as it was', async () => {
    const before = bits();
    const found = await find(adam(), { steps: 60 });
    expect(bits()).toEqual(before);
    expect(found.points[0]?.rate).toBe(1e-7);
    expect(found.suggestion).toBeGreaterThan(1e-4);
    expect(found.suggestion).toBeLessThan(0.1);
    expect((await find(adam(), { steps: 60 })).points).toEqual(found.points);
  });

  test('ends where the loss grows, or is not finite any more', async () => {
    const grown = await find(sgd(), { steps: 40, to: 1000 });
    expect(grown.diverged).toBe(true);
    expect(grown.points.length).toBeLessThan(40);
    const whole = await find(adam(), { steps: 10, to: 1e-6 });
    expect(whole.diverged).toBe(false);
    expect(whole.points).toHaveLength(10);
    expect(whole.points.at(-1)?.rate).toBeCloseTo(1e-6, 18);
  });

  test('takes every optimizer with a learning rate, whatever stands before it', async () => {
    const normal = await find(chain(clipByGlobalNorm(1), cgfac({ step: normalized() })), { steps: 12 });
    expect(normal.points.length).toBeGreaterThan(5);
  });

  test('refuses others, and rates that do not grow', async () => {
    const wrong: readonly (readonly [Parameters<typeof find>, RegExp])[] = [
      [
        [cgfac({ step: selfTuning() })],
        /a search for a learning rate has no effect on cgfac: self-tuning steps choose/,
      ],
      [[adam(), { from: 1, to: 0.1 }], /to is 0.1, which is no larger than from, 1/],
      [[adam(), { steps: 3 }], /steps is 3; it must be a whole number, at least 10/],
      [[adam(), { step: 3 }], /unknown option 'step' of findLearningRate \(did you mean 'steps'\?\)/],
      [[adam(), { threads: 2 }], /threads are those of the engine that is given/],
    ];
    for (const [given, message] of wrong) {
      await expect(find(...given)).rejects.toThrow(OptionError);
      await expect(find(...given)).rejects.toThrow(message);
    }
  });
});

test('the page shows the curve and what it suggests, or that there is nothing', () => {
  const about = { title: 'rates', command: 'cgfac find-rate', environment: {} };
  const page = ratePage({ ...suggestedRate(curve(1e-3, 1e-1)), diverged: true }, about);
  expect(page).toMatch(/Suggested: <strong>0.001<\/strong>/);
  expect(page).toMatch(/<svg[\s\S]*smoothed loss[\s\S]*<\/svg>/);
  expect(page).not.toMatch(/NaN|undefined/);
  const none = ratePage({ ...suggestedRate([]), diverged: true }, about);
  expect(none).toMatch(/did not fall at any of these rates/);
});
