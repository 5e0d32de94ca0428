// The average of the iterates: its weights, and the recurrence that the small program computes.
import { expect, test } from 'vitest';
import { nodeEngine } from '../engine/node.js';
import { mlp } from '../nn/zoo.js';
import { IterateAverage, weightOfPast } from './iterate-average.js';
import { parameterKey } from './step-program.js';

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
    const average = await IterateAverage.of(engine, model.parameters, 0.99);
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
