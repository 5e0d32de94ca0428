// What inspect says about files: layers and blocks, and what is held fixed, with the reason.
import { describe, expect, it } from 'vitest';
import { type ModelSpec, modelBytes, ramp } from '../../test/support/onnx-models.js';
import { tensorFrom } from '../graph/tensor.js';
import { modelFromBytes } from '../model/file-model.js';
import { mlp } from '../nn/zoo.js';
import { semantics } from '../ops/table.js';
import { describeModel } from './inspect.js';

/** A classifier that normalizes its pixels by stored buffers. */
const classifier: ModelSpec = {
  ...{ opset: 17, outputs: ['y'], inputs: { pixels: ['float32', ['batch', 3, 4, 4]] } },
  initializers: {
    mean: ramp([3, 1, 1]),
    std: ramp([3, 1, 1]),
    'conv.weight': ramp([4, 3, 3, 3]),
    'fc.weight': ramp([2, 4]),
    'fc.bias': ramp([2]),
    'onnx::Mul_7': tensorFrom('float32', [], [0.5]),
    axes: tensorFrom('int64', [2], [2, 3]),
  },
  nodes: [
    { op: 'Sub', inputs: ['pixels', 'mean'], outputs: ['centred'] },
    { op: 'Div', inputs: ['centred', 'std'], outputs: ['x'] },
    { op: 'Conv', inputs: ['x', 'conv.weight'], outputs: ['c'] },
    { op: 'Mul', inputs: ['c', 'onnx::Mul_7'], outputs: ['half'] },
    { op: 'ReduceMean', inputs: ['half'], outputs: ['pooled'], attributes: { axes: [2, 3], keepdims: 0 } },
    { op: 'Gemm', inputs: ['pooled', 'fc.weight', 'fc.bias'], outputs: ['y'], attributes: { transB: 1 } },
  ],
};

describe('inspect', () => {
  it('says what a file holds fixed, and why', () => {
    const lines = describeModel(modelFromBytes(modelBytes(classifier), semantics), 128);
    expect(lines.slice(lines.indexOf('Held fixed, as the file stores it:') + 1)).toEqual([
      '  onnx::Mul_7: a single number without the name of a module: a constant of a formula',
      "  mean, std: applied to the input 'pixels' itself, as a normalization of the data is",
    ]);
    expect(lines.join('\n')).toMatch(/3 parameter tensors, 118 parameters/);
  });

  it('says what several layers read, and so train as one', () => {
    const [sub, div, conv, , ...rest] = classifier.nodes;
    const normalization = ['gain', 'shift', 'm', 'v'];
    const norm = (input: string, output: string) => ({
      ...{ op: 'BatchNormalization', name: `/${output}`, inputs: [input, ...normalization], outputs: [output] },
    });
    const stored = Object.fromEntries(normalization.map((name) => [name, ramp([4])]));
    const spec: ModelSpec = {
      ...classifier,
      initializers: { ...classifier.initializers, ...stored },
      nodes: [sub, div, conv, norm('c', 'bn1'), norm('bn1', 'half'), ...rest].flatMap((node) => node ?? []),
    };
    const model = modelFromBytes(modelBytes(spec), semantics);
    expect([...model.statistics.keys()]).toEqual(['m', 'v', 'm_1', 'v_1']);
    const lines = describeModel(model, 128);
    expect(lines.slice(lines.indexOf('Stored once for several layers, and trained as one:')).slice(1, 3)).toEqual([
      '  gain: read by /bn1, /half',
      '  shift: read by /bn1, /half',
    ]);
  });

  it('fits a narrow terminal: names on lines of their own', () => {
    const model = modelFromBytes(modelBytes(classifier), semantics);
    const table = (width: number) => {
      const lines = describeModel(model, 128, width);
      return lines.slice(lines.findIndex((line) => line.startsWith('Kronecker block'))).slice(0, 5);
    };
    expect(table(80).slice(0, 5)).toEqual([
      'Kronecker block',
      '    layer        size    cgfac keeps (R = 128)  cgfac memory  kfac memory',
      'conv.weight',
      '    convolution  27 × 4  27×27 ⊗ 4×4                 2.9 KiB      5.8 KiB',
      'fc.weight + bias',
    ]);
    expect(table(120)[2]).toMatch(/^fc\.weight \+ bias +dense +5 × 2/);
  });

  it('counts the groups of a convolution', () => {
    const [sub, div, conv, ...rest] = classifier.nodes;
    const spec: ModelSpec = {
      ...classifier,
      initializers: { ...classifier.initializers, 'conv.weight': ramp([6, 1, 3, 3]), 'fc.weight': ramp([2, 6]) },
      nodes: [sub, div, conv && { ...conv, attributes: { group: 3 } }, ...rest].flatMap((node) => node ?? []),
    };
    const lines = describeModel(modelFromBytes(modelBytes(spec), semantics), 8);
    const line = lines.find((each) => each.startsWith('conv.weight'));
    // 4 · 3 · (8·9 + 2·2) bytes of rows and a factor; 8 · 3 · (9² + 2²) of factors and inverses
    expect(line?.split(/ {2,}/)).toEqual([
      ...['conv.weight', 'depthwise convolution', '3 of 9 × 2', '3 of 8×9 rows ⊗ 2×2', '912 B', '2 KiB'],
    ]);
  });

  it('says nothing of it where nothing is', () => {
    expect(describeModel(mlp({ seed: 1, sizes: [6, 5, 4] }), 128).at(-1)).toBe('Every parameter is in a block.');
  });
});
