// The average of the iterates: its weights, and the recurrence that the small program computes.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { replayed, traceNamed } from '../../test/support/optimizer-trace.js';
import { nodeEngine } from '../engine/node.js';
import { mlp } from '../nn/zoo.js';
import { sgd } from '../optimizers/sgd.js';
import { IterateAverage } from './iterate-average.js';
import { parameterKey } from './step-program.js';
import { checkWeightAverage, exponentialAverage, iterateAverage } from './weight-average.js';

const ruleOf = (maximum: number) => {
  const { rule } = iterateAverage(maximum);
  if (!rule) throw new Error('no rule');
  return rule;
};
const weightOfPast = (steps: number, since: number, maximum: number, headStart = 1) =>
  ruleOf(maximum).weightOfPast(steps, since, headStart);

test('the initial parameters are no iterate, later the past weighs more, up to the maximum', () => {
  expect(weightOfPast(1, 1, 0.99)).toBe(0);
  expect(weightOfPast(10, 1, 0.99)).toBeCloseTo(1 - 9 / 18, 12);
  expect(weightOfPast(10_000, 1, 0.99)).toBe(0.99);
  expect(weightOfPast(10_000, 4, 0.99)).toBeCloseTo(0.99 ** 4, 12);
  // A head start: the model that a run continues weighs as much as iterates of it.
  expect(weightOfPast(1, 1, 0.99, 4)).toBeCloseTo(1 - 9 / 36, 12);
  expect(weightOfPast(2, 2, 0.99, 100)).toBeCloseTo(0.99 ** 2, 12);
});

test('every step joins at first, every fourth later, the last always', async () => {
  const engine = await nodeEngine({ worker: false, threads: 1 });
  try {
    const model = mlp({ seed: 1, sizes: [2, 1] });
    const average = await IterateAverage.of(engine, model.parameters, ruleOf(0.99));
    const key = average.keys.get('fc1.bias') ?? '';
    const tensorsOf = (value: number) =>
      Object.fromEntries(
        [...model.parameters].map(([name, { dims }]) => {
          const length = dims.reduce((product, size) => product * size, 1);
          return [name, { dtype: 'float32' as const, dims, data: new Float32Array(length).fill(value) }];
        }),
      );
    const write = (value: number, keyOf: (name: string) => string) =>
      engine.write(Object.fromEntries(Object.entries(tensorsOf(value)).map(([name, data]) => [keyOf(name), data])));
    await write(100, (name) => average.keys.get(name) ?? name);
    let expected = 100;
    let joined = 0;
    for (let steps = 1; steps <= 15; steps++) {
      await write(steps ** 2, parameterKey);
      await average.after(steps, steps === 15);
      if (steps <= 8 || steps % 4 === 0 || steps === 15) {
        const keep = weightOfPast(steps, steps - joined, 0.99);
        expected = keep * expected + (1 - keep) * steps ** 2;
        joined = steps;
      }
      const { [key]: stored } = await engine.read([key]);
      expect(Number(stored?.data[0])).toBeCloseTo(expected, 3);
    }
    expect(average.bytes).toBe(12);
  } finally {
    await engine.close();
  }
});

test('an exponential average is that of a recorded run without its bias', async () => {
  const file = new URL('../../test/fixtures/optimizers/weight-averages.json', import.meta.url);
  type Averages = Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, readonly number[]>>>>>>;
  const { averages, decay } = JSON.parse(readFileSync(file, 'utf8')) as { averages: Averages; decay: number };
  const trace = traceNamed('sgd-momentum-mlp');
  // Every step's iterate.
  const all = { ...trace, after: Object.fromEntries(Array.from({ length: 20 }, (_, i) => [i + 1, {}])) };
  const { after } = await replayed(all, sgd({ learningRate: 0.05, momentum: 0.9 }), 'float64');
  const rule = exponentialAverage(decay).rule;
  let past: Record<string, readonly number[]> = {};
  for (const [i, iterate] of Object.values(after).entries()) {
    const steps = i + 1;
    expect(rule?.joins(steps)).toBe(true);
    const weight = rule?.weightOfPast(steps, 1, 1) ?? Number.NaN;
    past = Object.fromEntries(
      Object.entries(iterate).map(([name, elements]) => [
        name,
        elements.map((x, at) => (steps === 1 ? 0 : weight * (past[name]?.[at] ?? Number.NaN)) + (1 - weight) * x),
      ]),
    );
    for (const [name, expected] of Object.entries(averages[steps]?.['ema-debiased'] ?? {})) {
      for (const [at, x] of expected.entries()) expect(past[name]?.[at]).toBeCloseTo(x, 10);
    }
  }
  expect(Object.keys(averages)).toHaveLength(5);
});

test('averages are refused unless they are made by the functions for them', () => {
  expect(() => exponentialAverage(1)).toThrow('decay is 1; it must be a finite number, greater than 0, less than 1');
  expect(() => iterateAverage(0)).toThrow('maximum is 0');
  expect(() => checkWeightAverage('ema' as never)).toThrow(
    "average is 'ema'; give iterateAverage(), exponentialAverage(0.999) or lastIterate()",
  );
});
