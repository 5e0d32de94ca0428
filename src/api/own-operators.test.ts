// Operators of users: models with them are differentiated, trained and written, whatever runs them.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tensor } from 'onnxruntime-common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ModelSpec, modelBytes, type NodeSpec, ramp, runOnnx } from '../../test/support/onnx-models.js';
import {
  adam,
  cgfac,
  composedOperator,
  dataset,
  type Engine,
  GraphError,
  loadModel,
  noGradient,
  type OpDefinition,
  OptionError,
  predict,
  replaceHead,
  saveModel,
  selfTuning,
  UnsupportedError,
  valueAndGradients,
} from '../index.js';
import { nodeEngine, train } from '../node.js';
import { encodeModel } from '../onnx/encode/writer.js';
import { Builder } from '../ops/builder.js';

/** x·sigmoid(β·x)·g with β an attribute. */
const gated = composedOperator(({ b, node, x }) => {
  const beta = node.attributes.beta;
  return [b.mul(b.mul(x(0), b.sigmoid(b.mul(x(0), beta?.kind === 'float' ? beta.value : 1))), x(1))];
});

/** Which the runtime has, and cgfac has not. */
const biasGelu: OpDefinition = {
  infer: ({ inputs }) => [inputs[0]?.type],
  gradient: ({ through }) => through(({ b, x }) => [b.op('Gelu', [b.add(x(0), x(1))])]),
};

const network = (middle: readonly NodeSpec[]): ModelSpec => ({
  opset: 20,
  inputs: { x: ['float32', ['batch', 3]] },
  initializers: {
    'fc1.weight': ramp([3, 4], 0.8),
    gate: ramp([4], 0.5),
    'bias.value': ramp([4], 0.2),
    two: { dtype: 'float32', dims: [], data: Float32Array.of(2) },
    'fc2.weight': ramp([4, 2], 0.6),
  },
  nodes: [
    { op: 'MatMul', inputs: ['x', 'fc1.weight'], outputs: ['h'] },
    ...middle,
    { op: 'MatMul', inputs: ['b', 'fc2.weight'], outputs: ['y'] },
  ],
  outputs: ['y'],
});
const own = network([
  {
    op: 'Gated',
    domain: 'my.domain',
    name: 'gated',
    inputs: ['h', 'gate'],
    outputs: ['g'],
    attributes: { beta: { float: 2 } },
  },
  { op: 'BiasGelu', domain: 'com.microsoft', name: 'gelu', inputs: ['g', 'bias.value'], outputs: ['b'] },
]);
const written = network([
  { op: 'Mul', inputs: ['h', 'two'], outputs: ['h2'] },
  { op: 'Sigmoid', inputs: ['h2'], outputs: ['s'] },
  { op: 'Mul', inputs: ['h', 's'], outputs: ['hs'] },
  { op: 'Mul', inputs: ['hs', 'gate'], outputs: ['g'] },
  { op: 'Add', inputs: ['g', 'bias.value'], outputs: ['sum'] },
  { op: 'Gelu', inputs: ['sum'], outputs: ['b'] },
]);
const operators = { 'my.domain.Gated': gated, 'com.microsoft.BiasGelu': biasGelu };

const inputs = ramp([24, 3], 2).data as Float32Array;
const set = dataset({
  ...{ name: 'points', size: 24, inputs: { dtype: 'float32', shape: [3], data: inputs }, classes: ['a', 'b'] },
  targets: { dtype: 'int64', shape: [], data: Int32Array.from({ length: 24 }, (_, i) => i % 2) },
});
const request = {
  loss: 'softmax-cross-entropy',
  inputs: new Tensor('float32', inputs, [24, 3]),
  targets: new Tensor(
    'int32',
    Int32Array.from({ length: 24 }, (_, i) => i % 2),
    [24],
  ),
} as const;

let engine: Engine;
let folder: string;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
  folder = await mkdtemp(join(tmpdir(), 'own-'));
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true });
});

describe('a model with operators of its user', () => {
  it('has the gradients of what they are composed of', async () => {
    const found = await valueAndGradients(await loadModel(modelBytes(own), { operators }), { ...request, engine });
    const expected = await valueAndGradients(await loadModel(modelBytes(written)), { ...request, engine });
    expect(found.loss).toBeCloseTo(expected.loss, 6);
    expect([...found.gradients.keys()]).toEqual(['fc1.weight', 'gate', 'bias.value', 'fc2.weight']);
    for (const [name, gradient] of found.gradients) {
      for (const [i, element] of Array.from(gradient.data as Float32Array).entries()) {
        expect(element, name).toBeCloseTo(Number(expected.gradients.get(name)?.data[i]), 6);
      }
    }
  });

  it.each([
    ['first order', () => adam({ learningRate: 0.02 })],
    ['second order, which differentiates twice', () => cgfac({ step: selfTuning() })],
  ])('is trained, %s, as the one that is written out', async (_, optimizer) => {
    const options = { engine, data: { train: set, test: set }, steps: 5, batchSize: 24, normalize: false } as const;
    const { record } = await train(await loadModel(modelBytes(own), { operators }), {
      ...options,
      optimizer: optimizer(),
    });
    const { record: expected } = await train(await loadModel(modelBytes(written)), {
      ...options,
      optimizer: optimizer(),
    });
    expect(record.train.loss).toBeLessThan(record.steps[0]?.loss ?? 0);
    expect(record.train.loss).toBeCloseTo(expected.train.loss, 4);
  });

  it('is written with them, by their names', async () => {
    const bytes = modelBytes(own);
    const model = await loadModel(bytes, { operators });
    const path = join(folder, 'own.onnx');
    await saveModel(model, path);
    expect(Buffer.compare(await readFile(path), bytes)).toBe(0);
    const again = await loadModel(path, { operators });
    expect([...again.parameters.keys()]).toEqual([...model.parameters.keys()]);
    const wider = replaceHead(again, 5, 1);
    expect(wider.graph.nodes.map(({ op }) => op)).toContain('Gated');
    expect(wider.parameters.get('fc2.weight')?.dims).toEqual([4, 5]);
  });

  it('is refused without their definitions, by the name of the node', async () => {
    const loaded = await loadModel(modelBytes(own));
    await expect(valueAndGradients(loaded, { ...request, engine })).rejects.toThrow(/Gated node 'gated'/);
  });

  it.each<readonly [string, OpDefinition['gradient'], string]>([
    ['too few axes', ({ b, dy }) => [b.sum(dy)], 'returned float32[] for input 0, which is float32[24, 4]'],
    ['a sum', ({ b, dy }) => [b.sum(dy, [0], true)], 'returned float32[1, 4] for input 0, which is float32[24, 4]'],
    ['other numbers', ({ b, dy }) => [b.cast(dy, 'float64')], 'returned float64[24, 4] for input 0, which is float32'],
    ['no value', () => [1 as never], 'returned 1 for input 0, which is float32[24, 4]'],
    ['no array', () => undefined as never, 'returned undefined, not an array'],
    ['nothing', () => [], 'returned an array of 0, and none for input 0'],
    ['too few', ({ dy }) => [dy], 'returned an array of 1, and none for input 1'],
    ['too many', ({ dy }) => [dy, dy, dy], 'returned 3 cotangents for 2 inputs'],
  ])('refuses a gradient rule that returns %s, by the name of the node', async (_, gradient, message) => {
    const wrong: OpDefinition = { ...gated, gradient };
    const model = await loadModel(modelBytes(own), { operators: { ...operators, 'my.domain.Gated': wrong } });
    await expect(valueAndGradients(model, { ...request, engine })).rejects.toThrow(
      `Gated node 'gated' cannot be differentiated: its gradient rule ${message}`,
    );
  });

  it.each<readonly [string, OpDefinition['expand'], string]>([
    [
      'nothing',
      () => undefined as never,
      'expand function) is undefined; return an array of its outputs, a value each',
    ],
    ['no output', () => [], 'expand function) is an array of 0; return an array of its outputs'],
    ['a bare value', ({ x }) => x(0) as never, 'expand function) is a Value; return an array of its outputs'],
    ['a number', () => [1 as never], 'expand function) is an array of 1 with 1; return an array of its outputs'],
  ])('refuses an operator that is composed of %s, by the name of the node', async (_, expand, message) => {
    const wrong: OpDefinition = {
      infer: ({ inputs: [x] }) => [x?.type],
      gradient: noGradient('none'),
      ...(expand && { expand }),
    };
    const model = await loadModel(modelBytes(own), { operators: { ...operators, 'my.domain.Gated': wrong } });
    const what = "Gated node 'gated': what it is composed of (its ";
    await expect(predict(model, request.inputs, { engine })).rejects.toThrow(GraphError);
    await expect(predict(model, request.inputs, { engine })).rejects.toThrow(`${what}${message}`);
    const through: OpDefinition = { ...gated, gradient: (context) => context.through(expand ?? (() => [])) };
    const other = await loadModel(modelBytes(own), { operators: { ...operators, 'my.domain.Gated': through } });
    await expect(valueAndGradients(other, { ...request, engine })).rejects.toThrow(message);
  });

  it('refuses to run an operator of a domain that the runtime does not have and that is not composed', async () => {
    const alone: OpDefinition = { infer: gated.infer, gradient: gated.gradient };
    const model = await loadModel(modelBytes(own), { operators: { ...operators, 'my.domain.Gated': alone } });
    const running = predict(model, request.inputs, { engine });
    await expect(running).rejects.toThrow(UnsupportedError);
    await expect(running).rejects.toThrow(
      "Gated node 'gated' is of 'my.domain', whose operators ONNX Runtime does not have",
    );
  });

  it('says what its user said of an operator without a gradient', async () => {
    const stops = composedOperator(({ b, x }) => [b.mul(x(0), x(1))], { gradient: noGradient('the gate is closed') });
    const model = await loadModel(modelBytes(own), { operators: { ...operators, 'my.domain.Gated': stops } });
    await expect(valueAndGradients(model, { ...request, engine })).rejects.toThrow(
      "Gated node 'gated' cannot be differentiated: the gate is closed",
    );
  });
});

describe('operators that are none', () => {
  it.each([
    ['of the table', { Relu: gated }, /knows the operator 'Relu' already/],
    ['without a gradient', { 'my.Op': { infer: () => [] } }, /the operator 'my\.Op' is .*; give \{ infer, gradient \}/],
    [
      'with a part that no definition has',
      { 'my.Op': { ...gated, gradients: 1 } },
      /unknown option 'gradients'.*'gradient'/,
    ],
    [
      'with a trait that none has',
      { 'my.Op': { ...gated, traits: { linaer: true } } },
      /'linaer' of the traits of 'my\.Op'/,
    ],
    ['with costs that are none', { 'my.Op': { ...gated, flops: 3 } }, /the operator 'my\.Op' is /],
    ['that are no definitions', { 'my.Op': 'Relu' }, /the operator 'my\.Op' is /],
  ])('are refused: %s', async (_, given, message) => {
    const loading = loadModel(modelBytes(own), { operators: given as never });
    await expect(loading).rejects.toThrow(OptionError);
    await expect(loading).rejects.toThrow(message);
  });

  it('are refused where they are composed of themselves', () => {
    const b = new Builder();
    const x = b.input('x', 'float32', [2]);
    const endless: OpDefinition = {
      infer: () => [x.type],
      gradient: noGradient('it has no end'),
      expand: ({ b: inner, x: input }) => [inner.op('my.Endless', [input(0)], {}, { definition: endless })],
    };
    const graph = b.build('endless', { y: b.op('my.Endless', [x], {}, { definition: endless }) });
    expect(() => encodeModel(graph)).toThrow(UnsupportedError);
    expect(() => encodeModel(graph)).toThrow(/Endless node is composed of itself/);
  });
});

it('a network that is built with an operator, also in a loop, is written in operators that every runtime knows', async () => {
  const b = new Builder();
  const [x, g] = [b.input('x', 'float32', ['batch', 2]), b.input('g', 'float32', [2])];
  const { y } = b.loop(2, { y: x }, (inner, _, carried) => ({
    y: inner.op('my.domain.Gated', [carried.y, g], {}, { definition: gated }),
  }));
  expect(y.type).toEqual({ dtype: 'float32', shape: ['batch', 2] });
  const feeds = { x: ramp([3, 2]), g: ramp([2]) };
  const found = await runOnnx(encodeModel(b.build('own', { y })), feeds);
  const step = (number: number, i: number) => (number / (1 + Math.exp(-number))) * Number(feeds.g.data[i % 2]);
  const expected = Array.from(feeds.x.data as Float32Array, (number, i) => step(step(number, i), i));
  const computed = Array.from(found.y?.data as Float32Array);
  expect(computed).toHaveLength(6);
  for (const [i, element] of computed.entries()) expect(element).toBeCloseTo(expected[i] ?? Number.NaN, 5);
});
