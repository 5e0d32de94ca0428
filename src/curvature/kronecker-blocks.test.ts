import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { exportedModels } from '../../test/support/outside.js';
import { loadModel } from '../api/load-save.js';
import { GraphError } from '../errors.js';
import type { Shape, Value } from '../graph/graph.js';
import { tensorFrom } from '../graph/tensor.js';
import { builtModel, type Model } from '../model/model.js';
import { charTransformer } from '../nn/char-transformer.js';
import { lenet } from '../nn/lenet.js';
import { resnet20 } from '../nn/resnet.js';
import { autoencoder, mlp } from '../nn/zoo.js';
import { whileReading } from '../onnx/decode/reader.js';
import { Builder } from '../ops/builder.js';
import { semantics } from '../ops/table.js';
import { kroneckerBlocks } from './kronecker-blocks.js';

/** `weight + bias: kind inputs × outputs`, with `ᵀ` where the weight is stored outputs first. */
function lines(model: Model): string[] {
  return kroneckerBlocks(model).blocks.map(({ kind, weight, bias, inputs, outputs, outputsFirst, uses }) => {
    const names = bias === undefined ? weight : `${weight} + ${bias}`;
    return `${names}: ${kind}${outputsFirst ? 'ᵀ' : ''} ${inputs} × ${outputs}${uses > 1 ? `, ${uses} uses` : ''}`;
  });
}

const reasons = (model: Model): Record<string, string> => Object.fromEntries(kroneckerBlocks(model).rest);

/** Every parameter is in one block or in the rest, and in no other. */
function expectComplete(model: Model): void {
  const { blocks, rest } = kroneckerBlocks(model);
  const named = blocks.flatMap(({ weight, bias }) => (bias === undefined ? [weight] : [weight, bias]));
  expect([...named, ...rest.keys()].sort()).toEqual([...model.parameters.keys()].sort());
}

const digitLayers = (names: readonly string[], transposed: string): string[] => {
  const [c1, c2, f1, f2, f3] = names.map((name) => `${name}.weight + ${name}.bias`);
  return [
    `${c1}: convolutionᵀ 25 × 6`,
    `${c2}: convolutionᵀ 150 × 16`,
    `${f1}: dense${transposed} 400 × 120`,
    `${f2}: dense${transposed} 120 × 84`,
    `${f3}: dense${transposed} 84 × 10`,
  ];
};

describe('the zoo', () => {
  test('mlp and autoencoder: every parameter in a dense block', () => {
    for (const model of [mlp({ seed: 1 }), autoencoder({ seed: 1 })]) {
      expectComplete(model);
      expect(kroneckerBlocks(model).rest.size).toBe(0);
      expect(kroneckerBlocks(model).blocks.every(({ kind }) => kind === 'dense')).toBe(true);
    }
  });

  test('lenet', () => {
    const model = lenet({ seed: 1 });
    expect(lines(model)).toEqual(digitLayers(['conv1', 'conv2', 'fc1', 'fc2', 'fc3'], ''));
    expect(reasons(model)).toEqual({});
  });

  test.each(['group', 'batch'] as const)('resnet20 with norm %s: all convolutions and normalizations', (norm) => {
    const model = resnet20({ seed: 1, norm });
    expectComplete(model);
    expect(reasons(model)).toEqual({});
    const isScale = (line: string) => line.includes('scale-and-shift');
    const scales = lines(model).filter(isScale);
    expect(scales).toHaveLength(21);
    expect(scales[0]).toBe('stem.norm.scale + stem.norm.shift: scale-and-shift 1 × 16');
    const table = lines(model).filter((line) => !isScale(line));
    // 1 + 3·3·2 convolutions of 3×3, 2 short cuts, 1 dense layer
    expect(table).toHaveLength(22);
    expect(table[0]).toBe('stem.weight: convolutionᵀ 27 × 16');
    expect(table).toContain('stage1.block2.conv1.weight: convolutionᵀ 144 × 16');
    expect(table).toContain('stage2.block1.conv1.weight: convolutionᵀ 144 × 32');
    expect(table).toContain('stage2.block1.shortcut.weight: convolutionᵀ 16 × 32');
    expect(table).toContain('stage3.block3.conv2.weight: convolutionᵀ 576 × 64');
    expect(table.at(-1)).toBe('head.weight + head.bias: dense 64 × 10');
  });

  test('char-transformer: all layers and tokens; positions by first order', () => {
    const model = charTransformer({ seed: 1, layers: 2, width: 16, heads: 2, vocabulary: 11, context: 8 });
    expectComplete(model);
    const norm = (name: string) => `${name}.scale + ${name}.shift: scale-and-shift 1 × 16`;
    const layer = (name: string) => [
      norm(`${name}.attention.norm`),
      ...['query', 'key', 'value', 'output'].map(
        (part) => `${name}.attention.${part}.weight + ${name}.attention.${part}.bias: dense 16 × 16`,
      ),
      norm(`${name}.feedforward.norm`),
      `${name}.feedforward.up.weight + ${name}.feedforward.up.bias: dense 16 × 64`,
      `${name}.feedforward.down.weight + ${name}.feedforward.down.bias: dense 64 × 16`,
    ];
    expect(lines(model)).toEqual([
      'token.weight: embedding 11 × 16',
      ...layer('layer1'),
      ...layer('layer2'),
      norm('norm'),
      'head.weight + head.bias: dense 16 × 11',
    ]);
    expect(reasons(model)).toEqual({ 'position.weight': 'read by Add, which is not a dense layer' });
  });
});

const file = (name: string) => loadModel(fileURLToPath(new URL(name, exportedModels)));

describe('models that PyTorch exported', () => {
  test('lenet', async () => {
    const model = await file('lenet.onnx');
    expect(lines(model)).toEqual(digitLayers(['c1', 'c2', 'f1', 'f2', 'f3'], 'ᵀ'));
    expect(reasons(model)).toEqual({});
  });

  test('mlp-relu', async () => {
    const model = await file('mlp-relu.onnx');
    expect(lines(model)).toEqual([
      'l.1.weight + l.1.bias: denseᵀ 784 × 128',
      'l.3.weight + l.3.bias: denseᵀ 128 × 64',
      'l.5.weight + l.5.bias: denseᵀ 64 × 10',
    ]);
    expect(reasons(model)).toEqual({});
  });

  test('resnet-groupnorm', async () => {
    const model = await file('resnet-groupnorm.onnx');
    expectComplete(model);
    expect(lines(model)).toEqual([
      'stem.weight: convolutionᵀ 9 × 8',
      'b1.c1.weight: convolutionᵀ 72 × 8',
      'b1.c2.weight: convolutionᵀ 72 × 8',
      'b2.c1.weight: convolutionᵀ 72 × 16',
      'b2.c2.weight: convolutionᵀ 144 × 16',
      'b2.sc.weight: convolutionᵀ 8 × 16',
      'b3.c1.weight: convolutionᵀ 144 × 32',
      'b3.c2.weight: convolutionᵀ 288 × 32',
      'b3.sc.weight: convolutionᵀ 16 × 32',
      'fc.weight + fc.bias: denseᵀ 32 × 10',
      'onnx::Mul_123 + onnx::Add_124: scale-and-shift 1 × 8',
      'onnx::Mul_127 + onnx::Add_128: scale-and-shift 1 × 16',
      'onnx::Mul_131 + onnx::Add_132: scale-and-shift 1 × 32',
      // The exporter stored these once with those before them, as they were equal.
      'onnx::Mul_125 + onnx::Add_126: scale-and-shift 1 × 8',
      'onnx::Mul_129 + onnx::Add_130: scale-and-shift 1 × 16',
      'onnx::Mul_133 + onnx::Add_134: scale-and-shift 1 × 32',
    ]);
    expect(reasons(model)).toEqual({});
  });

  test('gpt', async () => {
    const model = await file('gpt.onnx');
    expectComplete(model);
    const layer = (i: number, first: number, second: number) => [
      `onnx::MatMul_${first} + qkv.${i}.bias: dense 32 × 96`,
      `onnx::MatMul_${second} + pr.${i}.bias: dense 32 × 32`,
      `onnx::MatMul_${second + 1} + u.${i}.bias: dense 32 × 128`,
      `onnx::MatMul_${second + 2} + dn.${i}.bias: dense 128 × 32`,
    ];
    const tokens = 'te.weight: embedding 65 × 32';
    const norms = [0, 1, 2, 3, 4].map((i) => `ln.${i}.weight + ln.${i}.bias: scale-and-shift 1 × 32`);
    const expected = [
      tokens,
      ...norms,
      ...layer(0, 223, 242),
      ...layer(1, 245, 246),
      'onnx::MatMul_249: dense 32 × 65',
    ];
    expect(lines(model).sort()).toEqual(expected.sort());
    expect(reasons(model)).toEqual({ 'pe.weight': 'an embedding table at fixed positions' });
  });
});

const network = (shape: Shape, outputOf: (b: Builder, x: Value, weight: Value) => Value) => {
  const b = new Builder(undefined, whileReading(semantics));
  const weight = b.constant(tensorFrom('float32', [3, 2], [1, 2, 3, 4, 5, 6]), 'w');
  const output = outputOf(b, b.input('x', 'float32', shape), weight);
  return builtModel('network', b.build('network', { output }), new Map([['w', weight]]));
};

test('lengths and picture sizes may be symbolic, and are assumed so that the shapes fit together', () => {
  expect(lines(network(['batch', 'time', 3], (b, x, w) => b.matmul(x, w)))).toEqual(['w: dense 3 × 2']);
  const cut = network(['batch', 'time', 3], (b, x, w) =>
    b.add(
      b.matmul(x, w),
      b.pooled('mask', () => tensorFrom('float32', [4, 1], [0, 1, 2, 3])),
    ),
  );
  expect(lines(cut)).toEqual(['w: dense 3 × 2']);
});

test('an axis of size 1 in a batch of one example does not vanish', () => {
  const squeezed = network(['batch', 3, 1], (b, x, w) => b.gemm(b.op('Squeeze', [x]), w));
  expect(lines(squeezed)).toEqual(['w: dense 3 × 2']);
});

test('shapes that do not fit together at any size are refused', () => {
  const model = network(['batch', 'time', 4], (b, x, w) => b.matmul(x, w));
  expect(() => kroneckerBlocks(model)).toThrow(GraphError);
  expect(() => kroneckerBlocks(model)).toThrow('inner sizes 4 and 3');
});
