// Which of a file's tensors are trained, by what they are used for.
import { describe, expect, it } from 'vitest';
import { type ModelSpec, modelBytes, type NodeSpec, ramp } from '../../test/support/onnx-models.js';
import { type TensorData, tensorFrom } from '../graph/tensor.js';
import { semantics } from '../ops/table.js';
import { modelFromBytes } from './file-model.js';

const scalar = (value: number) => tensorFrom('float32', [], [value]);

function classified(initializers: Record<string, TensorData>, nodes: readonly NodeSpec[]) {
  const spec: ModelSpec = {
    opset: 17,
    inputs: { x: ['float32', ['batch', 4]] },
    initializers,
    nodes,
    outputs: nodes.at(-1)?.outputs ?? [],
  };
  const { parameters, statistics, untrained } = modelFromBytes(modelBytes(spec), semantics);
  return {
    trained: [...parameters.keys()],
    statistics: [...statistics.keys()],
    untrained: Object.fromEntries(untrained),
  };
}

const add = (...inputs: string[]): NodeSpec => ({ op: 'Add', inputs, outputs: ['y'] });

describe('tensors of a file', () => {
  it('are trained where they are weights, biases and embeddings', () => {
    const { trained } = classified({ 'fc.weight': ramp([4, 3]), 'onnx::Add_7': ramp([3]), slope: ramp([1]) }, [
      { op: 'MatMul', inputs: ['x', 'fc.weight'], outputs: ['h'] },
      { op: 'Add', inputs: ['h', 'onnx::Add_7'], outputs: ['z'] },
      { op: 'PRelu', inputs: ['z', 'slope'], outputs: ['y'] },
    ]);
    expect(trained).toEqual(['fc.weight', 'onnx::Add_7', 'slope']);
  });

  it('are statistics where batch normalization reads them as running averages, through Identity nodes too', () => {
    const vectors = { 'bn.weight': ramp([4]), 'bn.bias': ramp([4]), 'bn.mean': ramp([4]), 'bn.var': ramp([4]) };
    const { trained, statistics } = classified(vectors, [
      { op: 'Identity', inputs: ['bn.mean'], outputs: ['other.mean'] },
      { op: 'BatchNormalization', inputs: ['x', 'bn.weight', 'bn.bias', 'other.mean', 'bn.var'], outputs: ['y'] },
    ]);
    expect(trained).toEqual(['bn.weight', 'bn.bias']);
    expect(statistics).toEqual(['bn.mean', 'bn.var']);
  });

  it.each([
    ['a limit of Clip', { low: scalar(0) }, { op: 'Clip', inputs: ['x', 'low'], outputs: ['y'] }, /setting of Clip/],
    ['an exponent', { two: scalar(2) }, { op: 'Pow', inputs: ['x', 'two'], outputs: ['y'] }, /setting of Pow/],
    ['√2 of a formula', { 'onnx::Div_12': scalar(Math.SQRT2) }, add('x', 'onnx::Div_12'), /constant of a formula/],
    [
      'the largest number of the type, as a mask',
      { val_5: scalar(-3.4028234663852886e38) },
      { op: 'Expand', inputs: ['val_5', 'x'], outputs: ['y'] },
      /infinite numbers, as masks do/,
    ],
    [
      'a number that fills a tensor',
      { val_5: scalar(0.5) },
      { op: 'Expand', inputs: ['val_5', 'x'], outputs: ['y'] },
      /constant of a formula/,
    ],
    [
      'the scale and the shift of a normalization that has none',
      { val_2: tensorFrom('float32', [4], [1, 1, 1, 1]), val_3: tensorFrom('float32', [4], [0, 0, 0, 0]) },
      { op: 'InstanceNormalization', inputs: ['x', 'val_2', 'val_3'], outputs: ['y'] },
      /the scale 1 or the shift 0 of a normalization/,
    ],
    [
      'the frequencies of a rotary embedding',
      { 'model.rotary_emb.inv_freq': ramp([4]) },
      { op: 'Mul', inputs: ['x', 'model.rotary_emb.inv_freq'], outputs: ['y'] },
      /table of a rotary embedding/,
    ],
    ['a lifted constant', { val_3: scalar(0.5) }, add('x', 'val_3'), /constant of a formula/],
    [
      'a mask',
      { mask: tensorFrom('float32', [4], [0, 0, -Infinity, -Infinity]) },
      add('x', 'mask'),
      /infinite numbers, as masks do/,
    ],
    [
      'integers',
      { ids: tensorFrom('int64', [1], [0]) },
      { op: 'Gather', inputs: ['x', 'ids'], outputs: ['y'] },
      /type int64/,
    ],
    ['what no node reads', { left: ramp([4]) }, add('x', 'x'), /no node reads it/],
  ] as const)('are not trained where they are %s', (_, initializers, node, reason) => {
    const { trained, untrained } = classified({ ...initializers } as Record<string, TensorData>, [node]);
    expect(trained).toEqual([]);
    expect(Object.keys(untrained)).toEqual(Object.keys(initializers));
    for (const given of Object.values(untrained)) expect(given).toMatch(reason);
  });

  it('are trained where they are a layer under a name that the exporter made up', () => {
    const ones = tensorFrom('float32', [4], [1, 1, 1, 1]);
    const { trained } = classified(
      { 'onnx::PRelu_30': scalar(0.25), 'onnx::MatMul_31': ramp([1, 1]), 'norm.weight': ones },
      [
        { op: 'PRelu', inputs: ['x', 'onnx::PRelu_30'], outputs: ['h'] },
        { op: 'MatMul', inputs: ['h', 'onnx::MatMul_31'], outputs: ['z'] },
        { op: 'LayerNormalization', inputs: ['z', 'norm.weight'], outputs: ['y'] },
      ],
    );
    expect(trained).toEqual(['onnx::PRelu_30', 'onnx::MatMul_31', 'norm.weight']);
  });

  it('are trained where a single number has the name of a module', () => {
    expect(
      classified({ logit_scale: scalar(2.6) }, [{ op: 'Mul', inputs: ['x', 'logit_scale'], outputs: ['y'] }]).trained,
    ).toEqual(['logit_scale']);
  });

  describe('applied to the input itself', () => {
    const channels = (...dims: number[]) => tensorFrom('float32', dims, [0.485, 0.456, 0.406]);
    const fixed = (initializers: Record<string, TensorData>, nodes: readonly NodeSpec[]) => {
      const conv: NodeSpec = { op: 'Conv', inputs: [nodes.at(-1)?.outputs[0] ?? '', 'w'], outputs: ['y'] };
      const spec: ModelSpec = {
        ...{ opset: 17, outputs: ['y'], inputs: { pixels: ['float32', ['batch', 3, 4, 4]] } },
        initializers: { ...initializers, w: ramp([2, 3, 1, 1]) },
        nodes: [...nodes, conv],
      };
      const { parameters, untrained } = modelFromBytes(modelBytes(spec), semantics);
      for (const reason of untrained.values()) {
        expect(reason).toMatch(/applied to the input 'pixels' itself|type int64|constant of a formula/);
      }
      expect([...parameters.keys(), ...untrained.keys()].sort()).toEqual([...Object.keys(initializers), 'w'].sort());
      return [...parameters.keys()];
    };

    it('are a normalization, whatever the exporter made of it, and not trained', () => {
      expect(
        fixed({ mean: channels(1, 3, 1, 1), std: channels(3, 1, 1) }, [
          { op: 'Sub', inputs: ['pixels', 'mean'], outputs: ['centred'] },
          { op: 'Div', inputs: ['centred', 'std'], outputs: ['x'] },
        ]),
      ).toEqual(['w']);
      expect(
        fixed(
          { 'preprocess.scale': channels(3), 'preprocess.shift': channels(3), axes: tensorFrom('int64', [2], [1, 2]) },
          [
            { op: 'Cast', inputs: ['pixels'], outputs: ['floats'], attributes: { to: 1 } },
            { op: 'Unsqueeze', inputs: ['preprocess.scale', 'axes'], outputs: ['scale'] },
            { op: 'Identity', inputs: ['preprocess.shift'], outputs: ['same'] },
            { op: 'Unsqueeze', inputs: ['same', 'axes'], outputs: ['shift'] },
            { op: 'Mul', inputs: ['scale', 'floats'], outputs: ['scaled'] },
            { op: 'Add', inputs: ['scaled', 'shift'], outputs: ['x'] },
          ],
        ),
      ).toEqual(['w']);
    });

    it('are trained where they are more than a normalization: layers by their name, positions, used elsewhere too', () => {
      const layer = { 'affine.weight': channels(3, 1, 1), positions: ramp([3, 4, 4]), shared: channels(3, 1, 1) };
      expect(
        fixed(layer, [
          { op: 'Mul', inputs: ['pixels', 'affine.weight'], outputs: ['a'] },
          { op: 'Add', inputs: ['a', 'shared'], outputs: ['b'] },
          { op: 'Add', inputs: ['b', 'positions'], outputs: ['c'] },
          { op: 'Relu', inputs: ['c'], outputs: ['d'] },
          { op: 'Mul', inputs: ['d', 'shared'], outputs: ['x'] },
        ]),
      ).toEqual([...Object.keys(layer), 'w']);
    });
  });
});
