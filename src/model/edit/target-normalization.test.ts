// A model with a normalization of targets predicts deviation · f(x) + mean, in training and as a file, whatever else is
// done to it; training sees f, and all others see plain ONNX.
import { toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema } from 'onnx-buf';
import { Tensor } from 'onnxruntime-common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modelBytes, modelProto, ramp, runOnnx } from '../../../test/support/onnx-models.js';
import { checkGradients } from '../../api/check-gradients.js';
import { valueAndGradients } from '../../api/value-and-gradients.js';
import { describeModel } from '../../cli/inspect.js';
import type { Engine } from '../../engine/engine.js';
import { nodeEngine } from '../../engine/node.js';
import { FileError, GraphError, OptionError } from '../../errors.js';
import { type TensorData, tensorFrom } from '../../graph/tensor.js';
import { lenet } from '../../nn/lenet.js';
import { autoencoder, mlp } from '../../nn/zoo.js';
import type { Normalization } from '../../normalization.js';
import { narrow } from '../../onnx/edits/widen.js';
import { semantics } from '../../ops/table.js';
import { type FileModel, isFileModel, modelFromBytes } from '../file-model.js';
import type { Model } from '../model.js';
import { replaceHead } from './head.js';
import { addLora } from './lora.js';
import { withNormalization } from './normalize.js';
import { selectParameters } from './select.js';
import { endsInLayer, targetNormalizationOf, targetTailOf, withTargetNormalization } from './target-normalization.js';

const reread = (model: Model): FileModel => modelFromBytes(model.encode(new Map()), semantics);
const numbers = ({ data }: TensorData): number[] => Array.from<number | bigint, number>(data, Number);
const small = () => mlp({ seed: 1, sizes: [6, 5, 2] });
const by: Normalization = { mean: [200_000, -0.5], deviation: [84_000, 0.25] };

/** The files of both models, run on the same input. */
async function expectPredictions(changed: Model, original: Model, x: TensorData, expected = by): Promise<void> {
  const { output: actual } = await runOnnx(changed.encode(new Map()), { input: x });
  const { output: plain } = await runOnnx(original.encode(new Map()), { input: x });
  const { mean, deviation } = expected;
  const wanted = numbers(plain ?? x).map((y, i) => {
    const column = i % mean.length;
    return (deviation[column] ?? 1) * y + (mean[column] ?? 0);
  });
  const given = numbers(actual ?? x);
  expect(given).toHaveLength(wanted.length);
  for (const [i, y] of wanted.entries()) expect(Math.abs((given[i] ?? 0) - y)).toBeLessThan(1e-6 * (1 + Math.abs(y)));
}

describe('withTargetNormalization', () => {
  it('predicts in the units of the data: built models, files, beside a normalization of the input', async () => {
    const x = ramp([3, 6], 2);
    await expectPredictions(withTargetNormalization(small(), by), small(), x);
    await expectPredictions(withTargetNormalization(reread(small()), by), small(), x);
    const one = { mean: [5], deviation: [0.5] };
    await expectPredictions(withTargetNormalization(small(), one), small(), x, one);
    const inputs = { mean: [1], deviation: [2] };
    const both = withTargetNormalization(withNormalization(small(), inputs), by);
    await expectPredictions(both, withNormalization(small(), inputs), x);
    await expectPredictions(
      withNormalization(withTargetNormalization(small(), by), inputs),
      withNormalization(small(), inputs),
      x,
    );
    expect([...both.statistics.keys()].filter((name) => name.startsWith('normalization.target'))).toHaveLength(2);
  });

  it('keeps names and parameters, and is recognised in the file that it writes', () => {
    const changed = withTargetNormalization(small(), by);
    const read = reread(changed);
    expect([...read.parameters.keys()]).toEqual([...small().parameters.keys()]);
    expect(read.statistics.size).toBe(0);
    expect(read.graph.outputs.map(({ name }) => name)).toEqual(['output']);
    for (const model of [changed, read, reread(read)]) {
      expect(targetNormalizationOf(model)).toEqual(by);
      expect(() => withTargetNormalization(model, by)).toThrow(
        /by a normalization of targets already, mean 200000, -0.5/,
      );
    }
    expect(targetTailOf(small())).toBeUndefined();
    expect(() => small().encode(new Map([['normalization.target.mean', ramp([2])]]))).toThrow(GraphError);
  });

  it('goes with chosen parameters and adapters; a new head takes it off', async () => {
    const x = ramp([3, 6], 2);
    for (const model of [withTargetNormalization(small(), by), reread(withTargetNormalization(small(), by))]) {
      await expectPredictions(selectParameters(model, { train: ['fc2.*'] }), small(), x);
      const adapted = addLora(model, { rank: 1, seed: 1 });
      expect(targetNormalizationOf(adapted)).toEqual(by);
      await expectPredictions(adapted, small(), x);
      const headed = replaceHead(model, 4, 1);
      expect(targetTailOf(headed)).toBeUndefined();
      const [{ output: actual }, { output: expected }] = [
        await runOnnx(headed.encode(new Map()), { input: x }),
        await runOnnx(replaceHead(small(), 4, 1).encode(new Map()), { input: x }),
      ];
      expect(actual).toEqual(expected);
    }
  });

  it('renames what other nodes read of the prediction', async () => {
    const bytes = modelBytes({
      opset: 13,
      inputs: { x: ['float32', ['batch', 2]] },
      initializers: { weight: tensorFrom('float32', [2, 1], [1, 10]) },
      nodes: [
        { op: 'MatMul', inputs: ['x', 'weight'], outputs: ['y'] },
        { op: 'Neg', inputs: ['y'], outputs: ['z'] },
      ],
      outputs: ['y', 'z'],
    });
    const changed = withTargetNormalization(modelFromBytes(bytes, semantics), { mean: [100], deviation: [2] });
    const { y, z } = await runOnnx(changed.encode(new Map()), { x: tensorFrom('float32', [1, 2], [3, 4]) });
    expect(numbers(y as TensorData)).toEqual([186]);
    expect(numbers(z as TensorData)).toEqual([-43]);
  });

  it('is of the element type of the file, where that holds the numbers', async () => {
    const half = (value: TensorData) => narrow(value, 'float16');
    const proto = modelProto({
      opset: 13,
      inputs: { x: ['float16', ['batch', 2]] },
      initializers: { weight: half(tensorFrom('float32', [2, 2], [1, 0, 10, 1])) },
      nodes: [{ op: 'MatMul', inputs: ['x', 'weight'], outputs: ['y'] }],
      outputs: ['y'],
    });
    const { graph } = proto;
    const [input, output] = [graph?.input[0], graph?.output[0]];
    if (output && input?.type) output.type = input.type;
    const bytes = toBinary(ModelProtoSchema, proto);
    const changed = withTargetNormalization(modelFromBytes(bytes, semantics), { mean: [100], deviation: [2] });
    const { y } = await runOnnx(changed.encode(new Map()), { x: half(tensorFrom('float32', [1, 2], [3, 4])) });
    expect(y?.dtype).toBe('float16');
    expect(new Uint16Array((y as TensorData).data.buffer)[0]).toBe(half(tensorFrom('float32', [1], [186])).data[0]);

    const large = withTargetNormalization(modelFromBytes(bytes, semantics), { mean: [200_000], deviation: [1] });
    expect(() => large.encode(new Map())).toThrow(FileError);
    expect(() => large.encode(new Map())).toThrow(
      /'normalization.target.mean' holds 200000, .* save the model as float32/,
    );
    if (!isFileModel(large)) throw new Error('it came from a file');
    expect(large.patch.message(new Map(), 'float32').graph?.node).toHaveLength(5);
    const fine = withTargetNormalization(modelFromBytes(bytes, semantics), { mean: [0], deviation: [1e-9] });
    expect(() => fine.encode(new Map())).toThrow(/'normalization.target.deviation' holds .* does not fit float16/);
  });

  it('refuses what does not fit', () => {
    const refuse = (model: Model, normalization: Normalization, message: RegExp) => {
      expect(() => withTargetNormalization(model, normalization)).toThrow(OptionError);
      expect(() => withTargetNormalization(model, normalization)).toThrow(message);
    };
    refuse(
      small(),
      { mean: [0, 0, 0], deviation: [1, 1, 1] },
      /of 3 means and 3 deviations does not fit the output 'output'/,
    );
    refuse(small(), { mean: [0, 1], deviation: [1] }, /of 2 means and 1 deviations/);
    refuse(small(), { mean: [], deviation: [] }, /the mean of a normalization is an array of 0; give/);
    refuse(small(), { mean: [0], deviation: [0] }, /0 is not a deviation above 0/);
    refuse(small(), { mean: [1e39], deviation: [1] }, /1e\+39 is not a finite number/);
  });

  it('is for models that end in a layer', () => {
    expect(endsInLayer(small())).toBe(true);
    expect(endsInLayer(lenet({ seed: 1 }))).toBe(true);
    expect(endsInLayer(autoencoder({ seed: 1, sizes: [4, 2] }))).toBe(false);
    expect(endsInLayer(withTargetNormalization(small(), by))).toBe(false);
  });
});

describe('others than training', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await nodeEngine({ worker: false, threads: 1 });
  });
  afterAll(() => engine.close());

  it('see plain ONNX: losses and gradients in the units of the data', async () => {
    const one = { mean: [10], deviation: [4] };
    const model = reread(withTargetNormalization(small(), one));
    const inputs = new Tensor(
      'float32',
      Float32Array.from({ length: 18 }, (_, i) => Math.sin(i)),
      [3, 6],
    );
    const y = Float32Array.of(1, 2, 3, 4, 5, 6);
    const request = { loss: 'mean-squared-error', inputs, engine } as const;
    const actual = await valueAndGradients(model, { ...request, targets: new Tensor('float32', y, [3, 2]) });
    const standardized = new Tensor(
      'float32',
      y.map((value) => (value - 10) / 4),
      [3, 2],
    );
    const plain = await valueAndGradients(small(), { ...request, targets: standardized });
    expect(actual.loss).toBeCloseTo(16 * plain.loss, 4);
    for (const [name, gradient] of plain.gradients) {
      const found = actual.gradients.get(name)?.data as Float32Array;
      for (const [i, value] of (gradient.data as Float32Array).entries()) {
        expect(Math.abs((found[i] ?? 0) - 16 * value)).toBeLessThan(1e-4 * (1 + Math.abs(value)));
      }
    }
    const { checks } = await checkGradients(engine, model, {
      batchSize: 4,
      sizes: {},
      seed: 1,
      loss: 'mean-squared-error',
    });
    for (const { verdict } of checks.values()) expect(verdict).not.toBe('differs');
  });

  it('inspect tells of it beside the output, not among the parameters', () => {
    const model = reread(withTargetNormalization(withNormalization(small(), { mean: [3], deviation: [2] }), by));
    const lines = describeModel(model, 16);
    expect(lines).toContain(
      '          in the units of the data, learned standardized by mean 200000, -0.5, deviation 84000, 0.25',
    );
    expect(lines).toContain('  4 parameter tensors, 47 parameters');
    expect(lines.join('\n')).not.toMatch(/Held fixed/);
  });
});
