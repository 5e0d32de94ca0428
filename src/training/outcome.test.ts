// What a run keeps in the end, on a model of one parameter w whose loss is looked up: how often it is evaluated counts.
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { tensorFrom } from '../graph/tensor.js';
import { type Ending, settle } from './outcome.js';

let runtime: Engine;
beforeAll(async () => {
  runtime = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => runtime.close());

const at = (w: number) => ({ w: tensorFrom('float32', [1], [w]) });
/** Where w is in the end, in the last iterate and at the start; and another tensor of the store. */
const [ended, iterate, begun, other] = [1, 2, 3, 4];

/** Settles with the losses by w; what is in the store afterwards, and for which w the loss was asked, in order. */
async function settled(losses: Readonly<Record<number, number>>, options: Partial<Ending> = {}) {
  const engine = runtime.open();
  try {
    await engine.write({ ...at(ended), other: tensorFrom('float32', [1], [other]) });
    const stored = async (name: string) => Number((await engine.read([name]))[name]?.data[0]);
    const asked: number[] = [];
    const outcome = await settle({
      engine,
      evaluate: async () => {
        const w = await stored('w');
        asked.push(w);
        return { loss: losses[w] ?? Number.NaN };
      },
      begun: at(begun),
      last: async () => at(iterate),
      firstBatch: { loss: 1, size: 128 },
      mayTakeBack: true,
      ...options,
    });
    expect(await stored('other')).toBe(other);
    return { outcome, w: await stored('w'), asked };
  } finally {
    await engine.close();
  }
}

// 1/(1 + 4·√(2/n))
it.each([
  [128, 0.66],
  [2, 0.19],
  [20_000, 0.96],
])('keeps what ended clearly lower than a first batch of %d, and evaluates nothing else', async (batchSize, loss) => {
  const { outcome, w, asked } = await settled({ [ended]: loss }, { firstBatch: { loss: 1, size: batchSize } });
  expect(outcome).toEqual({ train: { loss }, takenBack: false });
  expect([w, asked]).toEqual([ended, [ended]]);
  const higher = loss + 0.02;
  const near = await settled(
    { [ended]: higher, [iterate]: 1, [begun]: 0.01 },
    { firstBatch: { loss: 1, size: batchSize } },
  );
  expect(near.outcome).toEqual({ train: { loss: 0.01 }, start: { loss: 0.01 }, takenBack: true });
});

it.each([
  ['what ended', { [ended]: 0.91, [iterate]: 0.92, [begun]: 0.93 }, ended],
  ['what ended, where the last iterate is no lower', { [ended]: 0.95, [iterate]: 0.95, [begun]: 0.96 }, ended],
  ['the start, where nothing is lower', { [ended]: 0.95, [iterate]: 0.95, [begun]: 0.95 }, begun],
  ['the last iterate', { [ended]: 5, [iterate]: 0.92, [begun]: 0.93 }, iterate],
  ['the start', { [ended]: 5, [iterate]: 4, [begun]: 0.93 }, begun],
  ['the start, where all else is not a number', { [ended]: Number.NaN, [iterate]: Number.NaN, [begun]: 0.93 }, begun],
  ['the last iterate, where the average is infinite', { [ended]: Infinity, [iterate]: 0.5, [begun]: 0.93 }, iterate],
  [
    'what ended, where the others are not numbers',
    { [ended]: 0.95, [iterate]: Number.NaN, [begun]: Number.NaN },
    ended,
  ],
])('else it keeps the lowest: %s', async (_what, losses, lowest) => {
  const { outcome, w, asked } = await settled(losses);
  expect(w).toBe(lowest);
  expect(outcome).toEqual({
    train: { loss: losses[lowest] },
    start: { loss: losses[begun] },
    takenBack: lowest === begun,
  });
  // The last iterate counts only if what ended is no lower than the start.
  const isLower = (losses[ended] ?? Number.NaN) < (losses[begun] ?? Number.NaN);
  expect([...asked].sort()).toEqual(isLower ? [ended, begun] : [ended, iterate, begun]);
});

it('has no last iterate to choose where the run keeps no average', async () => {
  const { outcome, w, asked } = await settled(
    { [ended]: 5, [iterate]: 0.1, [begun]: 1 },
    { last: async () => undefined },
  );
  expect([w, outcome.takenBack, asked]).toEqual([begun, true, [ended, begun]]);
});

it('leaves a run that may not be taken back where it ended: it has the start beside it', async () => {
  const { outcome, w } = await settled({ [ended]: 5, [iterate]: 0.1, [begun]: 1 }, { mayTakeBack: false });
  expect(outcome).toEqual({ train: { loss: 5 }, start: { loss: 1 }, takenBack: false });
  expect(w).toBe(ended);
});

it('writes nothing where the loss is not a number and no choice is left: the last step can still be undone', async () => {
  const { outcome, asked } = await settled({ [begun]: 1 }, { mayTakeBack: false });
  expect(outcome).toEqual({ train: { loss: Number.NaN }, takenBack: false });
  expect(asked).toEqual([ended]);
});

it('goes back to the start where nothing is a number', async () => {
  const { outcome, w } = await settled({});
  expect(outcome.train.loss).toBeNaN();
  expect(outcome.start?.loss).toBeNaN();
  expect([outcome.takenBack, w]).toEqual([true, begun]);
});

it('evaluates the start of a small set whatever the first batch says', async () => {
  const { outcome } = await settled({ [ended]: 0.01, [iterate]: 0.6, [begun]: 0.7 }, { firstBatch: undefined });
  expect(outcome).toEqual({ train: { loss: 0.01 }, start: { loss: 0.7 }, takenBack: false });
});

it('evaluates the start if the first loss was not a number', async () => {
  const { outcome } = await settled(
    { [ended]: 0.5, [iterate]: 0.6, [begun]: 0.7 },
    {
      firstBatch: { loss: Number.NaN, size: 128 },
    },
  );
  expect(outcome).toEqual({ train: { loss: 0.5 }, start: { loss: 0.7 }, takenBack: false });
});
