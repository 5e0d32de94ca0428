// Events of a run: which, when, in which order; and what ends it.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { drawnDigits } from '../data/digits/digits.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { mlp } from '../nn/zoo.js';
import { adam } from '../optimizers/adam.js';
import type { Callbacks, RunControl } from './callbacks.js';
import { type RunOptions, train } from './trainer.js';

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => engine.close());

const data = drawnDigits({ trainSize: 40, testSize: 10 });
const model = mlp({ sizes: [784, 6, 10], seed: 1 });
const usual = { data, optimizer: adam(), batchSize: 20, steps: 5, evaluateEvery: 3 };
const run = (options: Partial<RunOptions>, more: Parameters<typeof train>[2] = {}) =>
  train(model, { engine, ...usual, ...options }, more);

/** All events, in their order. */
function recorder(): { readonly events: string[]; readonly callbacks: Callbacks } {
  const events: string[] = [];
  const callbacks: Callbacks = {
    onStart: ({ steps, stepsPerEpoch, resumedAt }) => void events.push(`start ${steps} ${stepsPerEpoch} ${resumedAt}`),
    onStep: ({ step }, run) => void events.push(`step ${step} of ${run.steps}`),
    onEpoch: ({ epoch, step }) => void events.push(`epoch ${epoch} at ${step}`),
    onEvaluation: ({ step, values }) => void events.push(`evaluation ${step} ${Object.keys(values).join()}`),
    onCheckpoint: ({ step, path }) => void events.push(`checkpoint ${step} ${path}`),
    onStop: ({ step, reason }) => void events.push(`stop ${step} ${reason}`),
    onError: (error) => void events.push(`error ${(error as Error).message}`),
  };
  return { events, callbacks };
}

const evaluated = 'trainLoss,trainAccuracy,testLoss,testAccuracy';

it('tells each event once, in order', async () => {
  const { events, callbacks } = recorder();
  const { stopped } = await run({ callbacks });
  expect(events).toEqual([
    'start 5 2 0',
    'step 1 of 5',
    'step 2 of 5',
    'epoch 1 at 2',
    'step 3 of 5',
    `evaluation 3 ${evaluated}`,
    'step 4 of 5',
    'epoch 2 at 4',
    'step 5 of 5',
    `evaluation 5 ${evaluated}`,
    'stop 5 finished',
  ]);
  expect(stopped).toBe('finished');
});

it('tells checkpoints after they are written, and where a run resumes', async () => {
  const states: Parameters<typeof train>[2][] = [];
  const { events, callbacks } = recorder();
  const checkpointing = {
    due: ({ step }: { step: number }) => step === 2,
    save: async (resumeFrom: { step: number }) => {
      states.push({ resumeFrom } as Parameters<typeof train>[2]);
      return { path: `memory ${resumeFrom.step}` };
    },
  };
  await run({ callbacks }, { checkpointing });
  expect(events.filter((event) => event.startsWith('checkpoint'))).toEqual([
    'checkpoint 2 memory 2',
    'checkpoint 4 memory 4',
  ]);
  const again = recorder();
  await run({ callbacks: again.callbacks }, states[0]);
  expect(again.events.slice(0, 2)).toEqual(['start 5 2 2', 'step 3 of 5']);
});

it('ends the run after the step if a callback says so; methods of a class are callbacks', async () => {
  class Watch {
    readonly seen: number[] = [];
    onStep({ step }: { step: number }, control: RunControl) {
      this.seen.push(step);
      if (step === 2) control.stop();
    }
  }
  const watch = new Watch();
  const { events, callbacks } = recorder();
  const { record, stopped, interrupted } = await run({ callbacks: [watch, callbacks] });
  expect(watch.seen).toEqual([1, 2]);
  expect(events.at(-1)).toBe('stop 2 callback');
  expect([record.steps.length, record.stopped, stopped, interrupted]).toEqual([2, 'callback', 'callback', true]);
});

it('gives the parameters that would be kept', async () => {
  const seen: Float32Array[] = [];
  const onStop = async (_: unknown, control: RunControl) => {
    for (const { data } of (await control.parameters()).values()) seen.push(data as Float32Array);
  };
  const { parameters } = await run({ callbacks: { onStop } });
  expect(seen).toEqual([...parameters.values()].map(({ data }) => data));
});

it.each(['onStart', 'onStep', 'onEvaluation', 'onEpoch', 'onStop'] as const)('throws what %s throws', async (name) => {
  const { events, callbacks } = recorder();
  const failing = {
    [name]: () => {
      throw new Error('my mistake');
    },
  };
  await expect(run({ callbacks: [failing, callbacks] })).rejects.toThrow('my mistake');
  if (name !== 'onStop')
    expect(events.slice(-2)).toEqual(['error my mistake', expect.stringMatching(/^stop \d error$/)]);
});

it('ends by time, whatever the number of steps', async () => {
  const { record, stopped } = await run({ steps: 1_000_000, maxTime: 1e-9 });
  expect(stopped).toBe('time');
  expect(record.steps.length).toBe(0);
});
