// Fine-tuning's surgery on models: chosen parameters, new heads, low-rank adapters.
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, StringStringEntryProtoSchema } from 'onnx-buf';
import { describe, expect, it } from 'vitest';
import { type ModelSpec, modelBytes, modelProto, ramp, runOnnx } from '../../../test/support/onnx-models.js';
import { exportedModels } from '../../../test/support/outside.js';
import { loadModel, saveModel } from '../../api/load-save.js';
import { OptionError, UnsupportedError } from '../../errors.js';
import type { Value } from '../../graph/graph.js';
import { inline } from '../../graph/inline.js';
import { type TensorData, tensorFrom } from '../../graph/tensor.js';
import { mlp } from '../../nn/zoo.js';
import { narrow } from '../../onnx/edits/widen.js';
import { encodeModel } from '../../onnx/encode/writer.js';
import { Builder } from '../../ops/builder.js';
import { semantics } from '../../ops/table.js';
import { modelFromBytes } from '../file-model.js';
import type { Model } from '../model.js';
import { replaceHead } from './head.js';
import { addLora } from './lora.js';
import { selectParameters } from './select.js';

const small = () => mlp({ seed: 1, sizes: [6, 5, 4] });

/** Layers as exporters write them: a Gemm with a transposed weight, MatMul and Add, a final Softmax. */
const exported: ModelSpec = {
  opset: 17,
  inputs: { x: ['float32', ['batch', 6]] },
  initializers: {
    'body.weight': ramp([5, 6]),
    'body.bias': ramp([5]),
    'onnx::MatMul_9': ramp([5, 3]),
    'head.bias': ramp([3]),
  },
  nodes: [
    {
      op: 'Gemm',
      name: '/body/Gemm',
      inputs: ['x', 'body.weight', 'body.bias'],
      outputs: ['h'],
      attributes: { transB: 1, alpha: { float: 0.5 } },
    },
    { op: 'Relu', name: '/Relu', inputs: ['h'], outputs: ['r'] },
    { op: 'MatMul', name: '/head/MatMul', inputs: ['r', 'onnx::MatMul_9'], outputs: ['m'] },
    { op: 'Add', name: '/head/Add', inputs: ['head.bias', 'm'], outputs: ['logits'] },
    { op: 'Softmax', name: '/Softmax', inputs: ['logits'], outputs: ['y'] },
  ],
  outputs: ['y'],
};
const fromFile = (spec = exported) => modelFromBytes(modelBytes(spec), semantics, { name: 'exported' });

/** The model's graph at given parameters, run on an input. */
async function runGraph(model: Model, x: TensorData, parameters: ReadonlyMap<string, TensorData>) {
  const b = new Builder();
  const feeds: Record<string, TensorData> = { x };
  const bindings = new Map<Value, Value>();
  for (const input of model.graph.inputs) bindings.set(input, b.input('x', 'float32', x.dims));
  for (const [name, value] of model.parameters) {
    const data = parameters.get(name) ?? value.constant;
    if (!data) throw new Error(name);
    feeds[name] = data;
    bindings.set(value, b.input(name, data.dtype, data.dims));
  }
  const [y] = inline(b, model.graph, bindings).outputs.values();
  if (!y) throw new Error('no output');
  const { y: result } = await runOnnx(encodeModel(b.build('bound', { y })), feeds);
  return Array.from(result?.data ?? [], Number);
}

describe('selectParameters', () => {
  it('keeps what is named and not frozen', () => {
    const names = (model: Model) => [...model.parameters.keys()];
    expect(names(selectParameters(small(), { train: ['fc2.*'] }))).toEqual(['fc2.weight', 'fc2.bias']);
    expect(names(selectParameters(small(), { freeze: ['*.bias'] }))).toEqual(['fc1.weight', 'fc2.weight']);
    expect(names(selectParameters(small(), { train: ['fc?.weight'], freeze: ['fc1*'] }))).toEqual(['fc2.weight']);
  });

  it('takes dots for dots, and refuses globs that match nothing', () => {
    expect(() => selectParameters(small(), { train: ['fc1xweight'] })).toThrow(OptionError);
    expect(() => selectParameters(small(), { train: ['fc1.weigh'] })).toThrow(
      /'fc1.weigh' matches no parameter of model 'mlp'; it has fc1.weight, fc1.bias, fc2.weight, fc2.bias/,
    );
    const scaled = fromFile({
      ...exported,
      nodes: [{ op: 'Mul', inputs: ['x', 'scale'], outputs: ['s'] }, ...exported.nodes],
      initializers: { ...exported.initializers, scale: ramp([6]) },
    });
    expect(() => selectParameters(scaled, { train: ['sc*'] })).toThrow(
      /'sc\*' matches no parameter of model 'exported': its tensor 'scale' is held fixed, because no node reads it/,
    );
    expect(selectParameters(scaled, { freeze: ['scale'] }).parameters.size).toBe(4);
    expect(() => selectParameters(small(), { freeze: ['*'] })).toThrow(/no parameter of model 'mlp' is left to train/);
  });
});

describe('replaceHead', () => {
  it.each([
    ['a built model', small, ['fc2.weight', 'fc2.bias']],
    ['a file with MatMul, Add and Softmax', fromFile, ['onnx::MatMul_9', 'head.bias']],
  ] as const)('gives %s another number of classes and leaves the rest', async (_, make, head) => {
    const old = make();
    const model = replaceHead(old, 7, 3);
    const [input = ''] = model.graph.inputs.map(({ name }) => name);
    const results = await runOnnx(model.encode(new Map()), { [input]: ramp([2, 6]) });
    const [output] = Object.values(results);
    expect(output?.dims).toEqual([2, 7]);
    expect([...model.parameters.keys()]).toEqual([...old.parameters.keys()]);
    for (const [name, value] of model.parameters) {
      if ((head as readonly string[]).includes(name)) expect(value.dims.at(-1)).toBe(7);
      else expect(value.constant).toEqual(old.parameters.get(name)?.constant);
    }
    const [weight, bias] = head.map((name) => Array.from(model.parameters.get(name)?.constant?.data ?? [], Number));
    expect(bias).toEqual(new Array(7).fill(0));
    expect(Math.max(...(weight ?? []))).toBeLessThan(1 / Math.sqrt(5));
    expect(new Set(weight).size).toBe(35);
    expect(replaceHead(old, 7, 3).encode(new Map())).toEqual(model.encode(new Map()));
  });

  it('keeps the layout of a transposed weight', () => {
    const [first, , , , ...rest] = exported.nodes;
    const { 'body.weight': weight = ramp([1]), 'body.bias': bias = ramp([1]) } = exported.initializers ?? {};
    if (!first || rest.length > 1) throw new Error('the example changed');
    const spec = {
      ...exported,
      initializers: { 'body.weight': weight, 'body.bias': bias },
      nodes: [{ ...first, outputs: ['y'] }],
    };
    expect(replaceHead(fromFile(spec), 9, 1).parameters.get('body.weight')?.dims).toEqual([9, 6]);
  });

  it('refuses what has no last layer of its own', () => {
    const cut = (op: string) => ({
      ...exported,
      nodes: [...exported.nodes.slice(0, 4), { op, name: 'last', inputs: ['logits'], outputs: ['y'] }],
    });
    expect(() => replaceHead(fromFile(cut('CumSum')), 5, 1)).toThrow(UnsupportedError);
    expect(() => replaceHead(fromFile(cut('CumSum')), 5, 1)).toThrow(/its output comes from CumSum node 'last'/);
    const tied = {
      ...exported,
      nodes: [{ op: 'Gather', inputs: ['onnx::MatMul_9', 'id'], outputs: ['row'] }, ...exported.nodes],
      initializers: { ...exported.initializers, id: tensorFrom('int64', [], [0]) },
      outputs: ['y', 'row'],
    };
    expect(() => replaceHead(fromFile(tied), 5, 1)).toThrow(/'onnx::MatMul_9' is used elsewhere as well/);
    expect(() => replaceHead(small(), 0, 1)).toThrow(/number of classes is 0/);
  });
});

describe('addLora', () => {
  const x = ramp([3, 6]);

  it('starts as the same function, with the adapters as its parameters', async () => {
    const model = addLora(fromFile(), { rank: 2, seed: 1, train: ['head.bias'] });
    expect([...model.parameters].map(([name, { dims }]) => `${name} ${dims}`)).toEqual([
      'head.bias 3',
      'body.weight.lora_a 6,2',
      'body.weight.lora_b 2,5',
      'onnx::MatMul_9.lora_a 5,2',
      'onnx::MatMul_9.lora_b 2,3',
    ]);
    const { y } = await runOnnx(modelBytes(exported), { x });
    expect(await runGraph(model, x, new Map())).toEqual(Array.from(y?.data ?? [], Number));
  });

  it.each([
    ['a file', fromFile],
    ['a built model', small],
  ] as const)('is merged into the weights of %s: the file computes what the adapters do', async (_, make) => {
    const model = addLora(make(), { rank: 2, alpha: 3, seed: 1 });
    const trained = new Map([...model.parameters].map(([name, { dims }]) => [name, ramp(dims, 0.3)] as const));
    const merged = model.encode(trained);
    const [input = ''] = model.graph.inputs.map(({ name }) => name);
    const [y] = Object.values(await runOnnx(merged, { [input]: x }));
    const expected = await runGraph(model, x, trained);
    const untrained = await runGraph(model, x, new Map());
    expect(Math.max(...expected.map((value, i) => Math.abs(value - (untrained[i] ?? 0))))).toBeGreaterThan(0.01);
    for (const [i, value] of Array.from(y?.data ?? [], Number).entries())
      expect(value).toBeCloseTo(expected[i] ?? 0, 5);
    const before = modelFromBytes(make().encode(new Map()), semantics);
    const after = modelFromBytes(merged, semantics);
    expect([...after.parameters.keys()]).toEqual([...before.parameters.keys()]);
    expect(after.graph.nodes.map(({ op }) => op)).toEqual(before.graph.nodes.map(({ op }) => op));
  });

  it('refuses ranks and weights that do not fit', () => {
    expect(() => addLora(small(), { rank: 0, seed: 1 })).toThrow(/rank of the adapters is 0/);
    expect(() => addLora(small(), { rank: 2, seed: 1, weights: ['*.bias'] })).toThrow(
      /'fc1.bias' is not the weight of a dense layer/,
    );
    expect(() => addLora(small(), { rank: 2, seed: 1 }).encode(new Map([['fc1.weight', ramp([6, 5])]]))).toThrow(
      /with adapters has no parameter 'fc1.weight'/,
    );
    const twice = {
      ...exported,
      nodes: [{ op: 'MatMul', name: 'again', inputs: ['r0', 'onnx::MatMul_9'], outputs: ['m0'] }, ...exported.nodes],
      inputs: { ...exported.inputs, r0: ['float32', ['batch', 5]] as const },
    };
    const shared = fromFile({ ...twice, outputs: ['y', 'm0'] });
    expect(() => addLora(shared, { rank: 2, seed: 1, weights: ['onnx::*'] })).toThrow(
      /'onnx::MatMul_9' is shared by several layers/,
    );
    expect([...addLora(shared, { rank: 2, seed: 1 }).parameters.keys()]).toEqual([
      'body.weight.lora_a',
      'body.weight.lora_b',
    ]);
  });

  it('leaves a weight alone that an embedding reads too: merged, the adapter would change the embedding', () => {
    const model = fromFile({
      opset: 17,
      inputs: { ids: ['int64', ['batch']] },
      initializers: { 'embed.weight': ramp([7, 4]), 'fc.weight': ramp([4, 4]) },
      nodes: [
        { op: 'Gather', inputs: ['embed.weight', 'ids'], outputs: ['h'] },
        { op: 'MatMul', inputs: ['h', 'fc.weight'], outputs: ['z'] },
        { op: 'Transpose', inputs: ['embed.weight'], outputs: ['head'], attributes: { perm: [1, 0] } },
        { op: 'MatMul', inputs: ['z', 'head'], outputs: ['y'] },
      ],
      outputs: ['y'],
    });
    expect([...addLora(model, { rank: 2, seed: 1 }).parameters.keys()]).toEqual([
      'fc.weight.lora_a',
      'fc.weight.lora_b',
    ]);
    expect(() => addLora(model, { rank: 2, seed: 1, weights: ['embed.*'] })).toThrow(UnsupportedError);
  });

  describe('writes the file that it was made of', () => {
    const half = (value: TensorData) => narrow(value, 'float16');
    const { initializers = {}, ...rest } = exported;
    const proto = modelProto({
      ...rest,
      inputs: { x: ['float16', ['batch', 6]] },
      initializers: Object.fromEntries(Object.entries(initializers).map(([name, data]) => [name, half(data)])),
    });
    proto.metadataProps = [create(StringStringEntryProtoSchema, { key: 'author', value: 'someone' })];
    const original = toBinary(ModelProtoSchema, proto);
    const adapted = () =>
      addLora(modelFromBytes(original, semantics, { name: 'half' }), {
        ...{ rank: 2, seed: 1, except: ['body.weight'], train: ['head.bias'] },
      });
    const trained = new Map([...adapted().parameters].map(([name, { dims }]) => [name, ramp(dims, 0.5)] as const));

    it('with names, nodes, metadata, operator set and untouched tensors, in float16', () => {
      const written = fromBinary(ModelProtoSchema, adapted().encode(trained));
      const changed = written.graph?.initializer.filter(({ name }) => ['onnx::MatMul_9', 'head.bias'].includes(name));
      expect(changed?.map(({ dataType }) => dataType)).toEqual([10, 10]);
      for (const tensor of changed ?? []) {
        const before = proto.graph?.initializer.find(({ name }) => name === tensor.name);
        expect(tensor.rawData).not.toEqual(before?.rawData);
        if (before) tensor.rawData = before.rawData;
      }
      expect(Buffer.compare(toBinary(ModelProtoSchema, written), original)).toBe(0);
      expect(Buffer.compare(adapted().encode(new Map()), original)).toBe(0);
      expect(adapted()).toMatchObject({ opset: 17, metadata: { author: 'someone' }, halfPrecision: true });
    });

    it('widened where that is asked for, by the path, with external data', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'cgfac-lora-'));
      try {
        const path = join(folder, 'adapted.onnx');
        const wide = { 'body.weight': ramp([60, 6]), 'body.bias': ramp([60]), 'onnx::MatMul_9': ramp([60, 3]) };
        const large = fromFile({ ...exported, initializers: { ...initializers, ...wide } });
        const lora = addLora(large, { rank: 2, seed: 1 });
        const parameters = new Map([...lora.parameters].map(([name, { dims }]) => [name, ramp(dims, 0.1)] as const));
        await saveModel(lora.with(parameters), path, { largestFile: 1000 });
        expect((await readdir(folder)).filter((name) => name.endsWith('.data'))).toHaveLength(1);
        const merged = modelFromBytes(lora.encode(parameters), semantics);
        const read = await loadModel(path);
        for (const [name, { constant }] of merged.parameters) {
          expect(read.parameters.get(name)?.constant).toEqual(constant);
        }
        await saveModel(adapted().with(trained), path, { dtype: 'float32' });
        expect((await loadModel(path)).halfPrecision).toBe(false);
        await saveModel(adapted().with(trained), path, { dtype: 'float16' });
        expect((await loadModel(path)).halfPrecision).toBe(true);
      } finally {
        await rm(folder, { recursive: true });
      }
    });
  });
});

describe('models that PyTorch exported', () => {
  it.each([
    ['mlp-relu', 'l.5.weight'],
    ['lenet', 'f3.weight'],
    ['resnet-groupnorm', 'fc.weight'],
    ['gpt', 'onnx::MatMul_249'],
  ])('%s gets a new head and adapters', async (name, weight) => {
    const bytes = readFileSync(new URL(`${name}.onnx`, exportedModels));
    const { input } = JSON.parse(readFileSync(new URL(`${name}.reference.json`, exportedModels), 'utf8'));
    const feeds = { input: tensorFrom(input.dtype, input.shape, input.data) };
    const headed = replaceHead(modelFromBytes(bytes, semantics), 5, 1);
    expect((await runOnnx(headed.encode(new Map()), feeds)).output?.dims.at(-1)).toBe(5);
    const adapted = addLora(headed, { rank: 4, seed: 1, weights: [weight] });
    const trained = new Map([...adapted.parameters].map(([key, { dims }]) => [key, ramp(dims, 0.1)] as const));
    expect((await runOnnx(adapted.encode(trained), feeds)).output?.dims.at(-1)).toBe(5);
  });
});
