// 16-bit floats against ONNX Runtime's own conversions, and models of them: trained as float32, written as they were.
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, TensorProto_DataType } from 'onnx-buf';
import { describe, expect, it } from 'vitest';
import { modelBytes, ramp, runOnnx } from '../../../test/support/onnx-models.js';
import { FileError, OptionError } from '../../errors.js';
import { type DataType, type TensorData, tensor, tensorFrom } from '../../graph/tensor.js';
import { modelFromBytes } from '../../model/file-model.js';
import { semantics } from '../../ops/table.js';
import { encodeModel } from '../encode/writer.js';
import { narrow, widen } from './widen.js';

const castModel = (from: DataType, to: number) =>
  modelBytes({
    opset: 21,
    inputs: { x: [from, ['n']] },
    nodes: [{ op: 'Cast', inputs: ['x'], outputs: ['y'], attributes: { to } }],
    outputs: ['y'],
  });

describe('16-bit floats', () => {
  it('widens all 65,536 float16 numbers as ONNX Runtime does', async () => {
    const all = tensor(
      'float16',
      [65536],
      Uint16Array.from({ length: 65536 }, (_, bits) => bits),
    );
    const { y } = await runOnnx(castModel('float16', TensorProto_DataType.FLOAT), { x: all });
    expect(widen(all).data).toEqual(y?.data);
  });

  it('rounds float32 to float16 as ONNX Runtime does: ties, subnormal numbers, overflow', async () => {
    const scales = Array.from({ length: 60 }, (_, i) => 2 ** (i - 35));
    const numbers = [
      0,
      -0,
      65504,
      65519.99,
      65520,
      1e30,
      -1e30,
      2 ** -24,
      2 ** -25,
      1.5 * 2 ** -25,
      Infinity,
      -Infinity,
    ];
    for (const scale of scales) {
      for (let i = 0; i < 40; i++) numbers.push(scale * (1 + i / 8192), -scale * (1.9 + i / 4096), scale * Math.sin(i));
    }
    const x = tensorFrom('float32', [numbers.length], numbers);
    const { y } = await runOnnx(castModel('float32', TensorProto_DataType.FLOAT16), { x });
    expect(narrow(x, 'float16').data).toEqual(Uint16Array.from(y?.data as Uint16Array));
  });

  it('rounds float32 to bfloat16: to the nearest, ties to even', () => {
    const bits = [0x3f800000, 0x3f808000, 0x3f818000, 0x3f808001, 0xbf80ffff, 0x7f800000];
    const x = tensor('float32', [bits.length], new Float32Array(Uint32Array.from(bits).buffer));
    expect([...narrow(x, 'bfloat16').data]).toEqual([0x3f80, 0x3f80, 0x3f82, 0x3f81, 0xbf81, 0x7f80]);
    expect([...widen(tensor('bfloat16', [1], Uint16Array.of(0xbf81))).data]).toEqual([-1.0078125]);
  });
});

describe('a model of float16', () => {
  const half = (value: TensorData): TensorData => narrow(value, 'float16');
  const bytes = modelBytes({
    opset: 17,
    inputs: { x: ['float16', ['batch', 3]] },
    initializers: { weight: half(ramp([3, 2])), bias: half(ramp([2], 0.1)) },
    nodes: [
      { op: 'Gemm', inputs: ['x', 'weight', 'bias'], outputs: ['hidden'] },
      { op: 'Cast', inputs: ['hidden'], outputs: ['single'], attributes: { to: TensorProto_DataType.FLOAT } },
      { op: 'Tanh', inputs: ['single'], outputs: ['bounded'] },
      { op: 'Cast', inputs: ['bounded'], outputs: ['y'], attributes: { to: TensorProto_DataType.FLOAT16 } },
    ],
    outputs: ['y'],
  });
  const model = () => modelFromBytes(bytes, semantics);

  it('has float32 parameters and inputs in its graph', async () => {
    const { graph, parameters, halfPrecision } = model();
    expect(halfPrecision).toBe(true);
    expect([...parameters.values()].map(({ dtype }) => dtype)).toEqual(['float32', 'float32']);
    expect(graph.inputs[0]?.type).toEqual({ dtype: 'float32', shape: ['batch', 3] });
    const x = half(ramp([4, 3]));
    const { y: expected } = await runOnnx(bytes, { x });
    const { y: actual } = await runOnnx(encodeModel(graph), { x: widen(x) });
    const numbers = widen(tensor('float16', [8], Uint16Array.from(expected?.data as Uint16Array))).data;
    for (const [i, number] of Array.from(actual?.data as Float32Array).entries()) {
      expect(number).toBeCloseTo(Number(numbers[i]), 2);
    }
  });

  it('is written as float16 with the same elements, and with new ones rounded', () => {
    expect(model().encode(new Map())).toEqual(toBinary(ModelProtoSchema, fromBinary(ModelProtoSchema, bytes)));
    const bias = tensorFrom('float32', [2], [0.1, 65519]);
    const { graph } = fromBinary(ModelProtoSchema, model().encode(new Map([['bias', bias]])));
    const written = graph?.initializer.find(({ name }) => name === 'bias');
    expect(written?.dataType).toBe(TensorProto_DataType.FLOAT16);
    expect([...new Uint16Array(written?.rawData.slice().buffer ?? new ArrayBuffer(0))]).toEqual([0x2e66, 0x7bff]);
  });

  it('is widened on request, and refuses numbers that float16 does not hold', async () => {
    const wide = toBinary(ModelProtoSchema, model().patch.message(new Map(), 'float32'));
    const { y } = await runOnnx(wide, { x: ramp([4, 3]) });
    expect(y?.dtype).toBe('float32');
    const large = new Map([['bias', tensorFrom('float32', [2], [0, 1e6])]]);
    expect(() => model().encode(large)).toThrow(FileError);
    expect(() => model().encode(large)).toThrow(
      /'bias' holds 1000000, which does not fit float16; save the model as float32/,
    );
    expect(() => model().patch.message(large, 'float32')).not.toThrow();
    const single = modelBytes({
      opset: 17,
      inputs: { x: ['float32', [1]] },
      nodes: [{ op: 'Relu', inputs: ['x'], outputs: ['y'] }],
      outputs: ['y'],
    });
    expect(() => modelFromBytes(single, semantics).patch.message(new Map(), 'float16')).toThrow(OptionError);
  });
});
