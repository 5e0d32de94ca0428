// Running averages that an exporter stored once for several layers: each layer trains its own, and the file shows it.
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

const files: Record<string, [ModelSpec, string[]]> = {
  'as one tensor': [through(['one', 'zero', 'one'], ['one', 'zero', 'one']), ['zero_1', 'one_2', 'zero_2', 'one_1']],
  'through Identity nodes, which bear the names of the layers': [
    through(
      ...([['one', 'bn1.mean', 'one'], ['scale2', 'bn2.mean', 'bn2.var'], identity('zero', 'bn1.mean')] as const),
      ...[identity('one', 'scale2'), identity('bn1.mean', 'bn2.mean'), identity('one', 'bn2.var')],
    ),
    ['bn1.mean', 'bn2.mean', 'bn2.var', 'one_1'],
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

describe.each(Object.entries(files))('stored %s', (_, [spec, names]) => {
  const bytes = modelBytes(spec);

  it('become statistics of their own, and the file stays what it was until they move', () => {
    const model = modelFromBytes(bytes, semantics);
    expect([...model.statistics.keys()].sort()).toEqual([...names].sort());
    expect([...model.parameters.keys()]).toEqual(['zero', 'one', 'fc1.weight', 'fc2.weight']);
    expect(Buffer.compare(model.encode(new Map()), bytes)).toBe(0);
    expect(Buffer.compare(model.encode(new Map([['one', filled(2)]])), bytes)).not.toBe(0);
    const scaled = fromBinary(ModelProtoSchema, model.encode(new Map([['one', filled(2)]])));
    expect(scaled.graph?.initializer).toHaveLength(4 + names.length);
  });

  it('are trained apart; the file computes what was reported', async () => {
    const data = { train: set, test: set };
    const { model, parameters, record } = await train(modelFromBytes(bytes, semantics), {
      ...{ engine, data, optimizer: adam({ learningRate: 0.01 }), steps: 4, batchSize: 24 },
    });
    const moved = new Set(names.map((name) => String(parameters.get(name)?.data)));
    expect(moved.size).toBe(4);
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
