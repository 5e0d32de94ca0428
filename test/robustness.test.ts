// cgfac and kfac with no options on all drawn problems: every loss stays finite, and none ends above where it began.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../src/engine/engine.js';
import { nodeEngine } from '../src/engine/node.js';
import type { Optimizer } from '../src/optimizers/optimizer.js';
import { cgfac } from '../src/optimizers/second-order/cgfac.js';
import { kfac } from '../src/optimizers/second-order/kfac.js';
import { drawnProblem } from './support/drawn-problems.js';
import { firstLosses, isAbove, trainProblem } from './support/train-problem.js';

const [problems, together, steps] = [300, 30, 200];
const optimizers: readonly (readonly [string, () => Optimizer])[] = [
  ['cgfac', () => cgfac()],
  ['kfac', () => kfac()],
];

// Two threads, a part of the problems each.
const engines: Engine[] = [];
beforeAll(async () => {
  for (let i = 0; i < 2; i++) engines.push(await nodeEngine({ threads: 1 }));
});
afterAll(() => Promise.all(engines.map((engine) => engine.close())));

/** What went wrong, one line a run. */
async function failuresOf(engine: Engine, index: number): Promise<string[]> {
  const problem = drawnProblem(index);
  const first = await firstLosses(engine, problem);
  const failures: string[] = [];
  for (const [name, make] of optimizers) {
    const final = await trainProblem(engine, problem, make(), steps);
    const what = `${name} on ${problem.name} [${problem.traits.join(', ')}]`;
    if (final.train === null || final.test === null) failures.push(`${what}: ${final.error ?? 'a loss is not finite'}`);
    else if (isAbove(final, first)) failures.push(`${what}: ${first.train} before, ${final.train} after`);
  }
  return failures;
}

describe(`${steps} steps, no options`, () => {
  test.each(Array.from({ length: problems / together }, (_, i) => i * together))(
    '%d and those after it',
    async (from) => {
      const failures = await Promise.all(
        engines.map(async (engine, share) => {
          const found: string[] = [];
          for (let index = from + share; index < from + together; index += engines.length) {
            found.push(...(await failuresOf(engine, index)));
          }
          return found;
        }),
      );
      expect(failures.flat()).toEqual([]);
    },
  );
});
