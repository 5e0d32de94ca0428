// The block finder on every way a dense layer is written in ONNX, and on what is none.
import { expect, test } from 'vitest';

import { float, int, type Value } from '../graph/graph.js';
import { type LossWord, lossOf } from '../losses/index.js';
import { applyModel } from '../model/apply.js';
import type { Model } from '../model/model.js';
import { autoencoder, mlp } from '../nn/zoo.js';
import { Builder } from '../ops/builder.js';
import { findBlocks } from './blocks.js';
import type { KroneckerBlock } from './kronecker-block.js';

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

const layer = ({ kind, weight, bias, inputs, outputs, outputsFirst }: KroneckerBlock) => ({
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
  const { activations, preActivations } = block?.uses[0] ?? {};
  expect(block?.uses).toHaveLength(1);
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

// Networks on pictures [2, 4, 6, 6], tokens, and normalized rows; `p` are parameters of the given shapes.
const picture = (b: Builder) => b.input('picture', 'float32', [2, 4, 6, 6]);
const tokens = (b: Builder) => b.input('tokens', 'int64', [4]);

test('a convolution is a block of its patches', () => {
  const { blocks, rest } = tableOf((b, _x, p) => b.op('Conv', [picture(b), get(p, 'k'), get(p, 'kb')]), {
    k: [8, 4, 3, 2],
    kb: [8],
  });
  expect(blocks.map(layer)).toEqual([
    { kind: 'convolution', weight: 'k', bias: 'kb', inputs: 24, outputs: 8, outputsFirst: true },
  ]);
  expect(rest.has('kb')).toBe(false);
});

const grouped: readonly [string, readonly number[], number, object, string][] = [
  ['groups', [8, 2, 3, 2], 2, { groups: 2, inputs: 12, outputs: 4 }, 'convolution, 2 groups'],
  ['depthwise', [8, 1, 3, 3], 4, { groups: 4, inputs: 9, outputs: 2 }, 'depthwise convolution'],
];

test.each(grouped)('a convolution is a block of as many groups: %s', (_name, dims, count, size, description) => {
  const { blocks, rest } = tableOf(
    (b, _x, p) => b.op('Conv', [picture(b), get(p, 'k'), get(p, 'kb')], { group: int(count) }),
    { k: dims, kb: [8] },
  );
  expect(blocks).toMatchObject([{ ...size, weight: 'k', bias: 'kb', outputsFirst: true, description }]);
  expect(rest.has('kb')).toBe(false);
});

test.each([1, 2])('a transposed convolution of %d groups is a block, and its bias is one', (count) => {
  const { blocks, rest } = tableOf(
    (b, _x, p) => b.op('ConvTranspose', [picture(b), get(p, 'k'), get(p, 'kb')], { group: int(count) }),
    { k: [4, 3, 3, 2], kb: [3 * count] },
  );
  expect(blocks).toMatchObject([
    { kind: 'transposed convolution', weight: 'k', bias: undefined, groups: count, inputs: 4 / count, outputs: 18 },
    { kind: 'shift', weight: 'kb', bias: undefined, inputs: 1, outputs: 3 * count },
  ]);
  expect([rest.has('k'), rest.has('kb')]).toEqual([false, false]);
});

test('a kernel that convolves and is transposed, as in an autoencoder, is one block', () => {
  const { blocks } = tableOf(
    (b, _x, p) => b.op('ConvTranspose', [b.op('Conv', [picture(b), get(p, 'k')]), get(p, 'k')]),
    { k: [8, 4, 3, 3] },
  );
  const { uses, ...block } = blocks[0] ?? {};
  expect({ ...block, kind: blocks[0]?.kind }).toMatchObject({ kind: 'tied', weight: 'k', inputs: 8, outputs: 36 });
  expect(uses?.map(({ transposed }) => transposed).sort()).toEqual([false, true]);
});

test('an embedding is a block of the tokens’ frequencies', () => {
  const { blocks, rest } = tableOf((b, _x, p) => b.add(b.gather(get(p, 'q'), tokens(b)), get(p, 'qc')), {
    q: [9, 3],
    qc: [3],
  });
  const expected = { kind: 'embedding', weight: 'q', bias: undefined, inputs: 9, outputs: 3, outputsFirst: false };
  expect(blocks.map(layer)).toEqual([expected]);
  expect(rest.has('qc')).toBe(true);
});

test('a weight used twice, through a copy, is one block of two uses with their common bias', () => {
  const { blocks, rest } = tableOf(
    (b, x, p) => {
      const copy = (name: string) => b.op('Identity', [get(p, name)], {}, { fresh: true });
      return b.gemm(b.tanh(b.gemm(x, get(p, 's'), get(p, 'sc'))), copy('s'), copy('sc'));
    },
    { s: [3, 3], sc: [3] },
  );
  expect(blocks.map(({ weight, bias, uses }) => [weight, bias, uses.length])).toEqual([['s', 'sc', 2]]);
  expect(rest.has('sc')).toBe(false);
});

test('two uses with biases of their own: the biases stay apart', () => {
  const { blocks, rest } = tableOf(
    (b, x, p) => b.gemm(b.gemm(x, get(p, 's'), get(p, 's1')), get(p, 's'), get(p, 's2')),
    { s: [3, 3], s1: [3], s2: [3] },
  );
  expect(blocks.map(({ weight, bias, uses }) => [weight, bias, uses.length])).toEqual([['s', undefined, 2]]);
  expect([rest.has('s1'), rest.has('s2')]).toEqual([true, true]);
});

/** Layer normalization as exporters spell it out. */
function normalized(b: Builder, x: Value): Value {
  const centred = b.sub(x, b.mean(x, [1], true));
  return b.div(centred, b.sqrt(b.add(b.mean(b.square(centred), [1], true), 1e-5)));
}

/** Group normalization as exporters spell it out, on `[2, 4, 6, 6]`. */
function groupNormalized(b: Builder): Value {
  const grouped = b.reshape(picture(b), [2, 2, 72]);
  const parts = ['one', 'zero'].map((name) => b.input(name, 'float32', [2]));
  return b.reshape(b.op('InstanceNormalization', [grouped, ...parts]), [2, 4, 6, 6]);
}

const scales: readonly [string, readonly number[], Form, number, readonly [number, number], boolean][] = [
  ['a layer norm', [3], (b, x, p) => b.op('LayerNormalization', [x, get(p, 'q'), get(p, 'r')]), 3, [1, 2], true],
  ['a layer norm without shift', [3], (b, x, p) => b.op('LayerNormalization', [x, get(p, 'q')]), 3, [1, 2], false],
  [
    'a layer norm of several axes',
    [6, 6],
    (b, _x, p) => b.op('LayerNormalization', [picture(b), get(p, 'q'), get(p, 'r')], { axis: int(2) }),
    36,
    [2, 4],
    true,
  ],
  [
    'a group norm',
    [4],
    (b, _x, p) => b.op('GroupNormalization', [picture(b), get(p, 'q'), get(p, 'r')], { num_groups: int(2) }),
    4,
    [1, 2],
    true,
  ],
  [
    'a batch norm',
    [4],
    (b, _x, p) => {
      const averages = ['mean', 'variance'].map((name) => b.input(name, 'float32', [4]));
      return b.op('BatchNormalization', [picture(b), get(p, 'q'), get(p, 'r'), ...averages]);
    },
    4,
    [1, 2],
    true,
  ],
  [
    'a layer norm spelled out',
    [3],
    (b, x, p) => b.add(b.mul(normalized(b, x), get(p, 'q')), get(p, 'r')),
    3,
    [1, 2],
    true,
  ],
  [
    'a root mean square norm spelled out',
    [3],
    (b, x, p) => {
      const root = b.sqrt(b.add(b.mean(b.square(x), [1], true), 1e-5));
      return b.mul(get(p, 'q'), b.mul(x, b.op('Reciprocal', [root])));
    },
    3,
    [1, 2],
    false,
  ],
  [
    'a group norm spelled out',
    [4, 1, 1],
    (b, _x, p) => b.add(b.mul(groupNormalized(b), get(p, 'q')), get(p, 'r')),
    4,
    [1, 2],
    true,
  ],
];

test.each(scales)('%s: scale and shift are a block', (_name, dims, build, outputs, outputAxes, shifted) => {
  const { blocks, rest } = tableOf(build, { q: dims, r: dims });
  const expected = { kind: 'scale-and-shift', weight: 'q', bias: shifted ? 'r' : undefined, inputs: 1, outputs };
  expect(blocks).toMatchObject([{ ...expected, outputsFirst: false, uses: [{ outputAxes }] }]);
  expect(rest.has('r')).toBe(!shifted);
});

const turnedUses: readonly [string, Form, object][] = [
  [
    'tied weights',
    (b, x, p) => b.gemm(b.tanh(b.gemm(x, get(p, 'q'), get(p, 'r'))), get(p, 'q'), undefined, { transposeY: true }),
    { kind: 'dense', outputsFirst: false, uses: [{ transposed: false }, { transposed: true }] },
  ],
  [
    'a transpose that is used twice',
    (b, x, p) => {
      const turnedWeight = b.transpose(get(p, 'q'));
      return b.matmul(b.gemm(x, turnedWeight, get(p, 'r'), { transposeY: true }), turnedWeight);
    },
    { kind: 'dense', outputsFirst: false, uses: [{ transposed: false }, { transposed: true }] },
  ],
  [
    'an embedding tied to the last layer',
    (b, _x, p) => b.add(b.matmul(b.gather(get(p, 'q'), tokens(b)), b.transpose(get(p, 'q'))), get(p, 't')),
    {
      kind: 'tied',
      outputsFirst: false,
      uses: [
        { layer: { kind: 'embedding' }, transposed: false },
        { layer: { kind: 'dense' }, transposed: true },
      ],
    },
  ],
];

test.each(turnedUses)('%s: a block without the biases', (_name, build, expected) => {
  const { blocks, rest } = tableOf(build, { q: [3, 5], r: [5], t: [3] });
  const [block, ...others] = blocks;
  expect(others).toEqual([]);
  // Uses come in the order in which the network is walked, from its end.
  const uses = [...(block?.uses ?? [])].sort((x, y) => Number(x.transposed) - Number(y.transposed));
  expect({ ...block, kind: block?.kind, uses }).toMatchObject({
    weight: 'q',
    bias: undefined,
    inputs: 3,
    outputs: 5,
    ...expected,
  });
  expect([rest.has('r'), rest.has('t')]).toEqual([true, true]);
});

const lonelyShift = 'the shift of a normalization layer without a trained scale';
const firstOrder: readonly [string, readonly number[], Form, string][] = [
  [
    'the bias of a fixed convolution',
    [8],
    (b, _x, p) => b.op('Conv', [picture(b), b.input('fixed', 'float32', [8, 2, 3, 3]), get(p, 'q')], { group: int(2) }),
    'the bias of a convolution without a block',
  ],
  [
    'an embedding of positions',
    [9, 3],
    (b, x, p) => b.add(x, b.gather(get(p, 'q'), b.integers([0, 1, 2, 3]))),
    'an embedding table at fixed positions',
  ],
  ['columns by number', [9, 3], (b, _x, p) => b.gather(get(p, 'q'), tokens(b), 1), 'read by Gather'],
  [
    'the shift of a layer norm with a fixed scale',
    [3],
    (b, x, p) => b.op('LayerNormalization', [x, b.input('scale', 'float32', [3]), get(p, 'q')]),
    lonelyShift,
  ],
  [
    'the shift of a layer norm with a fixed scale, spelled out',
    [3],
    (b, x, p) => b.add(b.mul(normalized(b, x), b.input('scale', 'float32', [3])), get(p, 'q')),
    lonelyShift,
  ],
  [
    'one scale for all features of a layer norm spelled out',
    [1],
    (b, x, p) => b.mul(normalized(b, x), get(p, 'q')),
    'a scale that is not one number for each feature',
  ],
  [
    'the shift of a plain product',
    [3],
    (b, x, p) => b.add(b.mul(x, b.input('scale', 'float32', [3])), get(p, 'q')),
    'a parameter of rank 1 outside a dense layer',
  ],
];

test.each(firstOrder)('%s is left to first order', (_name, dims, build, reason) => {
  const { blocks, rest } = tableOf(build, { q: dims });
  expect(blocks).toEqual([]);
  expect(rest.get('q')).toBe(reason);
});

test('parameters of other ranks have no block', () => {
  const { blocks, rest } = tableOf((b, x, p) => b.matmul(x, get(p, 'batched')), { batched: [2, 3, 5] });
  expect(blocks).toEqual([]);
  expect(rest.get('batched')).toBe('a parameter of rank 3 outside a dense layer');
});

function blocksOf(model: Model, rows: number, loss: LossWord) {
  const b = new Builder();
  const parameters = new Map(
    [...model.parameters].map(([name, { dtype, dims }]) => [name, b.input(name, dtype, dims)]),
  );
  const input = b.input('x', 'float32', [rows, 784]);
  const prediction = applyModel(b, model, parameters, input);
  return findBlocks(parameters, lossOf(loss).contained?.(b, prediction) ?? prediction);
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
  for (const { uses, inputs, outputs } of blocks) {
    expect(uses.map((use) => use.activations.dims)).toEqual([[rows, inputs]]);
    expect(uses.map((use) => use.preActivations.dims)).toEqual([[rows, outputs]]);
  }
});
