// A program that takes a while, for tests of what happens meanwhile.
import type { Graph } from '../../src/graph/graph.js';
import { tensor } from '../../src/graph/tensor.js';
import { Builder } from '../../src/ops/builder.js';

/** A chain of matrix products that takes a while; its result depends on every one. */
export function slow(repeats: number): Graph {
  const b = new Builder();
  const x = b.input('x', 'float32', [600, 600]);
  const { y } = b.loop(repeats, { y: x }, (inner, _, { y }) => ({ y: inner.mul(inner.matmul(y, x), 0.01) }));
  return b.build('slow', { y: b.sum(y) });
}

function pseudoRandom(length: number): Float32Array {
  let state = 12345;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state / 2 ** 32 - 0.5;
  });
}

/** Its input. */
export const square = () => tensor('float32', [600, 600], pseudoRandom(360_000));
