import { expect, test } from 'vitest';
import { Builder } from '../ops/builder.js';
import { int } from './graph.js';
import { printGraph } from './print.js';
import { tensorFrom } from './tensor.js';

const zeros = (...dims: number[]) =>
  tensorFrom('float32', dims, new Array<number>(dims.reduce((p, q) => p * q, 1)).fill(0));

test('prints inputs, parameters, nodes with attributes and types, and outputs', () => {
  const b = new Builder();
  const image = b.input('image', 'float32', ['batch', 4]);
  const weight = b.constant(zeros(3, 4), 'fc1.weight');
  const bias = b.constant(zeros(3), 'fc1.bias');
  const hidden = b.op('Gemm', [image, weight, bias], { transB: int(1) }, { name: 'fc1' });
  const scores = b.reshape(b.mul(b.tanh(hidden), 0.1), [-1, 3, 1]);
  expect(printGraph(b.build('classifier', { scores, hidden }))).toBe(
    [
      'graph classifier',
      '  input image : float32[batch, 4]',
      '  constant fc1.weight : float32[3, 4]',
      '  constant fc1.bias : float32[3]',
      '  %0 = Gemm(image, fc1.weight, fc1.bias) {transB=1} : float32[batch, 3]  # fc1',
      '  %1 = Tanh(%0) : float32[batch, 3]',
      '  %2 = Mul(%1, 0.1) : float32[batch, 3]',
      '  %3 = Reshape(%2, [-1, 3, 1]) : float32[batch, 3, 1]',
      '  output scores = %3',
      '  output hidden = %0',
    ].join('\n'),
  );
});

test('prints several outputs, missing inputs, domains, unknown types and large constants', () => {
  const b = new Builder();
  const x = b.input('x', 'float32', [4]);
  const clipped = b.op('Clip', [x, undefined, b.scalar(6, 'float32')]);
  const parts = b.node('Split', [clipped, b.integers([1, 3])], { axis: int(0) }, { outputs: ['p', 'q'] });
  const table = b.add(x, b.constant(tensorFrom('float32', [3, 4], new Array<number>(12).fill(1))));
  const odd = b.op('my.ops.Odd', [table]);
  const graph = b.build('g', { p: parts[0] ?? x, q: parts[1] ?? x, odd });
  expect(printGraph(graph).split('\n')).toEqual([
    'graph g',
    '  input x : float32[4]',
    '  constant constant : float32[3, 4]',
    '  %0 = Clip(x, _, 6.0) : float32[4]',
    '  %1, %2 = Split(%0, [1, 3]) {axis=0} : float32[1], float32[3]',
    '  %3 = Add(x, constant) : float32[3, 4]',
    '  %4 = my.ops.Odd(%3) : unknown',
    '  output p = %1',
    '  output q = %2',
    '  output odd = %4',
  ]);
});

test('prints the bodies of loops below their node', () => {
  const b = new Builder();
  const x = b.input('x', 'float64', []);
  const { doubled } = b.loop(3, { doubled: x }, (inner, _, { doubled }) => ({ doubled: inner.mul(doubled, x) }));
  const lines = printGraph(b.build('outer', { doubled })).split('\n');
  expect(lines[2]).toBe('  %3 = Loop(3, true, x) {body=body} : float64[]');
  expect(lines.slice(3, 7)).toEqual([
    '    graph body',
    '      input iteration : int64[]',
    '      input condition : bool[]',
    '      input doubled : float64[]',
  ]);
  expect(lines).toContain('      %0 = Mul(doubled, x) : float64[]');
  expect(lines.at(-1)).toBe('  output doubled = %3');
});
