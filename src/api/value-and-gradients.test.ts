// Loss and gradients of models that PyTorch exported, against what PyTorch computed for them.
import { readFileSync } from 'node:fs';
import { fromBinary } from '@bufbuild/protobuf';
import { type GraphProto, ModelProtoSchema } from 'onnx-buf';
import { Tensor } from 'onnxruntime-common';
import { describe, expect, it } from 'vitest';
import { type ModelSpec, modelBytes, ramp } from '../../test/support/onnx-models.js';
import { exportedModels } from '../../test/support/outside.js';
import { dataset } from '../data/dataset.js';
import { FileError, GraphError, OptionError, UnsupportedError } from '../errors.js';
import { tensorFrom } from '../graph/tensor.js';
import type { LossWord } from '../losses/index.js';
import { normal } from '../nn/initialization.js';
import { Network } from '../nn/network.js';
import { mlp } from '../nn/zoo.js';
import { adam } from '../optimizers/adam.js';
import { loadModel } from './load-save.js';
import { train } from './train.js';
import { valueAndGradients } from './value-and-gradients.js';

const names = ['mlp-relu', 'lenet', 'resnet-groupnorm', 'gpt'];

interface StoredTensor {
  readonly dtype: 'float32' | 'int64';
  readonly shape: number[];
  readonly data: number[];
}

interface Reference {
  readonly loss: LossWord;
  readonly lossValue: number;
  readonly input: StoredTensor;
  readonly target: StoredTensor;
  readonly gradients: Readonly<
    Record<string, { readonly shape: number[]; readonly l2: number; readonly sum: number; readonly first: number[] }>
  >;
}

const toTensor = ({ dtype, shape, data }: StoredTensor): Tensor =>
  dtype === 'int64'
    ? new Tensor('int64', BigInt64Array.from(data, BigInt), shape)
    : new Tensor('float32', Float32Array.from(data), shape);

/**
 * PyTorch's name of a parameter. The exporter stores what it transposed or reshaped under names of its own; the name of
 * the node that reads it tells the module.
 */
function nameInPyTorch(graph: GraphProto, parameter: string, known: ReadonlySet<string>) {
  if (known.has(parameter)) return { name: parameter, transposed: false };
  const user = graph.node.find((node) => node.opType !== 'Identity' && node.input.includes(parameter));
  const module = user?.name.split('/').slice(1, -1).join('.');
  if (!user || !module) throw new Error(`no PyTorch name for '${parameter}'`);
  return { name: `${module}.${user.opType === 'Add' ? 'bias' : 'weight'}`, transposed: user.opType === 'MatMul' };
}

const close = (actual: number, expected: number, scale: number) =>
  Math.abs(actual - expected) <= 1e-4 * Math.abs(expected) + 1e-6 * scale;

describe('models that PyTorch exported', () => {
  it.each(names)('%s: loss and every gradient as PyTorch computed them', async (name) => {
    const bytes = readFileSync(new URL(`${name}.onnx`, exportedModels));
    const reference = JSON.parse(readFileSync(new URL(`${name}.reference.json`, exportedModels), 'utf8')) as Reference;
    const { graph } = fromBinary(ModelProtoSchema, bytes);
    if (!graph) throw new Error('no graph');
    const model = await loadModel(bytes);
    const { loss, gradients } = await valueAndGradients(model, {
      loss: reference.loss,
      inputs: toTensor(reference.input),
      targets: toTensor(reference.target),
    });
    expect(Math.abs(loss - reference.lossValue) / reference.lossValue).toBeLessThan(1e-5);
    const known = new Set(Object.keys(reference.gradients));
    const seen = new Set<string>();
    for (const [parameter, gradient] of gradients) {
      const data = gradient.data as Float32Array;
      const { name: pytorch, transposed } = nameInPyTorch(graph, parameter, known);
      const expected = reference.gradients[pytorch];
      if (!expected || seen.has(pytorch)) throw new Error(`'${parameter}' is no parameter of its own: '${pytorch}'`);
      seen.add(pytorch);
      const { l2: norm } = expected;
      const sum = data.reduce((p, element) => p + element, 0);
      expect(close(sum, expected.sum, norm * Math.sqrt(data.length)), `${parameter}: sum ${sum}`).toBe(true);
      const l2 = Math.hypot(...data);
      expect(close(l2, norm, norm), `${parameter}: norm ${l2}, not ${norm}`).toBe(true);
      const columns = gradient.dims[1] ?? 1;
      for (const [i, first] of expected.first.entries()) {
        const element = data[transposed ? i * columns : i] ?? Number.NaN;
        expect(close(element, first, norm), `${parameter}[${i}]: ${element}, not ${first}`).toBe(true);
      }
    }
    expect([...seen].sort()).toEqual([...known].sort());
  });
});

/** Targets 0 or 1 and a model x·W (3 × 4), what it computes arranged in rows of two, with a sigmoid somewhere or without. */
async function arranged(sigmoid: 'last' | 'before' | 'none') {
  const network = new Network('arranged', { seed: 3 });
  const { b } = network;
  const y = b.matmul(network.input('input', [3]), network.parameter('w', [3, 4], normal(1)));
  const z = b.transpose(b.reshape(sigmoid === 'before' ? b.sigmoid(y) : y, [-1, 2, 2]), [0, 2, 1]);
  const model = network.model(sigmoid === 'last' ? b.sigmoid(z) : z);
  const { loss, gradients } = await valueAndGradients(model, {
    loss: 'sigmoid-cross-entropy',
    inputs: new Tensor('float32', ramp([2, 3]).data as Float32Array, [2, 3]),
    targets: new Tensor('float32', Float32Array.of(0, 1, 1, 0, 1, 0, 0, 1), [2, 2, 2]),
  });
  return [loss, ...Array.from(gradients.get('w')?.data as Float32Array)];
}

it('a sigmoid is contained in its loss, also before elements are rearranged', async () => {
  const logits = await arranged('none');
  expect(logits).toHaveLength(13);
  expect(await arranged('last')).toEqual(logits);
  expect(await arranged('before')).toEqual(logits);
});

describe('valueAndGradients', () => {
  const model = () => loadModel(readFileSync(new URL('mlp-relu.onnx', exportedModels)));
  const inputs = new Tensor('float32', new Float32Array(784), [1, 1, 28, 28]);
  const targets = new Tensor('int64', BigInt64Array.from([3n]), [1]);
  const loss = 'softmax-cross-entropy' as const;

  it('differentiates by the named parameters only, and at other values than the file holds', async () => {
    const chosen = await valueAndGradients(await model(), { loss, inputs, targets, of: ['l.5.bias'] });
    expect([...chosen.gradients.keys()]).toEqual(['l.5.bias']);
    // All logits equal: the loss is log 10, and the gradient of the last bias is 0.1 less the label.
    const zeros = new Map(
      [...(await model()).parameters].map(([name, { dims }]) => {
        const size = dims.reduce((product, length) => product * length, 1);
        return [name, new Tensor('float32', new Float32Array(size), dims)] as const;
      }),
    );
    const flat = await valueAndGradients(await model(), { loss, inputs, targets, at: zeros });
    expect(flat.loss).toBeCloseTo(Math.log(10), 6);
    const expected = Array.from({ length: 10 }, (_, i) => 0.1 - Number(i === 3));
    for (const [i, element] of Array.from(flat.gradients.get('l.5.bias')?.data as Float32Array).entries()) {
      expect(element).toBeCloseTo(expected[i] ?? 0, 6);
    }
  });

  it('says what does not fit', async () => {
    const loaded = await model();
    const wrongInput = new Tensor('float32', new Float32Array(4), [1, 4]);
    await expect(valueAndGradients(loaded, { loss, inputs: wrongInput, targets })).rejects.toThrow(
      /input 'input' is float32\[batch, 1, 28, 28\]; a tensor float32\[1, 4\] does not fit/,
    );
    const wrongTargets = new Tensor('float32', new Float32Array(9), [1, 9]);
    await expect(valueAndGradients(loaded, { loss, inputs, targets: wrongTargets })).rejects.toThrow(GraphError);
    await expect(valueAndGradients(loaded, { loss, inputs, targets, of: ['nothing'] })).rejects.toThrow(
      /no parameter 'nothing'; it has l\.1\.weight/,
    );
    await expect(valueAndGradients(loaded, { loss, inputs: { image: inputs }, targets })).rejects.toThrow(OptionError);
    await expect(valueAndGradients(loaded, { loss: 'hinged' as LossWord, inputs, targets })).rejects.toThrow(
      /unknown loss/,
    );
  });

  it('takes models whose other outputs come from operators that cgfac does not know, and names one that is in the way', async () => {
    const spec: ModelSpec = {
      opset: 17,
      inputs: { x: ['float32', ['batch', 2]] },
      initializers: { weight: ramp([2, 3]) },
      nodes: [
        { op: 'MatMul', inputs: ['x', 'weight'], outputs: ['y'] },
        { op: 'Mystery', name: 'odd', domain: 'com.example', inputs: ['y'], outputs: ['m'] },
        { op: 'Relu', inputs: ['m'], outputs: ['other'] },
      ],
      outputs: ['y', 'other'],
    };
    const request = {
      loss: 'mean-squared-error',
      inputs: { x: new Tensor('float32', Float32Array.of(1, 2), [1, 2]) },
      targets: new Tensor('float32', new Float32Array(3), [1, 3]),
    } as const;
    const { loss, gradients } = await valueAndGradients(await loadModel(modelBytes(spec)), request);
    const y = [0, 1, 2].map((j) => Number(ramp([2, 3]).data[j]) + 2 * Number(ramp([2, 3]).data[3 + j]));
    expect(loss).toBeCloseTo(y.reduce((sum, element) => sum + element ** 2, 0) / 3, 5);
    for (const [i, slope] of Array.from(gradients.get('weight')?.data as Float32Array).entries()) {
      expect(slope).toBeCloseTo(((i < 3 ? 1 : 2) * 2 * (y[i % 3] ?? 0)) / 3, 5);
    }
    const blocked = await loadModel(modelBytes({ ...spec, outputs: ['other'] }));
    await expect(valueAndGradients(blocked, request)).rejects.toThrow(UnsupportedError);
    await expect(valueAndGradients(blocked, request)).rejects.toThrow(/Mystery node 'odd'.* no rule for this operator/);
  });

  const table: ModelSpec = {
    opset: 17,
    inputs: { ids: ['int64', ['batch', 'time']] },
    initializers: { table: ramp([5, 3]) },
    nodes: [{ op: 'Gather', inputs: ['table', 'ids'], outputs: ['y'] }],
    outputs: ['y'],
  };
  const labels = new Tensor('int32', Int32Array.of(0, 2), [1, 2]);

  it('takes token numbers and labels of any integer type, and says which numbers do not fit', async () => {
    const loaded = await loadModel(modelBytes(table));
    const ids = new Tensor('int64', BigInt64Array.of(4n, 1n), [1, 2]);
    const expected = await valueAndGradients(loaded, { loss, inputs: ids, targets: labels });
    const narrow = new Tensor('int32', Int32Array.of(4, 1), [1, 2]);
    expect(await valueAndGradients(loaded, { loss, inputs: narrow, targets: labels })).toEqual(expected);
    const small = await loadModel(modelBytes({ ...table, inputs: { ids: ['int32', ['batch', 'time']] } }));
    expect(await valueAndGradients(small, { loss, inputs: ids, targets: labels })).toEqual(expected);
    const huge = new Tensor('int64', BigInt64Array.of(2n ** 40n, 1n), [1, 2]);
    await expect(valueAndGradients(small, { loss, inputs: huge, targets: labels })).rejects.toThrow(
      /input 'ids' is int32\[batch, time\]; a tensor int64\[1, 2\] does not fit/,
    );
  });

  it.each(['Identity', 'Softmax', 'LogSoftmax'])(
    'takes logits with the classes on the second axis, as PyTorch’s loss does, that end in %s',
    async (end) => {
      const segmentation: ModelSpec = {
        opset: 17,
        inputs: { x: ['float32', ['batch', 2, 'height', 'width']] },
        initializers: { kernel: ramp([3, 2, 1, 1]) },
        nodes: [
          { op: 'Conv', inputs: ['x', 'kernel'], outputs: ['h'] },
          { op: end, inputs: ['h'], outputs: ['y'], ...(end === 'Identity' ? {} : { attributes: { axis: 1 } }) },
        ],
        outputs: ['y'],
      };
      const last: ModelSpec = {
        ...segmentation,
        nodes: [
          { op: 'Conv', inputs: ['x', 'kernel'], outputs: ['h'] },
          { op: 'Transpose', inputs: ['h'], outputs: ['y'], attributes: { perm: [0, 2, 3, 1] } },
        ],
      };
      const request = {
        loss,
        inputs: new Tensor('float32', ramp([1, 2, 2, 4]).data as Float32Array, [1, 2, 2, 4]),
        targets: new Tensor('int32', Int32Array.of(0, 1, 2, 0, 1, 2, 2, 2), [1, 2, 4]),
      } as const;
      const expected = await valueAndGradients(await loadModel(modelBytes(last)), request);
      const found = await valueAndGradients(await loadModel(modelBytes(segmentation)), request);
      expect(found.loss).toBeCloseTo(expected.loss, 6);
      for (const [i, slope] of Array.from(expected.gradients.get('kernel')?.data as Float32Array).entries()) {
        expect(found.gradients.get('kernel')?.data[i]).toBeCloseTo(slope, 6);
      }
    },
  );

  it('refuses labels that are no class, PyTorch’s ignore_index among them', async () => {
    const loaded = await loadModel(modelBytes(table));
    const at = (label: number) =>
      valueAndGradients(loaded, {
        loss,
        inputs: labels,
        targets: new Tensor('int32', Int32Array.of(label, 0), [1, 2]),
      });
    await expect(at(3)).rejects.toThrow(/the targets hold 3, but the labels of 3 classes are 0 to 2/);
    await expect(at(-100)).rejects.toThrow(GraphError);
  });

  it('names a file that is missing or no model', async () => {
    await expect(loadModel('/nowhere/model.onnx')).rejects.toThrow(
      /cannot read the model '\/nowhere\/model.onnx': there is no such file/,
    );
    await expect(loadModel(new TextEncoder().encode('not a model'))).rejects.toThrow(FileError);
  });
});

const points = dataset({
  name: 'points',
  size: 8,
  inputs: { dtype: 'float32', shape: [4], data: ramp([8, 4]).data as Float32Array },
  targets: { dtype: 'int64', shape: [], data: Int32Array.from({ length: 8 }, (_, i) => i % 2) },
  classes: ['even', 'odd'],
});

it('takes what training returns as the point to differentiate at, and the trained model itself', async () => {
  const { model, parameters } = await train(mlp({ sizes: [4, 3, 2], seed: 1 }), {
    data: { train: points, test: points },
    optimizer: adam(),
    batchSize: 4,
    steps: 2,
    threads: 1,
  });
  const request = {
    loss: 'softmax-cross-entropy',
    inputs: ramp([2, 4]),
    targets: tensorFrom('int64', [2], [0, 1]),
  } as const;
  const expected = await valueAndGradients(model, request);
  expect(await valueAndGradients(model, { ...request, at: parameters })).toEqual(expected);
  const at = new Map(
    [...parameters].map(([name, { dtype, dims, data }]) => [
      name,
      new Tensor(dtype as 'float32', data as Float32Array, dims),
    ]),
  );
  expect(await valueAndGradients(model, { ...request, at })).toEqual(expected);
});
