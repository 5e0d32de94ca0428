// Dropout and batch normalization as they train, against formulas written out here.
import { create, toBinary } from '@bufbuild/protobuf';
import { FunctionProtoSchema, ModelProtoSchema, NodeProtoSchema } from 'onnx-buf';
import { describe, expect, it } from 'vitest';
import { type ModelSpec, modelBytes, modelProto, ramp, runOnnx } from '../../test/support/onnx-models.js';
import { gradients } from '../autodiff/gradients.js';
import { UnsupportedError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import { inline } from '../graph/inline.js';
import { tensorFrom } from '../graph/tensor.js';
import { encodeModel } from '../onnx/encode/writer.js';
import { Builder } from '../ops/builder.js';
import { semantics } from '../ops/table.js';
import { modelFromBytes } from './file-model.js';
import { TrainingMode } from './training-mode.js';

const float32 = (...values: number[]) => tensorFrom('float32', [values.length], values);

function program(file: ModelSpec | Uint8Array) {
  const model = modelFromBytes(file instanceof Uint8Array ? file : modelBytes(file), semantics);
  const b = new Builder();
  const declared: string[] = [];
  const training = new TrainingMode(model, (name, dims) => {
    declared.push(`${name} [${dims}]`);
    return b.input(name, 'float32', dims);
  });
  const evaluate = (x: Value): Value => {
    const [input] = model.graph.inputs;
    const bindings = new Map<Value, Value>(input ? [[input, x]] : []);
    for (const [name, value] of model.statistics) bindings.set(value, statistics.get(name) ?? value);
    const [y] = inline(b, model.graph, bindings, training.rewrite).outputs.values();
    if (!y) throw new Error('no output');
    return y;
  };
  const statistics = new Map(
    [...model.statistics].map(([name, { dtype, dims }]) => [name, b.input(name, dtype, dims)]),
  );
  return { b, model, training, evaluate, declared };
}

describe('batch normalization while training', () => {
  const layer = (mean: string, variance: string, input: string, output: string) => ({
    op: 'BatchNormalization',
    name: `/${output}/BatchNormalization`,
    inputs: [input, 'scale', 'shift', mean, variance],
    outputs: [output],
    attributes: { momentum: { float: 0.8 }, epsilon: { float: 1e-5 } },
  });
  const spec: ModelSpec = {
    opset: 17,
    inputs: { x: ['float32', ['batch', 2, 3]] },
    initializers: {
      scale: float32(2, 3),
      shift: float32(1, -1),
      'bn.mean': float32(0.5, -0.5),
      'bn.variance': float32(4, 9),
    },
    nodes: [layer('bn.mean', 'bn.variance', 'x', 'y')],
    outputs: ['y'],
  };

  it('normalizes by the batch and moves the averages as PyTorch does: the unbiased variance', async () => {
    const { b, model, training, evaluate } = program(spec);
    expect([...model.statistics.keys()]).toEqual(['bn.mean', 'bn.variance']);
    const y = evaluate(b.input('x', 'float32', [4, 2, 3]));
    const outputs = {
      y,
      mean: training.updates.get('bn.mean') ?? y,
      variance: training.updates.get('bn.variance') ?? y,
    };
    const x = ramp([4, 2, 3], 2);
    const feeds = { x, 'bn.mean': float32(0.5, -0.5), 'bn.variance': float32(4, 9) };
    const result = await runOnnx(encodeModel(b.build('training', outputs)), feeds);
    for (const channel of [0, 1]) {
      const at = Array.from({ length: 12 }, (_, i) => Math.floor(i / 3) * 6 + channel * 3 + (i % 3));
      const members = at.map((i) => Number(x.data[i]));
      const mean = members.reduce((sum, member) => sum + member, 0) / 12;
      const squares = members.reduce((sum, member) => sum + (member - mean) ** 2, 0);
      expect(result.mean?.data[channel]).toBeCloseTo(0.8 * (0.5 - channel) + 0.2 * mean, 5);
      expect(result.variance?.data[channel]).toBeCloseTo(0.8 * (4 + 5 * channel) + 0.2 * (squares / 11), 5);
      for (const [i, member] of members.entries()) {
        const expected = (2 + channel) * ((member - mean) / Math.sqrt(squares / 12 + 1e-5)) + (1 - 2 * channel);
        expect(result.y?.data[at[i] ?? 0]).toBeCloseTo(expected, 4);
      }
    }
  });

  it('gives layers that share their averages their own', () => {
    const { training, evaluate, b } = program({
      ...spec,
      nodes: [layer('bn.mean', 'bn.variance', 'x', 'h'), layer('bn.mean', 'bn.variance', 'h', 'y')],
    });
    evaluate(b.input('x', 'float32', [4, 2, 3]));
    expect([...training.updates.keys()]).toEqual(['bn.mean', 'bn.variance', 'bn.mean_1', 'bn.variance_1']);
  });

  it('refuses layers that share them inside a function, by name', () => {
    const call = (input: string, output: string) => {
      const { op: _, ...node } = layer('bn.mean', 'bn.variance', input, output);
      return { ...node, op: 'norm', domain: 'own' };
    };
    const proto = modelProto({ ...spec, nodes: [call('x', 'h'), call('h', 'y')] });
    const names = ['a', 'b', 'c', 'd', 'e'];
    const node = create(NodeProtoSchema, { opType: 'BatchNormalization', name: 'bn', input: names, output: ['f'] });
    const opsetImport = proto.opsetImport;
    proto.functions = [
      create(FunctionProtoSchema, {
        name: 'norm',
        domain: 'own',
        input: names,
        output: ['f'],
        node: [node],
        opsetImport,
      }),
    ];
    const { b, evaluate } = program(toBinary(ModelProtoSchema, proto));
    const run = () => evaluate(b.input('x', 'float32', [4, 2, 3]));
    expect(run).toThrow(UnsupportedError);
    expect(run).toThrow(/'.*h.*\/bn' and .*'.*y.*\/bn' share the running average 'bn.mean' inside a function/);
  });
});

describe('dropout while training', () => {
  const spec: ModelSpec = {
    opset: 17,
    inputs: { x: ['float32', ['batch', 3]] },
    initializers: { ratio: tensorFrom('float32', [], [0.75]) },
    nodes: [{ op: 'Dropout', name: '/drop', inputs: ['x', 'ratio'], outputs: ['y'] }],
    outputs: ['y'],
  };

  it('keeps elements where the noise is at least the ratio, and scales them; so does its gradient', async () => {
    const { b, evaluate, declared } = program(spec);
    const x = b.input('x', 'float32', [2, 3]);
    const y = evaluate(x);
    const [slope] = gradients(b, b.sum(b.square(y)), [x]);
    expect(declared).toEqual(['dropout./drop [2,3]']);
    const noise = tensorFrom('float32', [2, 3], [0.74, 0.75, 0.9, 0, 0.99, 0.1]);
    const feeds = { x: tensorFrom('float32', [2, 3], [1, 2, 3, 4, 5, 6]), 'dropout./drop': noise };
    const result = await runOnnx(encodeModel(b.build('training', { y, slope: slope ?? y })), feeds);
    expect([...(result.y?.data ?? [])]).toEqual([0, 8, 12, 0, 20, 0]);
    expect([...(result.slope?.data ?? [])]).toEqual([0, 64, 96, 0, 160, 0]); // 2·y·4
  });

  it('drops the same elements in every evaluation of a step, of the whole batch or its first rows', async () => {
    const { b, evaluate, declared } = program(spec);
    const x = b.input('x', 'float32', [3, 3]);
    const outputs = { whole: evaluate(x), again: evaluate(b.mul(x, 2)), part: evaluate(b.slice(x, 0, 0, 2)) };
    expect(declared).toHaveLength(1);
    const noise = tensorFrom('float32', [3, 3], [0.9, 0, 0, 0, 0.9, 0, 0, 0, 0.9]);
    const feeds = { x: tensorFrom('float32', [3, 3], [1, 1, 1, 1, 1, 1, 1, 1, 1]), 'dropout./drop': noise };
    const result = await runOnnx(encodeModel(b.build('training', outputs)), feeds);
    expect([...(result.again?.data ?? [])]).toEqual([8, 0, 0, 0, 8, 0, 0, 0, 8]);
    expect([...(result.part?.data ?? [])]).toEqual([4, 0, 0, 0, 4, 0]);
  });

  it('needs a ratio that is known', () => {
    const { b, evaluate } = program({ ...spec, initializers: { ratio: tensorFrom('float32', [], [1]) } });
    expect(() => evaluate(b.input('x', 'float32', [2, 3]))).toThrow(/ratio of Dropout node '\/drop' is 1; .* \[0, 1\)/);
  });
});
