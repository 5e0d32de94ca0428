// Every engine that runs in Node, and a small program with state, for tests of what all engines do.

import type { Engine } from '../../src/engine/engine.js';
import { nodeEngine } from '../../src/engine/node.js';
import { webEngine } from '../../src/engine/web.js';
import type { Graph } from '../../src/graph/graph.js';
import { type DataType, type TensorData, tensorFrom, toNumbers } from '../../src/graph/tensor.js';
import { Builder } from '../../src/ops/builder.js';

export const engines: Readonly<Record<string, () => Promise<Engine>>> = {
  'node in a worker': () => nodeEngine({ threads: 1 }),
  'node in this thread': () => nodeEngine({ threads: 1, worker: false }),
  wasm: () => webEngine({ provider: 'wasm', threads: 1 }),
};

export const numbers = (dims: readonly number[], values: readonly number[], dtype: DataType = 'float32') =>
  tensorFrom(dtype, dims, values);

export const valuesOf = (value: TensorData | undefined): number[] => (value ? toNumbers(value) : []);

/** x·w + count, with w and count updated: w ← w/2, count ← count + 1. */
export function halving(): { graph: Graph; updates: Map<string, string> } {
  const b = new Builder();
  const x = b.input('x', 'float32', ['rows', 2]);
  const w = b.input('w', 'float32', [2, 3]);
  const count = b.input('count', 'int64', []);
  const y = b.add(b.matmul(x, w), b.cast(count, 'float32'));
  const graph = b.build('halving', { y, nextW: b.mul(w, 0.5), nextCount: b.add(count, b.scalar(1, 'int64')) });
  return { graph, updates: new Map([['nextW', 'w'], ['nextCount', 'count']]) }; // biome-ignore format: pairs
}
