// Runs that are killed at random instants and resumed end with the same bits: `npm run torture:resume` does it a thousand times.
import { expect, it } from 'vitest';
import { torture } from '../benchmarks/torture.js';

it('twenty kills change nothing', { timeout: 900_000 }, async () => {
  const said: string[] = [];
  const result = await torture({
    kills: 20,
    seed: 1,
    program: 'dist/cli/main.js',
    threads: [1, 2],
    most: 4,
    say: (line) => said.push(line),
  });
  expect(result.failures, said.join('\n')).toEqual([]);
  expect(result.kills).toBeGreaterThanOrEqual(20);
  expect(result.runs).toBeGreaterThanOrEqual(5);
});
