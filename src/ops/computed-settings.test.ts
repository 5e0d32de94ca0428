// Operators whose settings are computed, though their types are declared: gradients know them or are refused, never guessed.
import { expect, test } from 'vitest';
import { runner } from '../../test/support/runner.js';
import { gradients } from '../autodiff/gradients.js';
import type { Shape, Value } from '../graph/graph.js';
import { tensorFrom } from '../graph/tensor.js';
import { Builder } from './builder.js';

function computed(b: Builder, op: string, x: Value, settings: readonly string[], shape: Shape): Value {
  const inputs = settings.map((name) => b.input(name, 'int64', [1]));
  const [y] = b.node(op, [x, ...inputs], {}, { types: [{ dtype: x.dtype, shape }] });
  return y ?? x;
}

test.each([
  ['Slice', ['starts', 'ends'], [4, 1], 'its limits are only known when the program runs'],
  ['Tile', ['repeats'], [8, 3], 'its repeats are only known when the program runs'],
  ['Pad', ['pads'], [8, 3], 'its pads are only known when the program runs'],
] as const)('%s', (op, settings, shape, message) => {
  const b = new Builder();
  const x = b.input('x', 'float32', [4, 3]);
  const y = computed(b, op, x, settings, shape);
  expect(() => gradients(b, b.sum(b.square(y)), [x])).toThrow(`a ${op} node cannot be differentiated: ${message}`);
});

test.each([
  ['Squeeze', [3, 1], [3], 1],
  ['Unsqueeze', [3], [3, 1], 1],
] as const)('%s', async (op, from, to, axis) => {
  const b = new Builder();
  const x = b.input('x', 'float32', from);
  const y = computed(b, op, x, ['axes'], to);
  const [gradient = x] = gradients(b, b.sum(b.mul(y, b.square(y))), [x]);
  const program = await runner(b.build('test', { gradient }));
  const feeds = { x: tensorFrom('float32', from, [1, 2, 3]), axes: tensorFrom('int64', [1], [axis]) };
  expect(await program.run(feeds)).toEqual({ gradient: tensorFrom('float32', from, [3, 12, 27]) });
  await program.release();
});
