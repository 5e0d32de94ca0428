import { expect, it } from 'vitest';
import { slow, square } from '../../test/support/slow.js';
import { OptionError, UnsupportedError } from '../errors.js';
import { toNumbers } from '../graph/tensor.js';
import { nodeEngine } from './node.js';
import { webEngine } from './web.js';
import type { WebProvider } from './web-runtime.js';

it('computes on wasm what the native engine computes', async () => {
  const [native, wasm] = [await nodeEngine({ threads: 1, worker: false }), await webEngine({ provider: 'wasm' })];
  const results: number[] = [];
  for (const engine of [native, wasm]) {
    const program = await engine.compile(slow(2));
    const { y } = await program.run({ x: square() });
    results.push(...(y ? toNumbers(y) : []));
    await engine.close();
  }
  const [expected = Number.NaN, computed = Number.NaN] = results;
  expect(expected).not.toBe(0);
  expect(Math.abs(computed / expected - 1)).toBeLessThan(1e-3);
});

it('keeps the threads of the page', async () => {
  const engine = await webEngine({ provider: 'wasm', threads: 1 });
  await expect(webEngine({ provider: 'wasm', threads: 2 })).rejects.toThrow('already runs with 1 on this page');
  await expect(webEngine({ provider: 'wasm', threads: 0 })).rejects.toThrow(OptionError);
  await engine.close();
});

it('says what to use where WebGPU is not', async () => {
  const gpu = webEngine({ provider: 'webgpu' });
  await expect(gpu).rejects.toThrow(UnsupportedError);
  await expect(gpu).rejects.toThrow("nodeEngine({ executionProviders: ['webgpu'] })");
  await expect(webEngine({ provider: 'webgl' as WebProvider })).rejects.toThrow(
    "provider must be 'wasm' or 'webgpu', not 'webgl'",
  );
});
