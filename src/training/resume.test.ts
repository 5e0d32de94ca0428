// A run that goes on from any of its checkpoints ends with the same bits as one that was never interrupted.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DataSplits } from '../data/dataset.js';
import { drawnDigits } from '../data/digits/digits.js';
import { oversampled } from '../data/sampling.js';
import { autoencoding, slice } from '../data/views.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { OptionError } from '../errors.js';
import type { Model } from '../model/model.js';
import { autoencoder, mlp } from '../nn/zoo.js';
import { adam } from '../optimizers/adam.js';
import { chain } from '../optimizers/chain.js';
import type { Optimizer } from '../optimizers/optimizer.js';
import { reduceOnPlateau } from '../optimizers/plateau.js';
import { scheduleFreeAdamw } from '../optimizers/schedule-free.js';
import { cgfac } from '../optimizers/second-order/cgfac.js';
import { kfac } from '../optimizers/second-order/kfac.js';
import { sgd } from '../optimizers/sgd.js';
import type { Checkpointing, RunState } from './run-state.js';
import { type RunOptions, type TrainingResult, train } from './trainer.js';
import { exponentialAverage } from './weight-average.js';

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => engine.close());

const digits = drawnDigits({ trainSize: 120, testSize: 40 });
const pictures: DataSplits = { train: autoencoding(digits.train), test: autoencoding(digits.test) };
const classifier = mlp({ sizes: [784, 12, 10], seed: 2 });
const encoder = autoencoder({ sizes: [784, 16, 4], seed: 2 });

/** Checkpoints in memory, every few steps. */
function inMemory(every: number): { readonly states: RunState[]; readonly checkpointing: Checkpointing } {
  const states: RunState[] = [];
  return {
    states,
    checkpointing: {
      due: ({ step }) => step % every === 0,
      save: async (state) => {
        states.push(structuredClone(state));
        return { path: `memory ${state.step}` };
      },
    },
  };
}

const bits = ({ parameters }: Pick<TrainingResult, 'parameters'>) =>
  Object.fromEntries([...parameters].map(([name, { data }]) => [name, Buffer.from(data.buffer).toString('base64')]));

/** What a run leaves, without its times. */
function left(result: TrainingResult) {
  const { steps, seconds: _, stepMilliseconds: __, toTarget, ...rest } = result.record;
  return {
    parameters: bits(result),
    ...rest,
    toTarget: toTarget?.steps,
    steps: steps.map(({ seconds: ___, ...step }) => step),
  };
}

interface Case {
  readonly model: Model;
  readonly data: DataSplits;
  readonly options?: Partial<RunOptions>;
}

const classification: Case = { model: classifier, data: digits };
const reconstruction: Case = { model: encoder, data: pictures };

async function run({ model, data, options }: Case, optimizer: Optimizer, more: Parameters<typeof train>[2] = {}) {
  const usual = { engine, data, optimizer, steps: 12, batchSize: 30, seed: 3, evaluateEvery: 5 };
  return await train(model, { ...usual, ...options }, more);
}

const optimizers: readonly (readonly [string, () => Optimizer, Case])[] = [
  ['sgd', () => sgd({ learningRate: 0.1, momentum: 0.9 }), classification],
  ['adam', () => adam(), classification],
  ['cgfac, normalized', () => cgfac(), classification],
  ['cgfac, self-tuning', () => cgfac(), reconstruction],
  ['kfac', () => kfac(), classification],
  ['a chain', () => chain(adam()), classification],
  [
    'a monitored run',
    () => cgfac(),
    { ...classification, options: { monitor: 'testLoss', earlyStopping: { patience: 4 }, evaluateEvery: 2 } },
  ],
  [
    'varied examples in batches of unequal size',
    () => adam(),
    {
      ...classification,
      options: {
        ...{ batchSize: 32, sampling: oversampled(), evaluateEvery: 5 },
        augment: { flip: true, rotate: 10, colour: 0.2, erase: 0.5, noise: 0.1, mixup: 0.2, cutmix: 1 },
      },
    },
  ],
  [
    'a rate that falls with the loss of batches',
    () => reduceOnPlateau(scheduleFreeAdamw(), { every: 2, patience: 0, factor: 0.5, threshold: 0.5 }),
    classification,
  ],
  [
    'a rate that falls with evaluations',
    () => reduceOnPlateau(cgfac(), { monitor: 'testLoss', patience: 0, factor: 0.5, threshold: 0.5 }),
    { ...classification, options: { evaluateEvery: 2, average: exponentialAverage(0.9) } },
  ],
  ['a target', () => adam(), { ...classification, options: { target: { metric: 'accuracy', value: 0.3 } } }],
];

describe.each(optimizers)('%s', (_, optimizer, given) => {
  it('ends with the same bits from each of its checkpoints', async () => {
    const { states, checkpointing } = inMemory(3);
    const whole = left(await run(given, optimizer(), { checkpointing }));
    expect(left(await run(given, optimizer()))).toEqual(whole);
    expect(states.map(({ step }) => step)).toEqual([3, 6, 9, 11]);
    for (const resumeFrom of states) expect(left(await run(given, optimizer(), { resumeFrom }))).toEqual(whole);
  });
});

it('goes on from the end of a shorter run as if that had been longer', async () => {
  const { states, checkpointing } = inMemory(100);
  await run(classification, cgfac(), { checkpointing });
  const longer = { ...classification, options: { steps: 17 } };
  const [resumeFrom] = states;
  expect(states.map(({ step }) => step)).toEqual([11]);
  expect(left(await run(longer, cgfac(), { ...(resumeFrom && { resumeFrom }) }))).toEqual(
    left(await run(longer, cgfac())),
  );
});

it('leaves a checkpoint if a signal or a callback ends it, from which it goes on', async () => {
  const whole = left(await run(classification, cgfac()));
  const stop = new AbortController();
  const ways: readonly Partial<RunOptions>[] = [
    { signal: stop.signal, callbacks: { onStep: ({ step }) => (step === 7 ? stop.abort() : undefined) } },
    {
      callbacks: {
        onStep({ step }) {
          if (step === 7) throw new Error('the disk is full');
        },
      },
    },
  ];
  for (const options of ways) {
    const { states, checkpointing } = inMemory(100);
    await run({ ...classification, options }, cgfac(), { checkpointing }).catch((error: Error) => {
      expect(error.message).toBe('the disk is full');
    });
    const [resumeFrom] = states;
    expect(states.map(({ step }) => step)).toEqual([7]);
    expect(left(await run(classification, cgfac(), { ...(resumeFrom && { resumeFrom }) }))).toEqual(whole);
  }
});

it('keeps no state before a step that is taken back, since the step before it is undone', async () => {
  // The third step makes a parameter infinite; the fourth sees it and takes it back.
  const rate = (step: number) => (step === 3 ? 1e38 : 0.1);
  const risky: Optimizer = {
    name: 'risky',
    build({ b, parameters, gradients, scalar, steer }) {
      const learningRate = scalar('learningRate', rate);
      steer({ recovers: true, observe: () => undefined, snapshot: () => ({}), restore: () => undefined });
      return new Map(
        [...parameters].map(([name, p]) => [name, b.sub(p, b.mul(gradients.get(name) ?? 0, learningRate))]),
      );
    },
  };
  const { states, checkpointing } = inMemory(1);
  const whole = await run(classification, risky, { checkpointing });
  const accepted = whole.record.steps.map(({ optimizer }) => optimizer.accepted);
  expect(accepted.slice(0, 6)).toEqual([1, 1, 1, 1, 0, 1]);
  expect(states.map(({ step }) => step)).not.toContain(4);
  for (const resumeFrom of states) expect(left(await run(classification, risky, { resumeFrom }))).toEqual(left(whole));
});

it('refuses the state of another run, naming the difference', async () => {
  const { states, checkpointing } = inMemory(5);
  await run(classification, adam(), { checkpointing });
  const [resumeFrom] = states;
  const other = run(classification, sgd(), { ...(resumeFrom && { resumeFrom }) });
  await expect(other).rejects.toThrow(OptionError);
  await expect(other).rejects.toThrow(
    /of another run: its tensor 'state\.velocity\.fc1\.weight' is missing, and this run has float32\[784, 12\]/,
  );
  const smaller = { ...digits, train: slice(digits.train, 0, 60) };
  const wider = { model: mlp({ sizes: [784, 13, 10], seed: 2 }), data: smaller };
  await expect(run(wider, adam(), { ...(resumeFrom && { resumeFrom }) })).rejects.toThrow(/\[784, 12\].*\[784, 13\]/);
});

it('refuses a state that lacks a part, or has one too many: nothing begins anew silently', async () => {
  const { states, checkpointing } = inMemory(5);
  await run(classification, cgfac(), { checkpointing });
  const [whole] = states as [RunState];
  const { 'steering 0': _, ...fewer } = whole.numbers;
  const refused = (numbers: RunState['numbers']) => run(classification, cgfac(), { resumeFrom: { ...whole, numbers } });
  await expect(refused(fewer)).rejects.toThrow(/of another run: its part 'steering 0' is missing/);
  const more = { ...whole.numbers, 'steering 9': {} };
  await expect(refused(more)).rejects.toThrow(/it has the part 'steering 9', and this run has none/);
});

it('ends the run with the error of a checkpoint that cannot be written', async () => {
  const save = async () => Promise.reject(new Error('no room'));
  await expect(run(classification, adam(), { checkpointing: { due: () => true, save } })).rejects.toThrow('no room');
});
