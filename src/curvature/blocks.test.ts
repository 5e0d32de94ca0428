// The block finder on every way a dense layer is written in ONNX, and on what is none.
import { expect, test } from 'vitest';

import { float, int, type Value } from '../graph/graph.js';
import type { Model } from '../graph/model.js';
import { lossNamed } from '../losses/index.js';
import type { LossName } from '../losses/loss.js';
import { applyModel } from '../losses/objective.js';
import { autoencoder, mlp } from '../nn/zoo.js';
import { Builder } from '../ops/builder.js';
import { type DenseBlock, findBlocks } from './blocks.js';

type Tensors = Readonly<Record<string, Value>>;

type Form = (b: Builder, x: Value, p: Tensors) => Value;

/** A network on x: [4, 3] with a weight [3, 5], its transpose, and biases [5]. */
function tableOf(build: Form, extra: Record<string, readonly number[]> = {}) {
  const b = new Builder();
  const x = b.input('x', 'float32', [4, 3]);
  const shapes: Record<string, readonly number[]> = { w: [3, 5], v: [5, 3], c: [5], ...extra };
  const parameters = Object.fromEntries(
    Object.entries(shapes).map(([name, dims]) => [name, b.input(name, 'float32', dims)]),
  );
  const used = new Map(Object.entries(parameters));
  return { x, ...findBlocks(used, build(b, x, parameters)) };
}

const layer = ({ kind, weight, bias, inputs, outputs, outputsFirst }: DenseBlock) => ({
  kind,
  weight,
  bias,
  inputs,
  outputs,
  outputsFirst,
});
const plain = { kind: 'dense', weight: 'w', bias: 'c', inputs: 3, outputs: 5, outputsFirst: false } as const;
const turned = { ...plain, weight: 'v', outputsFirst: true } as const;
const get = (p: Tensors, name: string): Value => {
  const value = p[name];
  if (!value) throw new Error(`no parameter ${name}`);
  return value;
};

const forms: readonly [string, Form, object][] = [
  ['Gemm', (b, x, p) => b.gemm(x, get(p, 'w'), get(p, 'c')), plain],
  ['Gemm with transB', (b, x, p) => b.gemm(x, get(p, 'v'), get(p, 'c'), { transposeY: true }), turned],
  ['Gemm without bias', (b, x, p) => b.gemm(x, get(p, 'w')), { ...plain, bias: undefined }],
  ['MatMul', (b, x, p) => b.matmul(x, get(p, 'w')), { ...plain, bias: undefined }],
  ['MatMul and Add', (b, x, p) => b.add(b.matmul(x, get(p, 'w')), get(p, 'c')), plain],
  ['Add with the bias first', (b, x, p) => b.add(get(p, 'c'), b.matmul(x, get(p, 'w'))), plain],
  ['MatMul of the transpose', (b, x, p) => b.matmul(x, b.transpose(get(p, 'v'))), { ...turned, bias: undefined }],
  ['MatMul of the transpose and Add', (b, x, p) => b.add(b.matmul(x, b.transpose(get(p, 'v'))), get(p, 'c')), turned],
  [
    'Gemm with transB of the transpose',
    (b, x, p) => b.gemm(x, b.transpose(get(p, 'w')), get(p, 'c'), { transposeY: true }),
    plain,
  ],
  ['alpha and beta of 1', (b, x, p) => b.op('Gemm', [x, get(p, 'w'), get(p, 'c')], { alpha: float(1) }), plain],
  ['a sequence', (b, x, p) => b.add(b.matmul(b.unsqueeze(x, [1]), get(p, 'w')), get(p, 'c')), plain],
];

test.each(forms)('%s is a dense layer', (_name, build, expected) => {
  const { x, blocks, rest } = tableOf((b, input, p) => b.tanh(build(b, input, p)));
  expect(blocks.map(layer)).toEqual([expected]);
  const [block] = blocks;
  const { activations, preActivations } = block?.use ?? {};
  expect([activations, activations?.producer?.inputs[0]]).toContain(x); // the sequence's is x with an axis more
  expect(preActivations?.producer?.op).toMatch(/^(Gemm|MatMul)$/);
  const unused = ['w', 'v'].filter((name) => name !== block?.weight);
  for (const name of unused) expect(rest.get(name)).toBe('not used by the network');
  expect(rest.has('c')).toBe(block?.bias === undefined);
});

test('the bias stays apart where two layers share it', () => {
  const { blocks, rest } = tableOf((b, x, p) =>
    b.add(b.gemm(x, get(p, 'w'), get(p, 'c')), b.gemm(x, get(p, 'v'), get(p, 'c'), { transposeY: true })),
  );
  expect(blocks.map(({ weight, bias }) => [weight, bias])).toEqual([
    ['w', undefined],
    ['v', undefined],
  ]);
  expect([...rest]).toEqual([['c', 'a parameter of rank 1 outside a dense layer']]);
});

test('what is added to a product that something else reads too is no bias', () => {
  const { blocks, rest } = tableOf((b, x, p) => {
    const product = b.matmul(x, get(p, 'w'));
    return b.mul(product, b.add(product, get(p, 'c')));
  });
  expect(blocks.map(({ weight, bias }) => [weight, bias])).toEqual([['w', undefined]]);
  expect(rest.get('c')).toBe('a parameter of rank 1 outside a dense layer');
});

const refusals: readonly [string, Form, string][] = [
  [
    'tied weights',
    (b, x, p) => b.gemm(b.tanh(b.gemm(x, get(p, 'w'))), get(p, 'w'), undefined, { transposeY: true }),
    'used 2 times',
  ],
  [
    'weights tied through the transpose',
    (b, x, p) => b.matmul(b.tanh(b.matmul(x, get(p, 'w'))), b.transpose(get(p, 'w'))),
    'used 2 times',
  ],
  [
    'a transpose that is used twice',
    (b, x, p) => {
      const turnedWeight = b.transpose(get(p, 'w'));
      const y = b.gemm(x, turnedWeight, undefined, { transposeY: true });
      return b.matmul(y, turnedWeight);
    },
    'its transpose is used 2 times',
  ],
  [
    'a product from the left',
    (b, x, p) => b.matmul(b.transpose(get(p, 'w')), b.transpose(x)),
    'read by MatMul, which is not a dense layer',
  ],
  [
    'scaling',
    (b, x, p) => b.gemm(x, get(p, 'w'), undefined, { alpha: 0.5 }),
    'a Gemm with scaling or a transposed input',
  ],
  [
    'a scaled bias',
    (b, x, p) => b.gemm(x, get(p, 'w'), get(p, 'c'), { beta: 2 }),
    'a Gemm with scaling or a transposed input',
  ],
  [
    'a transposed input',
    (b, x, p) => b.op('Gemm', [b.transpose(x), get(p, 'w')], { transA: int(1) }),
    'a Gemm with scaling or a transposed input',
  ],
  ['a product with itself', (b, _x, p) => b.matmul(get(p, 's'), get(p, 's')), 'multiplied by itself'],
  [
    'an elementwise use',
    (b, x, p) => b.mul(b.gemm(x, get(p, 'v'), undefined, { transposeY: true }), b.sum(get(p, 'w'), [0])),
    'read by ReduceSum, which is not a dense layer',
  ],
];

test.each(refusals)('%s is no dense layer', (name, build, reason) => {
  const { blocks, rest } = tableOf(build, name === 'a product with itself' ? { s: [3, 3] } : {});
  const parameter = name === 'a product with itself' ? 's' : 'w';
  expect(blocks.map(({ weight }) => weight)).not.toContain(parameter);
  expect(rest.get(parameter)).toBe(reason);
});

test('parameters of other ranks have no block', () => {
  const { blocks, rest } = tableOf((b, x, p) => b.matmul(x, get(p, 'batched')), { batched: [2, 3, 5] });
  expect(blocks).toEqual([]);
  expect(rest.get('batched')).toBe('a parameter of rank 3 outside a dense layer');
});

function blocksOf(model: Model, rows: number, loss: LossName) {
  const b = new Builder();
  const parameters = new Map(
    [...model.parameters].map(([name, { dtype, dims }]) => [name, b.input(name, dtype, dims)]),
  );
  const input = b.input('x', 'float32', [rows, 784]);
  return findBlocks(parameters, applyModel(b, model, lossNamed(loss), parameters, input).output);
}

test.each([
  ['autoencoder', autoencoder({ seed: 1 }), [784, 1000, 500, 250, 30, 250, 500, 1000, 784]],
  ['mlp', mlp({ seed: 1 }), [784, 256, 128, 10]],
] as const)('all of the %s has blocks', (name, model, sizes) => {
  const loss = name === 'mlp' ? 'softmax-cross-entropy' : 'sigmoid-cross-entropy';
  const rows = 7;
  const { blocks, rest } = blocksOf(model, rows, loss);
  expect(blocks.map(({ inputs, outputs }) => [inputs, outputs])).toEqual(
    sizes.slice(1).map((outputs, i) => [sizes[i], outputs]),
  );
  expect(rest.size).toBe(0);
  expect(new Set(blocks.flatMap(({ weight, bias }) => [weight, bias]))).toEqual(new Set(model.parameters.keys()));
  for (const { use, inputs, outputs } of blocks) {
    expect(use.activations.dims).toEqual([rows, inputs]);
    expect(use.preActivations.dims).toEqual([rows, outputs]);
  }
});
