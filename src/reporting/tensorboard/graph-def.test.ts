import { expect, it } from 'vitest';
import { decodeMessage } from '../../../test/support/event-files.js';
import { float, ints, text } from '../../graph/graph.js';
import type { Model } from '../../model/model.js';
import { charTransformer } from '../../nn/char-transformer.js';
import { lenet } from '../../nn/lenet.js';
import { Builder } from '../../ops/builder.js';
import { encodeGraphDef } from './graph-def.js';

interface NodeJson {
  readonly name: string;
  readonly op: string;
  readonly input?: readonly string[];
  readonly attr?: Readonly<Record<string, unknown>>;
}

const decoded = (bytes: Uint8Array): NodeJson[] =>
  (decodeMessage('tensorboard.GraphDef', bytes) as { node: NodeJson[] }).node;

const named = ({ parameters, statistics }: Model) =>
  new Map([...parameters, ...statistics].map(([name, value]) => [value, name]));

it.each([lenet({ seed: 1 }), charTransformer({ vocabulary: 20, seed: 1 })])('draws $name', (model) => {
  const nodes = decoded(encodeGraphDef(model.graph, named(model)));
  const names = nodes.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  // TensorFlow's rule for names.
  for (const name of names) expect(name).toMatch(/^[A-Za-z0-9.][A-Za-z0-9_>./\\-]*$/);
  for (const { input = [] } of nodes) for (const name of input) expect(names).toContain(name.replace(/:\d+$/, ''));
  const parameters = nodes.filter(({ op }) => op === 'Parameter').map(({ name }) => name);
  expect(parameters.sort()).toEqual([...model.parameters.keys()].map((name) => name.replaceAll('.', '/')).sort());
  expect(nodes.filter(({ op }) => op === 'Placeholder')).toHaveLength(model.graph.inputs.length);
});

it('gives types, shapes and attributes', () => {
  const b = new Builder();
  const x = b.input('x', 'float32', ['batch', 3]);
  const attributes = { axes: ints([0, 1]), alpha: float(0.5), mode: text('linear') };
  const nodes = decoded(encodeGraphDef(b.build('g', { y: b.op('LeakyRelu', [x], { alpha: float(0.5) }) }), new Map()));
  expect(nodes.map(({ name, op, input }) => [name, op, input])).toEqual([
    ['x', 'Placeholder', undefined],
    ['LeakyRelu', 'LeakyRelu', ['x']],
    ['output/y', 'Identity', ['LeakyRelu']],
  ]);
  const shape = { dim: [{ size: '-1', name: 'batch' }, { size: '3' }] };
  expect(nodes[1]?.attr).toEqual({
    alpha: { f: 0.5 },
    dtype: { type: 'DT_FLOAT' },
    _output_shapes: { list: { shape: [shape] } },
  });
  const reshaped = { name: 'n', op: 'Any', domain: '', inputs: [x], outputs: [], attributes };
  const [, any] = decoded(encodeGraphDef({ name: 'g', inputs: [x], outputs: [], nodes: [reshaped] }, new Map()));
  expect(any?.attr).toMatchObject({ axes: { list: { i: ['0', '1'] } }, mode: { s: btoa('linear') } });
});
