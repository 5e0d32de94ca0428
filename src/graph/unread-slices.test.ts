import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { Builder } from '../ops/builder.js';
import { type Graph, type Node, subgraphs, type Value } from './graph.js';
import { tensorFrom } from './tensor.js';
import { withoutUnreadSlices } from './unread-slices.js';

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => engine.close());

/** Running sums of x, their squares and their exponentials. */
const sums = (b: Builder, x: Value) =>
  b.scan(
    { sum: b.filled([2], 0, 'float32') },
    { x },
    (inner, { sum }, slices) => {
      const next = inner.add(sum, slices.x);
      return { carried: { sum: next }, given: { squares: inner.square(next), exponentials: inner.exp(next) } };
    },
    true,
  );

const scansOf = ({ nodes }: Graph): Node[] =>
  nodes.flatMap((node) => [...(node.op === 'Scan' ? [node] : []), ...subgraphs(node).flatMap(scansOf)]);

it.each(['in the graph', 'in a branch'])('a Scan gives out what is read alone: %s', async (where) => {
  const b = new Builder();
  const x = b.input('x', 'float32', [3, 2]);
  const read = (inner: Builder): readonly Value[] => {
    const { carried, given } = sums(inner, x);
    return [carried.sum, inner.sum(given.exponentials, [0])];
  };
  const condition = b.greater(b.sum(x), 0);
  const zeros = (inner: Builder) => [0, 1].map(() => inner.mul(inner.gather(x, inner.scalar(0, 'int64')), 0));
  const [sum, exponentials] = where === 'in a branch' ? b.branch(condition, read, zeros) : read(b);
  const graph = b.build('sums', { sum: sum as Value, exponentials: exponentials as Value });
  const pruned = withoutUnreadSlices(graph);
  const [before, after] = [graph, pruned].map((each) => scansOf(each)[0]);
  expect(before?.outputs.length).toBe(3);
  expect(after?.outputs.length).toBe(2);
  expect(after && subgraphs(after)[0]?.nodes.map(({ op }) => op)).not.toContain('Mul');
  const feeds = { x: tensorFrom('float32', [3, 2], [1, 2, 3, 4, 5, 6]) };
  const [expected, found] = await Promise.all(
    [graph, pruned].map(async (each) => await (await engine.compile(each)).run(feeds)),
  );
  expect(found).toEqual(expected);
});
