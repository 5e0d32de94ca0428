// Where a function computes that is given no engine: natively in Node, on WebAssembly elsewhere (test/browser has what it
// computes there); on the one that is given.
import { afterEach, expect, it, vi } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { withEngine } from './default-engine.js';

afterEach(() => vi.unstubAllGlobals());

const nameOf = (given?: Engine) => withEngine(given, async ({ name }) => name);
const outsideNode = () => vi.stubGlobal('process', { ...process, versions: {} });

it('is native in Node, and WebAssembly where there is no Node', async () => {
  expect(await nameOf()).toBe('node-cpu');
  outsideNode();
  expect(await nameOf()).toBe('wasm');
});

it('of an engine that is given a store of its own is used and closed, and the engine stays open', async () => {
  const calls: string[] = [];
  const store = { name: 'store', close: async () => void calls.push('closed') };
  const engine = { name: 'given', open: () => store, close: async () => void calls.push('lost') } as unknown as Engine;
  expect(await nameOf(engine)).toBe('store');
  await expect(
    withEngine(engine, async () => {
      throw new RangeError('of the computation');
    }),
  ).rejects.toThrow(RangeError);
  expect(calls).toEqual(['closed', 'closed']);
});
