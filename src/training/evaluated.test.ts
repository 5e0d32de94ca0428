// What an optimizer says is evaluated: evaluations, the returned model and its fallbacks use it, not the parameters that it trains.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluate } from '../api/evaluate.js';
import { drawnDigits } from '../data/digits/digits.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { OptionError } from '../errors.js';
import { toNumbers } from '../graph/tensor.js';
import { mlp } from '../nn/zoo.js';
import { adam } from '../optimizers/adam.js';
import { initialParameter, type Optimizer, type StepContext, stepResult } from '../optimizers/optimizer.js';
import { partition } from '../optimizers/partition.js';
import { scheduleFreeAdamw, scheduleFreeSgd } from '../optimizers/schedule-free.js';
import { cgfac } from '../optimizers/second-order/cgfac.js';
import { sgd } from '../optimizers/sgd.js';
import { type RunOptions, type TrainingResult, train } from './trainer.js';

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => engine.close());

const data = drawnDigits({ trainSize: 200, testSize: 50, seed: 1 });
const model = mlp({ seed: 1, sizes: [784, 6, 10] });

const run = (optimizer: Optimizer, more: Partial<RunOptions> = {}) =>
  train(model, { engine, data, optimizer, batchSize: 50, steps: 5, seed: 3, ...more });

const numbersOf = ({ parameters }: TrainingResult, name = 'fc2.bias'): number[] => {
  const tensor = parameters.get(name);
  return tensor ? toNumbers(tensor) : [];
};

/** SGD that has half of each parameter evaluated, as a value of its own or as a state. */
const halves = (isState: boolean): Optimizer => {
  const plain = sgd({ momentum: 0 });
  return {
    name: 'halves',
    build(context) {
      const { b, state } = context;
      const { parameters } = stepResult(plain, context);
      const evaluated = [...parameters].map(([name, value]) => {
        const half = b.mul(value, 0.5);
        return [name, isState ? state(`half.${name}`, value.dims, () => half) : half] as const;
      });
      return { parameters, evaluated: new Map(evaluated) };
    },
  };
};

/** The same optimizer without saying what is evaluated. */
const plainly = (optimizer: Optimizer): Optimizer => ({
  ...optimizer,
  build: (context) => stepResult(optimizer, context).parameters,
});

test.each([true, false])('is what evaluations and the returned model have; a state: %s', async (isState) => {
  const [whole, half] = [await run(sgd({ momentum: 0 })), await run(halves(isState), { evaluateEvery: 2 })];
  expect(half.record.steps.map(({ loss }) => loss)).toEqual(whole.record.steps.map(({ loss }) => loss));
  expect(numbersOf(half)).toEqual(numbersOf(whole).map((x) => x / 2));
  const { values } = await evaluate(half.model, data.test, { engine });
  expect(half.record.test.loss).toBeCloseTo(values.loss ?? Number.NaN, 6);
  expect(half.record.test.loss).not.toBeCloseTo(whole.record.test.loss, 3);
  const parameters = 4 * (784 * 6 + 6 + 60 + 10);
  expect(half.record.stateBytes).toBe(parameters);
});

test('is the initial parameter until a step is kept', async () => {
  const never: Optimizer = {
    ...halves(true),
    build: (context) => ({ ...stepResult(halves(true), context), accept: context.b.less(context.forward.loss, -1) }),
  };
  const initial = model.parameters.get('fc1.weight')?.constant;
  expect(numbersOf(await run(never), 'fc1.weight')).toEqual(initial && toNumbers(initial));
});

describe.each([
  ['scheduleFreeSgd', scheduleFreeSgd],
  ['scheduleFreeAdamw', scheduleFreeAdamw],
])('%s', (_, make) => {
  test('x is evaluated and kept, y is trained', async () => {
    const [x, y] = [await run(make()), await run(plainly(make()))];
    expect(x.record.steps.map(({ loss }) => loss)).toEqual(y.record.steps.map(({ loss }) => loss));
    expect(numbersOf(x)).not.toEqual(numbersOf(y));
    const { values } = await evaluate(x.model, data.test, { engine });
    expect(x.record.test.loss).toBeCloseTo(values.loss ?? Number.NaN, 6);
  });

  test('in a part of a network, beside averaged iterates, and for the rest of second order', async () => {
    const beside = (rest: Optimizer) =>
      partition([
        ['fc1.*', cgfac({ curvatureRows: 8 })],
        ['*', rest],
      ]);
    const [x, y] = [await run(beside(make())), await run(beside(plainly(make())))];
    expect(x.record.steps.map(({ loss }) => loss)).toEqual(y.record.steps.map(({ loss }) => loss));
    // The averages of cgfac's part are the same; those of the other part are x, not the average of y.
    expect(numbersOf(x, 'fc1.bias')).toEqual(numbersOf(y, 'fc1.bias'));
    expect(numbersOf(x)).not.toEqual(numbersOf(y));
    const { values } = await evaluate(x.model, data.test, { engine });
    expect(x.record.test.loss).toBeCloseTo(values.loss ?? Number.NaN, 6);
  });
});

test('after the first step x is z: the step is not shortened by the average', async () => {
  const [first, plain] = [
    await run(scheduleFreeSgd({ learningRate: 0.25 }), { steps: 1 }),
    await run(sgd({ learningRate: 0.25, momentum: 0 }), { steps: 1 }),
  ];
  for (const [i, x] of numbersOf(first, 'fc1.weight').entries()) {
    expect(x).toBeCloseTo(numbersOf(plain, 'fc1.weight')[i] ?? Number.NaN, 6);
  }
});

test('what is no parameter, or of another type, is refused', async () => {
  const evaluating = (evaluated: (context: StepContext) => unknown): Optimizer => ({
    name: 'own',
    build: (context) => ({
      parameters: stepResult(adam(), context).parameters,
      evaluated: evaluated(context) as never,
    }),
  });
  const wrong: readonly (readonly [Optimizer, string])[] = [
    [
      evaluating(({ b }) => new Map([['fc9', b.scalar(0, 'float32')]])),
      "the step of optimizer 'own' has the evaluated parameter 'fc9', and it was given fc1.weight",
    ],
    [
      evaluating(({ b }) => new Map([['fc2.bias', b.scalar(0, 'float32')]])),
      "makes the evaluated parameter 'fc2.bias', which is float32[10], float32[]: a parameter keeps its type",
    ],
    [evaluating(() => ['fc2.bias']), 'return a map of new parameters, or { parameters, accept, evaluated }'],
  ];
  for (const [optimizer, message] of wrong) {
    await expect(run(optimizer)).rejects.toThrow(OptionError);
    await expect(run(optimizer)).rejects.toThrow(message);
  }
  const asking: Optimizer = {
    name: 'asking',
    build: (context) => new Map([['x', context.b.constant(initialParameter(context, 'fc9'))]]),
  };
  await expect(run(asking)).rejects.toThrow(/'fc9' of model '.*' has no initial elements/);
});
