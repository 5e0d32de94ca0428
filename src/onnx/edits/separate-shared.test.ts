// Tensors of normalizations that an exporter stored once for several layers: each layer trains its own, and the file
// shows it.
import { fromBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema } from 'onnx-buf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ModelSpec, modelBytes, type NodeSpec, ramp, runOnnx } from '../../../test/support/onnx-models.js';
import { dataset } from '../../data/dataset.js';
import type { Engine } from '../../engine/engine.js';
import { nodeEngine } from '../../engine/node.js';
import { type TensorData, tensorFrom } from '../../graph/tensor.js';
import { modelFromBytes } from '../../model/file-model.js';
import { semantics } from '../../ops/table.js';
import { adam } from '../../optimizers/adam.js';
import { train } from '../../training/trainer.js';

const filled = (x: number) => tensorFrom('float32', [3], [x, x, x]);
const identity = (input: string, output: string): NodeSpec => ({ op: 'Identity', inputs: [input], outputs: [output] });
const normalized = (name: string, input: string, [scale, mean, variance]: readonly string[]): NodeSpec => ({
  ...{ op: 'BatchNormalization', name: `/${name}`, outputs: [name] },
  inputs: [input, scale ?? '', 'zero', mean ?? '', variance ?? ''],
});

/** Two layers as they begin: every mean is 0, every variance and scale 1, stored once or as Identity of the first. */
function network(nodes: readonly NodeSpec[], initializers: Record<string, TensorData> = {}): ModelSpec {
  return {
    ...{ opset: 17, inputs: { x: ['float32', ['batch', 3]] }, outputs: ['y'] },
    initializers: {
      zero: filled(0),
      one: filled(1),
      'fc1.weight': ramp([3, 3]),
      'fc2.weight': ramp([3, 2], 0.7),
      ...initializers,
    },
    nodes,
  };
}
const dense = (input: string, weight: string, output: string): NodeSpec => ({
  ...{ op: 'MatMul', inputs: [input, weight], outputs: [output] },
});
const through = (first: readonly string[], second: readonly string[], ...identities: NodeSpec[]) =>
  network([
    ...[...identities, normalized('bn1', 'x', first), dense('bn1', 'fc1.weight', 'h')],
    ...[normalized('bn2', 'h', second), dense('bn2', 'fc2.weight', 'y')],
  ]);

/** By file: what is stored, the names of its running averages, and of the scale and the shift of the second layer. */
const files: Record<string, [ModelSpec, string[], string[]]> = {
  'as one tensor': [
    through(['one', 'zero', 'one'], ['one', 'zero', 'one']),
    ['zero_1', 'one_2', 'zero_2', 'one_1'],
    ['one_3', 'zero_3'],
  ],
  'through Identity nodes, which bear the names of the layers': [
    through(
      ...([['one', 'bn1.mean', 'one'], ['scale2', 'bn2.mean', 'bn2.var'], identity('zero', 'bn1.mean')] as const),
      ...[identity('one', 'scale2'), identity('bn1.mean', 'bn2.mean'), identity('one', 'bn2.var')],
    ),
    ['bn1.mean', 'bn2.mean', 'bn2.var', 'one_1'],
    ['zero_1', 'scale2'],
  ],
};

const inputs = ramp([24, 3], 2).data as Float32Array;
const set = dataset({
  ...{ name: 'points', size: 24, inputs: { dtype: 'float32', shape: [3], data: inputs }, classes: ['a', 'b'] },
  targets: { dtype: 'int64', shape: [], data: Int32Array.from({ length: 24 }, (_, i) => i % 2) },
});

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => engine.close());

describe.each(Object.entries(files))('stored %s', (_, [spec, names, second]) => {
  const bytes = modelBytes(spec);

  it('become tensors of their own, and the file stays what it was until they move', () => {
    const model = modelFromBytes(bytes, semantics);
    expect([...model.statistics.keys()].sort()).toEqual([...names].sort());
    expect([...model.parameters.keys()]).toEqual(['zero', 'one', 'fc1.weight', 'fc2.weight', ...second]);
    expect(Buffer.compare(model.encode(new Map()), bytes)).toBe(0);
    expect(Buffer.compare(model.encode(new Map([['one', filled(2)]])), bytes)).not.toBe(0);
    const scaled = fromBinary(ModelProtoSchema, model.encode(new Map([['one', filled(2)]])));
    expect(scaled.graph?.initializer).toHaveLength(4 + names.length + second.length);
  });

  it('are trained apart; the file computes what was reported', async () => {
    const data = { train: set, test: set };
    const { model, parameters, record } = await train(modelFromBytes(bytes, semantics), {
      ...{ engine, data, optimizer: adam({ learningRate: 0.01 }), steps: 4, batchSize: 24 },
    });
    const moved = new Set([...names, 'one', 'zero', ...second].map((name) => String(parameters.get(name)?.data)));
    expect(moved.size).toBe(8);
    const written = model.encode(parameters);
    const { y } = await runOnnx(written, { x: tensorFrom('float32', [24, 3], [...inputs]) });
    const logits = Array.from(y?.data ?? [], Number);
    let loss = 0;
    for (let i = 0; i < 24; i++) {
      const [a = 0, b = 0] = logits.slice(2 * i, 2 * i + 2);
      loss += Math.log(Math.exp(a) + Math.exp(b)) - (i % 2 === 0 ? a : b);
    }
    expect(record.test.loss).toBeCloseTo(loss / 24, 5);
    const again = modelFromBytes(written, semantics);
    expect([...again.statistics.keys()].sort()).toEqual([...names].sort());
    expect(Buffer.compare(again.encode(new Map()), written)).toBe(0);
  });
});

describe('scales and shifts', () => {
  const layer = (name: string, input: string, scale: string, shift: string): NodeSpec => ({
    ...{ op: 'LayerNormalization', name, inputs: [input, scale, shift], outputs: [name] },
  });
  const parametersOf = (nodes: readonly NodeSpec[], initializers: Record<string, TensorData>) =>
    [...modelFromBytes(modelBytes(network(nodes, initializers)), semantics).parameters.keys()].filter(
      (name) => !name.startsWith('fc') && name !== 'one' && name !== 'zero',
    );
  const trained = { 'ln1.weight': ramp([3]), 'ln1.bias': ramp([3], 0.3) };

  it('that were trained and are read by two layers stay one tensor: the layers share them', () => {
    const nodes = [layer('a', 'x', 'ln1.weight', 'ln1.bias'), layer('y', 'a', 'ln1.weight', 'ln1.bias')];
    expect(parametersOf(nodes, trained)).toEqual(['ln1.weight', 'ln1.bias']);
  });

  it('behind an Identity with a name that someone gave are tensors of their own, whatever they hold', () => {
    const nodes = (shift: string) => [
      ...[identity('ln1.weight', 'ln2.weight'), identity('ln1.bias', shift)],
      ...[layer('a', 'x', 'ln1.weight', 'ln1.bias'), layer('y', 'a', 'ln2.weight', shift)],
    ];
    const names = ['ln1.weight', 'ln1.bias', 'ln2.weight'];
    expect(parametersOf(nodes('ln2.bias'), trained)).toEqual([...names, 'ln2.bias']);
    expect(parametersOf(nodes('onnx::Add_3'), trained)).toEqual(names);
  });

  it('spelled out with Mul and Add are tensors of their own, but not the ones and zeros of other arithmetic', () => {
    const op = (name: string, inputs: readonly string[], output: string): NodeSpec => ({
      ...{ op: name, inputs, outputs: [output] },
    });
    const nodes = [
      ...[op('ReduceMean', ['x'], 'mean'), op('Sub', ['x', 'mean'], 'c'), op('Mul', ['c', 'c'], 'square')],
      ...[op('ReduceMean', ['square'], 'variance'), op('Sqrt', ['variance'], 'root'), op('Div', ['c', 'root'], 'n1')],
      ...[op('Mul', ['onnx::Mul_1', 'n1'], 's1'), op('Add', ['s1', 'onnx::Add_1'], 'h')],
      ...[
        op('Reciprocal', ['root'], 'inverse'),
        op('Mul', ['h', 'inverse'], 'n2'),
        op('Reshape', ['n2', 'shape'], 'r'),
      ],
      ...[op('Mul', ['r', 'onnx::Mul_1'], 's2'), op('Add', ['onnx::Add_1', 's2'], 'shifted')],
      ...[op('Relu', ['shifted'], 'p'), op('Mul', ['p', 'gain'], 'q'), op('Relu', ['q'], 'v')],
      ...[op('Mul', ['v', 'gain'], 'w'), op('Add', ['w', 'onnx::Add_1'], 'y')],
    ];
    const initializers = {
      ...{ 'onnx::Mul_1': filled(1), 'onnx::Add_1': filled(0), gain: filled(1) },
      shape: tensorFrom('int64', [2], [-1, 3]),
    };
    const names = ['onnx::Mul_1', 'onnx::Add_1', 'gain', 'onnx::Mul_1_1', 'onnx::Add_1_1', 'onnx::Add_1_2'];
    expect(parametersOf(nodes, initializers).sort()).toEqual(names.sort());
  });
});
