// Each old form of an operator, run by ONNX Runtime as it is and as our reader and writer bring it to opset 21.
import { describe, expect, it } from 'vitest';
import { decodeModel } from '../../../test/support/decode-model.js';
import {
  type AttributeValue,
  type ModelSpec,
  modelBytes,
  type NodeSpec,
  ramp,
  runOnnx,
} from '../../../test/support/onnx-models.js';
import { UnsupportedError } from '../../errors.js';
import { type TensorData, tensorFrom } from '../../graph/tensor.js';
import { semantics } from '../../ops/table.js';
import { encodeModel } from '../encode/writer.js';

interface Case {
  readonly opset: number;
  readonly op: string;
  readonly shape?: readonly number[];
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  readonly more?: Readonly<Record<string, TensorData>>;
  readonly outputs?: readonly string[];
  /** Inputs by name after x; names of `more` by default. */
  readonly inputs?: readonly string[];
}

const int64 = (...values: number[]) => tensorFrom('int64', [values.length], values);
const float32 = (...values: number[]) => tensorFrom('float32', [values.length], values);

const cases: readonly Case[] = [
  { opset: 7, op: 'Clip', attributes: { min: { float: -0.5 }, max: { float: 0.25 } } },
  { opset: 10, op: 'Clip', attributes: { max: { float: 0.25 } } },
  { opset: 7, op: 'Dropout', attributes: { ratio: { float: 0.3 } } },
  { opset: 11, op: 'Dropout' },
  { opset: 10, op: 'Pad', attributes: { pads: [0, 1, 2, 0, 0, 1], value: { float: 1.5 } } },
  { opset: 10, op: 'Pad', attributes: { pads: [0, 0, 1, 0, 1, 0], mode: 'reflect' } },
  { opset: 9, op: 'Slice', attributes: { starts: [1, -2], ends: [3, 2 ** 53], axes: [1, 2] } },
  { opset: 9, op: 'Slice', attributes: { starts: [0, 1], ends: [1, 3] } },
  { opset: 11, op: 'Softmax' },
  { opset: 11, op: 'Softmax', attributes: { axis: 2 } },
  { opset: 12, op: 'LogSoftmax', attributes: { axis: 0 } },
  { opset: 12, op: 'Softmax', attributes: { axis: -2 } },
  { opset: 11, op: 'Hardmax', attributes: { axis: 1 } },
  { opset: 13, op: 'Softmax', attributes: { axis: 1 } },
  { opset: 11, op: 'Split', attributes: { axis: 1, split: [1, 2] }, outputs: ['y', 'z'] },
  { opset: 11, op: 'Split', attributes: { axis: 2 }, outputs: ['y', 'z'] },
  { opset: 13, op: 'Split', attributes: { axis: 2 }, outputs: ['y', 'z'] },
  { opset: 13, op: 'Split', attributes: { axis: 1 }, more: { split: int64(2, 1) }, outputs: ['y', 'z'] },
  { opset: 11, op: 'Squeeze', shape: [1, 3, 1], attributes: { axes: [-1] } },
  { opset: 11, op: 'Squeeze', shape: [1, 3, 1] },
  { opset: 11, op: 'Unsqueeze', attributes: { axes: [0, 4] } },
  { opset: 11, op: 'ReduceSum', attributes: { axes: [1, -1], keepdims: 0 } },
  { opset: 12, op: 'ReduceSum' },
  { opset: 13, op: 'ReduceMean', attributes: { axes: [-1] } },
  { opset: 17, op: 'ReduceMean', attributes: { keepdims: 0 } },
  { opset: 13, op: 'ReduceL2', attributes: { axes: [1] } },
  { opset: 13, op: 'ReduceLogSumExp', attributes: { axes: [0, 1], keepdims: 0 } },
  { opset: 13, op: 'ReduceMax', attributes: { axes: [2] } },
  { opset: 13, op: 'ReduceSumSquare', attributes: { axes: [2] } },
  { opset: 9, op: 'TopK', attributes: { k: 2, axis: 1 }, outputs: ['y', 'indices'] },
  { opset: 7, op: 'Upsample', shape: [1, 2, 3, 4], attributes: { scales: { floats: [1, 1, 2, 3] }, mode: 'nearest' } },
  {
    opset: 9,
    op: 'Upsample',
    shape: [1, 2, 3, 4],
    attributes: { mode: 'linear' },
    more: { scales: float32(1, 1, 2, 2) },
  },
  { opset: 9, op: 'Upsample', shape: [1, 2, 3, 4], more: { scales: float32(1, 1, 1.5, 2) } },
  {
    opset: 10,
    op: 'Resize',
    shape: [1, 2, 3, 4],
    attributes: { mode: 'linear' },
    more: { scales: float32(1, 1, 0.5, 2) },
  },
  { opset: 10, op: 'Resize', shape: [1, 2, 3, 4], more: { scales: float32(1, 1, 2.5, 2) } },
  {
    opset: 11,
    op: 'Resize',
    shape: [1, 2, 3, 4],
    attributes: { mode: 'linear', coordinate_transformation_mode: 'pytorch_half_pixel' },
    more: { roi: float32(), scales: float32(), sizes: int64(1, 2, 5, 7) },
  },
  { opset: 13, op: 'Resize', shape: [1, 2, 3, 4], more: { scales: float32(1, 1, 2, 2) }, inputs: ['', 'scales'] },
  {
    opset: 9,
    op: 'BatchNormalization',
    more: {
      scale: float32(1, 2, 3),
      shift: float32(0, 1, 2),
      mean: float32(0.1, 0.2, 0.3),
      variance: float32(1, 2, 3),
    },
  },
  {
    opset: 7,
    op: 'BatchNormalization',
    attributes: { spatial: 1, epsilon: { float: 0.01 } },
    more: {
      scale: float32(1, 2, 3),
      shift: float32(0, 1, 2),
      mean: float32(0.1, 0.2, 0.3),
      variance: float32(1, 2, 3),
    },
  },
  {
    opset: 16,
    op: 'GridSample',
    shape: [1, 1, 3, 4],
    attributes: { mode: 'bilinear', padding_mode: 'border' },
    more: { grid: ramp([1, 2, 2, 2]) },
  },
  {
    opset: 9,
    op: 'Scatter',
    attributes: { axis: 1 },
    more: { indices: tensorFrom('int64', [2, 1, 4], [0, 2, 1, 0, 2, 2, 0, 1]), updates: ramp([2, 1, 4], 5) },
  },
  {
    opset: 10,
    op: 'RoiAlign',
    shape: [1, 1, 5, 5],
    attributes: { output_height: 2, output_width: 2, sampling_ratio: 1 },
    more: { rois: tensorFrom('float32', [1, 4], [0, 0, 3, 4]), batch: int64(0) },
  },
  { opset: 17, op: 'DFT', shape: [1, 4, 1], attributes: { axis: 1 } },
];

const label = ({ op, opset, shape, attributes }: Case) =>
  `${op} of opset ${opset} ${JSON.stringify(attributes ?? {})} on [${shape ?? [2, 3, 4]}]`;

function specOf(test: Case): ModelSpec {
  const more = test.more ?? {};
  const node: NodeSpec = {
    op: test.op,
    name: 'node',
    inputs: ['x', ...(test.inputs ?? Object.keys(more))],
    outputs: test.outputs ?? ['y'],
    ...(test.attributes ? { attributes: test.attributes } : {}),
  };
  const shape = test.shape ?? [2, 3, 4];
  return {
    opset: test.opset,
    inputs: { x: ['float32', shape] },
    initializers: more,
    nodes: [node],
    outputs: node.outputs,
  };
}

describe('old forms of operators', () => {
  it.each(cases.map((test) => [label(test), test] as const))('%s', async (_, test) => {
    const bytes = modelBytes(specOf(test));
    const x = ramp(test.shape ?? [2, 3, 4]);
    const expected = await runOnnx(bytes, { x });
    const model = decodeModel(bytes, semantics);
    const actual = await runOnnx(encodeModel(model.graph), { x });
    expect(actual).toEqual(expected);
    expect(model.opset).toBe(test.opset);
  });

  it('repeats the scale of each group for its channels (GroupNormalization before 21)', async () => {
    const scale = [1, 2];
    const shift = [0.5, -1];
    const old = modelBytes({
      opset: 18,
      inputs: { x: ['float32', ['batch', 4, 3]] },
      initializers: { scale: float32(...scale), shift: float32(...shift) },
      nodes: [
        { op: 'GroupNormalization', inputs: ['x', 'scale', 'shift'], outputs: ['y'], attributes: { num_groups: 2 } },
      ],
      outputs: ['y'],
    });
    const x = ramp([2, 4, 3]);
    const { y } = await runOnnx(encodeModel(decodeModel(old, semantics).graph), { x });
    const numbers = x.data as Float32Array;
    for (const example of [0, 1]) {
      for (const group of [0, 1]) {
        const members = Array.from({ length: 6 }, (_, i) => numbers[example * 12 + group * 6 + i] ?? 0);
        const mean = members.reduce((sum, member) => sum + member, 0) / 6;
        const variance = members.reduce((sum, member) => sum + (member - mean) ** 2, 0) / 6;
        for (const [i, member] of members.entries()) {
          const expected = (scale[group] ?? 0) * ((member - mean) / Math.sqrt(variance + 1e-5)) + (shift[group] ?? 0);
          expect(y?.data[example * 12 + group * 6 + i]).toBeCloseTo(expected, 4);
        }
      }
    }
  });

  it('turns batch normalization that gives out its running averages into training mode', () => {
    const outputs = ['y', 'mean', 'variance'];
    const node = { op: 'BatchNormalization', inputs: ['x', 's', 'b', 'm', 'v'], outputs };
    const statistics = { s: float32(1, 1), b: float32(0, 0), m: float32(0, 0), v: float32(1, 1) };
    const bytes = modelBytes({
      opset: 13,
      inputs: { x: ['float32', [3, 2]] },
      initializers: statistics,
      nodes: [node],
      outputs,
    });
    const [read] = decodeModel(bytes, semantics).graph.nodes;
    expect(read?.attributes.training_mode).toEqual({ kind: 'int', value: 1 });
    expect(read?.outputs.map(({ name }) => name)).toEqual(outputs);
  });

  it('drops the saved batch statistics, which PyTorch names and nothing reads, and refuses who reads them', () => {
    const outputs = ['y', 'mean', 'variance', 'batch_norm_dead_output-1', 'batch_norm_dead_output-2'];
    const specification = (reader: string): ModelSpec => ({
      opset: 12,
      inputs: { x: ['float32', [3, 2]] },
      initializers: { s: float32(1, 1), b: float32(0, 0), m: float32(0, 0), v: float32(1, 1) },
      nodes: [
        { op: 'BatchNormalization', name: '/bn', inputs: ['x', 's', 'b', 'm', 'v'], outputs },
        { op: 'Relu', inputs: [reader], outputs: ['z'] },
      ],
      outputs: ['z'],
    });
    const [read] = decodeModel(modelBytes(specification('y')), semantics).graph.nodes;
    expect(read?.outputs.map(({ name }) => name)).toEqual(outputs.slice(0, 3));
    const refused = () => decodeModel(modelBytes(specification(outputs[3] ?? '')), semantics);
    expect(refused).toThrow(UnsupportedError);
    expect(refused).toThrow(
      /BatchNormalization node '\/bn' gives out 'batch_norm_dead_output-1'.*another node reads it/,
    );
  });

  const refusals: readonly [string, Case, RegExp][] = [
    [
      'spatial = 0',
      { opset: 8, op: 'BatchNormalization', attributes: { spatial: 0 } },
      /BatchNormalization node 'node'.*spatial/,
    ],
    ['shrinking Resize-10', { opset: 10, op: 'Resize', more: { scales: float32(1, 1, 0.5) } }, /Resize node 'node'/],
    ['operators after opset 21', { opset: 23, op: 'RMSNormalization' }, /RMSNormalization node 'node'.*opset 23/],
    ['opset 6', { opset: 6, op: 'Relu' }, /opset 6; cgfac reads opsets 7 to 23/],
    ['opset 99', { opset: 99, op: 'Relu' }, /opset 99/],
  ];
  it.each(refusals)('refuses %s by name', (_, test, message) => {
    expect(() => decodeModel(modelBytes(specOf(test)), semantics)).toThrow(UnsupportedError);
    expect(() => decodeModel(modelBytes(specOf(test)), semantics)).toThrow(message);
  });
});
