// Who reads a value: through copies, in bodies, once for each input.
import { expect, it } from 'vitest';
import { Builder } from '../ops/builder.js';
import { isNode, readersOf, seeThrough, usesBefore, usesIn } from './uses.js';

const b = new Builder();
const x = b.input('x', 'float32', [2]);
const copy = b.output(b.output(x));
const [inBranch] = b.branch(
  b.input('condition', 'bool', []),
  (inner) => [inner.exp(copy)],
  (inner) => [inner.neg(x)],
);
const graph = b.build('uses', { square: b.mul(x, copy), turned: b.reshape(copy, [1, 2]), inBranch: inBranch ?? x });
const uses = usesIn(graph);
const shown = (found: Readonly<ReturnType<typeof readersOf>>) =>
  found.map(({ node, index }) => `${node.op} ${index}`).sort();

it('finds the readers behind copies and in the bodies of nodes', () => {
  expect(shown(readersOf(x, uses))).toEqual(['Exp 0', 'Mul 0', 'Mul 1', 'Neg 0', 'Reshape 0']);
  expect(shown(readersOf(x, uses, () => false))).toEqual(['Identity 0', 'Mul 0', 'Neg 0']);
});

it('finds each node that reads a value on the way to another once', () => {
  const square = graph.outputs[0]?.value ?? x;
  expect(shown(usesBefore(square).get(x) ?? [])).toEqual(['Identity 0', 'Mul 0']);
  expect(shown(usesBefore(b.mul(x, x)).get(x) ?? [])).toEqual(['Mul 0']);
  expect(shown(usesBefore(inBranch ?? x).get(x) ?? [])).toEqual(['Identity 0', 'If -1']);
});

it('sees through the nodes that it is told to', () => {
  expect(seeThrough(copy)).toBe(x);
  const turned = graph.outputs[1]?.value ?? x;
  expect(seeThrough(turned)).toBe(turned);
  expect(seeThrough(turned, (node) => isNode(node, 'Identity', 'Reshape'))).toBe(x);
  expect(seeThrough(turned, () => false)).toBe(turned);
});
