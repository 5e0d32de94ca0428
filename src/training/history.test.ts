// Memory of a long run is bounded, and what remains is the same after a checkpoint.
import { expect, it } from 'vitest';
import { History } from './history.js';
import type { StepRecord } from './run-record.js';

const record = (step: number): StepRecord => ({
  step,
  epoch: step / 10,
  loss: 1 / step,
  metrics: step % 1000 === 0 ? { testLoss: 1 } : {},
  seconds: step,
  optimizer: { accepted: step % 100 === 0 ? 0 : 1 },
});

it('keeps all of a short run', () => {
  const history = new History();
  for (let step = 1; step <= 10_000; step++) history.add(record(step), 1);
  expect(history.records.length).toBe(10_000);
  expect(history.rejected).toBe(100);
});

it('keeps part of a long one: the first, the last, evaluations, and each n-th', () => {
  const history = new History();
  const steps = 50_001;
  for (let step = 1; step <= steps; step++) history.add(record(step), step);
  const kept = history.records.map(({ step }) => step);
  expect(kept.length).toBeLessThan(10_002);
  expect([kept[0], kept.at(-1)]).toEqual([1, steps]);
  expect(kept.filter((step) => step % 1000 === 0)).toEqual(Array.from({ length: 50 }, (_, i) => 1000 * (i + 1)));
  expect(new Set(kept.filter((step) => step > 1 && step < steps && step % 1000 !== 0).map((step) => step % 8))).toEqual(
    new Set([0]),
  );
  expect([history.done, history.rejected, history.firstLoss]).toEqual([steps, 500, 1]);
  expect(history.stepMilliseconds().median).toBeCloseTo(steps - 2048, -1);
});

it('goes on from a snapshot as if there had been none', () => {
  const [whole, half, rest] = [new History(), new History(), new History()];
  for (let step = 1; step <= 30_000; step++) {
    whole.add(record(step), step);
    if (step <= 12_345) half.add(record(step), step);
    if (step === 12_345) rest.restore(structuredClone(half.snapshot()));
    if (step > 12_345) rest.add(record(step), step);
  }
  expect(rest.records).toEqual(whole.records);
  expect(rest.stepMilliseconds()).toEqual(whole.stepMilliseconds());
  expect([rest.done, rest.rejected]).toEqual([whole.done, whole.rejected]);
});

it('bounds the number of evaluations, too', () => {
  const history = new History();
  for (let step = 1; step <= 40_000; step++) history.add({ ...record(step), metrics: { testLoss: 1 } }, 1);
  expect(history.records.length).toBeLessThan(10_002);
});
