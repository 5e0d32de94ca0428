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

it('leaves the event loop free while a program runs in the worker', async () => {
  const engine = await nodeEngine({ threads: 1 });
  const program = await engine.compile(slow(60));
  const started = performance.now();
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  await program.run({ x: square() });
  const elapsed = performance.now() - started;
  clearInterval(timer);
  await engine.close();
  expect(elapsed).toBeGreaterThan(50);
  expect(ticks).toBeGreaterThan(elapsed / 5 / 10);
});
