// Models on disk: nothing but the elements of parameters changes, external data stays inside the model's folder.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type ModelProto, ModelProtoSchema, StringStringEntryProtoSchema, TensorProto_DataLocation } from 'onnx-buf';
import * as ort from 'onnxruntime-node';
import { afterAll, describe, expect, it } from 'vitest';
import { modelBytes, modelProto, ramp, runOnnx } from '../../test/support/onnx-models.js';
import { exportedModels } from '../../test/support/outside.js';
import { FileError, GraphError } from '../errors.js';
import { type TensorData, tensorFrom } from '../graph/tensor.js';
import { semantics } from '../ops/table.js';
import { readModelFile, writeModelFile } from './file.js';
import { modelFromBytes } from './file-model.js';

const folder = mkdtempSync(join(tmpdir(), 'cgfac-onnx-'));
afterAll(() => rmSync(folder, { recursive: true }));

const spec = {
  opset: 13,
  inputs: { x: ['float32', ['batch', 20]] },
  initializers: { 'fc.weight': ramp([20, 30]), 'fc.bias': ramp([30]), axes: tensorFrom('int64', [1], [1]) },
  nodes: [
    { op: 'Gemm', name: 'fc', inputs: ['x', 'fc.weight', 'fc.bias'], outputs: ['hidden'] },
    { op: 'ReduceSum', name: 'total', inputs: ['hidden', 'axes'], outputs: ['y'] },
  ],
  outputs: ['y'],
} as const;

function documented(): ModelProto {
  const proto = modelProto(spec);
  proto.docString = 'a model';
  proto.producerVersion = '1.2.3';
  proto.metadataProps = [create(StringStringEntryProtoSchema, { key: 'labels', value: 'a,b' })];
  return proto;
}

const bytes = toBinary(ModelProtoSchema, documented());
const x = ramp([3, 20]);

describe('a model from a file', () => {
  it('is written as it was when nothing changed', () => {
    const model = modelFromBytes(bytes, semantics);
    expect(model.encode(new Map())).toEqual(bytes);
    expect(model.metadata).toEqual({ labels: 'a,b' });
    expect([...model.parameters.keys()]).toEqual(['fc.weight', 'fc.bias']);
    expect([...model.untrained]).toEqual([['axes', 'its elements are of type int64']]);
  });

  it('is written with new elements and nothing else changed', async () => {
    const bias = tensorFrom(
      'float32',
      [30],
      Array.from({ length: 30 }, (_, i) => i),
    );
    const written = modelFromBytes(bytes, semantics).encode(new Map([['fc.bias', bias]]));
    const before = fromBinary(ModelProtoSchema, bytes);
    const after = fromBinary(ModelProtoSchema, written);
    const changed = after.graph?.initializer.find(({ name }) => name === 'fc.bias');
    const original = before.graph?.initializer.find(({ name }) => name === 'fc.bias');
    if (!changed || !original) throw new Error('no bias');
    expect(changed.rawData).not.toEqual(original.rawData);
    changed.rawData = original.rawData;
    expect(toBinary(ModelProtoSchema, after)).toEqual(bytes);
    const [old, now] = [await runOnnx(bytes, { x }), await runOnnx(written, { x })];
    const shift = Array.from(ramp([30]).data, Number).reduce((sum, element, i) => sum + i - element, 0);
    expect(Number(now.y?.data[0])).toBeCloseTo(Number(old.y?.data[0]) + shift, 3);
  });

  it('refuses parameters that it does not have or that do not fit', () => {
    const model = modelFromBytes(bytes, semantics, { name: 'digits' });
    const wrong = tensorFrom('float32', [2], [0, 0]);
    expect(() => model.encode(new Map([['fc.bias', wrong]]))).toThrow(GraphError);
    expect(() => model.encode(new Map([['fc.bias', wrong]]))).toThrow(
      /parameter 'fc.bias' of model 'digits' is float32\[30\]; it cannot become float32\[2\]/,
    );
    expect(() => model.encode(new Map([['axes', wrong]]))).toThrow(/model 'digits' has no parameter 'axes'/);
  });

  it.each(['mlp-relu', 'lenet', 'resnet-groupnorm', 'gpt'])(
    '%s: read and written, gives the same bits in ONNX Runtime',
    async (name) => {
      const path = join(folder, `${name}.onnx`);
      const original = readFileSync(new URL(`${name}.onnx`, exportedModels));
      const model = modelFromBytes(original, semantics);
      const initial = [...model.parameters].flatMap(([key, { constant }]): [string, TensorData][] =>
        constant ? [[key, constant]] : [],
      );
      await writeModelFile(model.with(new Map(initial)), path);
      const { input } = JSON.parse(readFileSync(new URL(`${name}.reference.json`, exportedModels), 'utf8'));
      const feeds = { input: tensorFrom(input.dtype, input.shape, input.data) };
      expect(await runOnnx(readFileSync(path), feeds)).toEqual(await runOnnx(original, feeds));
    },
  );
});

describe('external data', () => {
  /** The model with its weight in a file beside it. */
  function externalModel(location: string, range: { offset?: string; length?: string } = {}): Uint8Array {
    const proto = documented();
    const weight = proto.graph?.initializer[0];
    if (!weight) throw new Error('no weight');
    const entries = { location, offset: '16', length: '2400', ...range };
    weight.externalData = Object.entries(entries).map(([key, value]) =>
      create(StringStringEntryProtoSchema, { key, value }),
    );
    weight.dataLocation = TensorProto_DataLocation.EXTERNAL;
    writeFileSync(join(inside, 'weights.bin'), new Uint8Array([...new Uint8Array(16), ...weight.rawData]));
    weight.rawData = new Uint8Array();
    return toBinary(ModelProtoSchema, proto);
  }
  const inside = join(folder, 'models');
  mkdirSync(inside);
  const path = join(inside, 'model.onnx');
  const load = (content: Uint8Array) => {
    writeFileSync(path, content);
    return readModelFile(path, semantics);
  };

  it('is read, and embedded when the model is written', async () => {
    const model = await load(externalModel('weights.bin'));
    expect(model.parameters.get('fc.weight')?.constant).toEqual(ramp([20, 30]));
    expect(await runOnnx(model.encode(new Map()), { x })).toEqual(await runOnnx(bytes, { x }));
  });

  it('is written beside models too large for one file', async () => {
    const target = join(folder, 'large.onnx');
    await writeModelFile(modelFromBytes(bytes, semantics), target, { largestFile: 1000 });
    expect(readFileSync(target).length).toBeLessThan(1000);
    expect(readdirSync(folder).filter((name) => /^large\.onnx\.[0-9a-f]{12}\.data$/.test(name))).toHaveLength(1);
    const again = await readModelFile(target, semantics);
    expect(again.parameters.get('fc.weight')?.constant).toEqual(ramp([20, 30]));
    const session = await ort.InferenceSession.create(target);
    const result = await session.run({ x: new ort.Tensor('float32', x.data as Float32Array, [3, 20]) });
    expect(result.y?.data).toEqual((await runOnnx(bytes, { x })).y?.data);
  });

  writeFileSync(join(folder, 'secret.bin'), new Uint8Array(5000));
  symlinkSync(join(folder, 'secret.bin'), join(inside, 'link.bin'));
  const refusals: readonly [string, Uint8Array, RegExp][] = [
    ['climbs out', externalModel('../secret.bin'), /external data at '\.\.\/secret\.bin', outside its own folder/],
    ['climbs out further in', externalModel('sub/../../secret.bin'), /outside its own folder/],
    ['climbs out with backslashes', externalModel('..\\secret.bin'), /outside its own folder/],
    ['is absolute', externalModel(join(folder, 'secret.bin')), /outside its own folder/],
    ['follows a link out', externalModel('link.bin'), /outside its own folder/],
    ['is missing', externalModel('nothing.bin'), /'nothing.bin' of the model is missing/],
    ['is a folder', externalModel('.'), /is not a file/],
    [
      'is too short',
      externalModel('weights.bin', { offset: '17' }),
      /has 2416 bytes, but the model refers to bytes 17 to 2417/,
    ],
    [
      'declares another length',
      externalModel('weights.bin', { length: '24' }),
      /needs 2400 bytes of external data, but the model declares 24/,
    ],
    [
      'has no number as offset',
      externalModel('weights.bin', { offset: '-5' }),
      /the offset '-5' of its external data is not a number/,
    ],
  ];
  it.each(refusals)('is refused where it %s', async (_, content, message) => {
    await expect(load(content)).rejects.toThrow(FileError);
    await expect(load(content)).rejects.toThrow(message);
  });

  it('is refused in a model without a path', () => {
    expect(() => modelFromBytes(externalModel('weights.bin'), semantics)).toThrow(/load the model by its path/);
  });
});

describe('model files', () => {
  it('are refused with the reason', async () => {
    await expect(readModelFile(folder, semantics)).rejects.toThrow(/it is a folder/);
    const path = join(folder, 'cut.onnx');
    writeFileSync(path, modelBytes(spec).subarray(0, 1000));
    await expect(readModelFile(path, semantics)).rejects.toThrow(
      /cut\.onnx': this is not an ONNX model, or it is damaged or truncated/,
    );
  });
});
