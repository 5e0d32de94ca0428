// Gradual unfreezing: nothing of what waits moves, then it is trained as if its run began there; and resuming is exact.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawnDigits } from '../data/digits/digits.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { OptionError } from '../errors.js';
import { selectParameters } from '../model/edit/select.js';
import { mlp } from '../nn/zoo.js';
import type { RunState } from '../training/run-state.js';
import { type TrainingResult, train } from '../training/trainer.js';
import { adam } from './adam.js';
import type { Optimizer } from './optimizer.js';
import { scheduleFreeAdamw } from './schedule-free.js';
import { linear } from './schedules.js';
import { cgfac } from './second-order/cgfac.js';
import { sgd } from './sgd.js';
import { normalized } from './steps/normalized.js';
import { selfTuning } from './steps/self-tuning.js';
import { unfreezing } from './unfreezing.js';

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => engine.close());

const data = drawnDigits({ trainSize: 120, testSize: 40 });
const model = mlp({ sizes: [784, 8, 10], seed: 1 });
const usual = { data, batchSize: 30, seed: 2, evaluateEvery: 100 } as const;
const wait = 4;
const later = (optimizer: Optimizer) => unfreezing(optimizer, { frozen: 'fc1.*', steps: wait });

const run = (optimizer: Optimizer, steps: number, more: Parameters<typeof train>[2] = {}, of = model) =>
  train(of, { ...usual, engine, optimizer, steps }, more);
const numbers = ({ parameters }: Pick<TrainingResult, 'parameters'>, name: string) =>
  Array.from(parameters.get(name)?.data ?? [], Number);

const optimizers: readonly (readonly [string, () => Optimizer])[] = [
  ['sgd', () => sgd()],
  ['adam', () => adam()],
  ['schedule-free', () => scheduleFreeAdamw()],
  ['normalized cgfac', () => cgfac({ step: normalized(), curvatureRows: 8 })],
  ['self-tuning cgfac', () => cgfac({ step: selfTuning(), curvatureRows: 8 })],
];

describe.each(optimizers)('%s', (_, make) => {
  it('moves nothing of what waits, neither parameters nor states, and trains the rest as if it were alone', async () => {
    const states: RunState[] = [];
    const save = async (state: RunState) => {
      states.push(structuredClone(state));
      return { path: 'memory' };
    };
    const waiting = await run(later(make()), wait, { checkpointing: { due: () => true, save } });
    const initial = Array.from(model.parameters.get('fc1.weight')?.constant?.data ?? [], Number);
    expect(numbers(waiting, 'fc1.weight')).toEqual(initial);
    const alone = await run(make(), wait, {}, selectParameters(model, { freeze: ['fc1.*'] }));
    // To rounding: the runtime joins other operators.
    const expected = numbers(alone, 'fc2.weight');
    for (const [i, x] of numbers(waiting, 'fc2.weight').entries()) expect(x).toBeCloseTo(expected[i] ?? Number.NaN, 4);
    const [first, last] = [states[0], states.at(-1)];
    const own = Object.keys(last?.tensors ?? {}).filter((name) => /^state\.unfrozen/.test(name));
    for (const name of own) expect(last?.tensors[name]).toEqual(first?.tensors[name]);
    expect(own.length > 0 || _ === 'sgd').toBe(true);
  });

  it('trains all of them afterwards, and goes on from checkpoints before and after with the same bits', async () => {
    const states: RunState[] = [];
    const save = async (state: RunState) => {
      states.push(structuredClone(state));
      return { path: 'memory' };
    };
    const whole = await run(later(make()), wait + 4, {
      checkpointing: { due: ({ step }) => [2, 6].includes(step), save },
    });
    const initial = Array.from(model.parameters.get('fc1.weight')?.constant?.data ?? [], Number);
    expect(numbers(whole, 'fc1.weight')).not.toEqual(initial);
    expect(states.some(({ step }) => step < wait)).toBe(true);
    expect(states.some(({ step }) => step > wait)).toBe(true);
    for (const resumeFrom of states) {
      const resumed = await run(later(make()), wait + 4, { resumeFrom });
      for (const name of model.parameters.keys()) expect(numbers(resumed, name)).toEqual(numbers(whole, name));
    }
  });
});

it('begins with bias corrections of its own, and with the schedule of the run', async () => {
  // After one step Adam has moved each element by the learning rate, whatever its gradient, if its averages are corrected.
  const rate = linear(0.01, 0, 10);
  const [before, after] = [
    await run(later(adam({ learningRate: rate, epsilon: 1e-30 })), wait),
    await run(later(adam({ learningRate: rate, epsilon: 1e-30 })), wait + 1),
  ];
  const old = numbers(before, 'fc1.bias');
  const moved = numbers(after, 'fc1.bias').map((x, i) => Math.abs(x - (old[i] ?? Number.NaN)));
  for (const step of moved.filter((size) => size > 0)) expect(step).toBeCloseTo(rate(wait), 6);
  expect(moved.some((size) => size > 0)).toBe(true);
});

it('refuses that nothing or everything waits', async () => {
  const wrong: readonly (readonly [() => Optimizer, RegExp])[] = [
    [
      () => unfreezing(adam(), { frozen: '*', steps: 3 }),
      /each of the parameters waits until it is unfrozen; they are fc1.weight/,
    ],
    [() => unfreezing(adam(), { frozen: () => false, steps: 3 }), /none of the parameters waits/],
    [() => unfreezing(adam(), { frozen: 'head.*', steps: 3 }), /'head.\*' matches no parameter that is trained/],
    [() => unfreezing(adam(), { frozen: 'fc1.*', steps: 0 }), /steps is 0/],
    [() => unfreezing(adam(), { freeze: 'fc1.*', steps: 3 } as never), /unknown option 'freeze' of unfreezing/],
  ];
  for (const [make, message] of wrong) {
    const attempt = async () => run(make(), 2);
    await expect(attempt()).rejects.toThrow(OptionError);
    await expect(attempt()).rejects.toThrow(message);
  }
});
