import { expect, it } from 'vitest';
import { slow, square } from '../../test/support/slow.js';
import type { TensorData } from '../graph/tensor.js';
import { nodeEngine } from './node.js';

it('computes the same bits in the worker, in this thread, and again', async () => {
  const bits: (TensorData | undefined)[] = [];
  for (const worker of [true, false, true]) {
    const engine = await nodeEngine({ threads: 2, worker });
    const program = await engine.compile(slow(3));
    for (let repeat = 0; repeat < 2; repeat++) bits.push((await program.run({ x: square() })).y);
    await engine.close();
  }
  expect(new Set(bits.map((value) => value?.data.join())).size).toBe(1);
  expect(bits[0]?.data[0]).not.toBe(0);
});

/** Turns of the event loop while a program runs. */
async function turnsDuring(worker: boolean): Promise<number> {
  const engine = await nodeEngine({ threads: 1, worker });
  const program = await engine.compile(slow(20));
  let [turns, runs] = [0, true];
  const turn = () => {
    turns += 1;
    if (runs) setImmediate(turn);
  };
  setImmediate(turn);
  await program.run({ x: square() });
  runs = false;
  await engine.close();
  return turns;
}

it('leaves the event loop free while a program runs in the worker, and not in this thread', async () => {
  const blocked = await turnsDuring(false);
  expect(await turnsDuring(true)).toBeGreaterThan(10 * blocked);
});
