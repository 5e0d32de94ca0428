// `model.with(parameters)`: the same model with new elements, whatever kind of model it is, and trained on in memory as from
// the file that it would be saved to.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ModelSpec, modelBytes, ramp, runOnnx } from '../../test/support/onnx-models.js';
import { loadModel } from '../api/load-save.js';
import { dataset } from '../data/dataset.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { GraphError } from '../errors.js';
import { constantsOf } from '../graph/graph.js';
import { type TensorData, tensorFrom } from '../graph/tensor.js';
import { mlp } from '../nn/zoo.js';
import { semantics } from '../ops/table.js';
import { adam } from '../optimizers/adam.js';
import { cgfac } from '../optimizers/second-order/cgfac.js';
import { train } from '../training/trainer.js';
import { addLora } from './edit/lora.js';
import { withNormalization } from './edit/normalize.js';
import { selectParameters } from './edit/select.js';
import { withTargetNormalization } from './edit/target-normalization.js';
import { modelFromBytes } from './file-model.js';
import type { Model } from './model.js';

const spec: ModelSpec = {
  opset: 17,
  inputs: { x: ['float32', ['batch', 4]] },
  initializers: { 'fc.weight': ramp([4, 3]), 'fc.bias': ramp([3]), limit: tensorFrom('float32', [], [0]) },
  nodes: [
    { op: 'Gemm', name: 'fc', inputs: ['x', 'fc.weight', 'fc.bias'], outputs: ['h'] },
    { op: 'Max', name: 'positive', inputs: ['h', 'limit'], outputs: ['y'] },
  ],
  outputs: ['y'],
};

const normalization = { mean: [1, 2, 3, 4], deviation: [2, 2, 2, 2] };
const built = () => mlp({ sizes: [4, 5, 3], seed: 1 });
const file = () => modelFromBytes(modelBytes(spec), semantics, { name: 'small' });

const kinds: readonly (readonly [string, () => Model])[] = [
  ['a built model', built],
  ['a model from a file', file],
  ['part of the parameters', () => selectParameters(built(), { train: ['fc2.*'] })],
  ['a normalized model', () => withNormalization(built(), normalization)],
  ['a normalized model from a file', () => withNormalization(file(), normalization)],
  ['normalized targets', () => withTargetNormalization(built(), { mean: [1], deviation: [3] })],
  ['adapters', () => addLora(built(), { rank: 2, seed: 1 })],
  ['adapters of a file', () => addLora(file(), { rank: 2, seed: 1 })],
];

/** New elements for all parameters, the same each time. */
const moved = ({ parameters }: Model, scale: number): Map<string, TensorData> =>
  new Map([...parameters].map(([name, { dims }]) => [name, ramp(dims, scale)]));

const elementsOf = ({ parameters }: Model) => [...parameters].map(([name, { constant }]) => [name, constant]);

describe.each(kinds)('%s', (_name, make) => {
  it('has the new elements, and writes them', () => {
    const model = make();
    const given = moved(model, 0.3);
    const changed = model.with(given);
    expect(elementsOf(changed)).toEqual([...given]);
    expect(Buffer.compare(changed.encode(), model.encode(given))).toBe(0);
    expect(Buffer.compare(changed.encode(), model.encode())).not.toBe(0);
  });

  it('is in its graph what it is by name', () => {
    const changed = make().with(moved(make(), 0.3));
    const constants = constantsOf(changed.graph);
    for (const value of changed.parameters.values()) expect(constants.has(value), value.name).toBe(true);
    const count = (model: Model) => [constantsOf(model.graph).size, model.graph.nodes.length];
    expect(count(changed)).toEqual(count(make()));
  });

  it('leaves the model as it is', () => {
    const model = make();
    const before = elementsOf(model);
    model.with(moved(model, 0.3));
    expect(elementsOf(model)).toEqual(before);
    expect(Buffer.compare(model.encode(), make().encode())).toBe(0);
  });

  it('is changed again, all of it or a part', () => {
    const model = make();
    const [last] = [...model.parameters.keys()].reverse();
    const part = new Map([...moved(model, 0.7)].filter(([name]) => name === last));
    const again = model.with(moved(model, 0.3)).with(part);
    expect(elementsOf(again)).toEqual([...new Map([...moved(model, 0.3), ...part])]);
    expect(Buffer.compare(again.encode(), model.encode(new Map([...moved(model, 0.3), ...part])))).toBe(0);
  });

  it('computes with them', async () => {
    const changed = make().with(moved(make(), 0.3));
    const x = { [changed.graph.inputs[0]?.name ?? '']: ramp([2, 4]) };
    const read = await loadModel(changed.encode());
    expect(await runOnnx(read.encode(), x)).toEqual(await runOnnx(changed.encode(), x));
  });
});

it('keeps what a file says of itself, also of tensors of its own kind', () => {
  const { metadata, name, opset, untrained, halfPrecision } = file();
  const changed = file().with(new Map([['fc.bias', { type: 'float32', dims: [3], data: Float32Array.of(1, 2, 3) }]]));
  expect(changed).toMatchObject({ metadata, name, opset, untrained, halfPrecision, isPretrained: true });
  expect(changed.parameters.get('fc.bias')?.constant?.data).toEqual(Float32Array.of(1, 2, 3));
});

it('edits of a changed model keep its elements', () => {
  const given = moved(built(), 0.3);
  const edited = withNormalization(built().with(given), normalization);
  expect(Buffer.compare(edited.encode(), withNormalization(built(), normalization).encode(given))).toBe(0);
  const again = edited.with(moved(built(), 0.7));
  expect(Buffer.compare(again.encode(), withNormalization(built(), normalization).encode(moved(built(), 0.7)))).toBe(0);
});

it('refuses what does not fit, by name', () => {
  expect(() => built().with(new Map([['fc9.bias', ramp([3])]]))).toThrow(/model 'mlp' has no parameter 'fc9\.bias'/);
  expect(() => built().with(new Map([['fc2.bias', ramp([4])]]))).toThrow(GraphError);
});

describe('training on', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await nodeEngine({ worker: false, threads: 1 });
  });
  afterAll(() => engine.close());

  const set = dataset({
    name: 'points',
    size: 32,
    inputs: { dtype: 'float32', shape: [4], data: ramp([32, 4]).data as Float32Array },
    targets: { dtype: 'int64', shape: [], data: Int32Array.from({ length: 32 }, (_, i) => i % 3) },
    classes: ['a', 'b', 'c'],
  });
  const data = { train: set, test: set };

  it.each([
    ['adam', () => adam()],
    ['cgfac', () => cgfac()],
  ])('%s: the trained model, as the file that it would be saved to, bit for bit', async (_name, optimizer) => {
    const options = { engine, data, batchSize: 16, steps: 3, seed: 2 };
    const first = await train(built(), { ...options, optimizer: optimizer() });
    expect(elementsOf(first.model)).toEqual(
      [...first.model.parameters.keys()].map((name) => [name, first.parameters.get(name)]),
    );
    const onward = await train(first.model, { ...options, optimizer: optimizer() });
    const reread = await loadModel(first.model.encode());
    const fromFile = await train(reread, { ...options, optimizer: optimizer() });
    expect(onward.record.steps.map(({ loss }) => loss)).toEqual(fromFile.record.steps.map(({ loss }) => loss));
    // A file holds a normalization as constants of its graph.
    for (const [name, elements] of fromFile.parameters) expect(onward.parameters.get(name), name).toEqual(elements);
    expect(fromFile.parameters.size).toBe(4);
    expect(onward.record.steps[0]?.loss).toBeLessThan(first.record.steps[0]?.loss ?? 0);
  });
});

it('parameters that are no map are refused in words', () => {
  const given = { 'fc1.bias': ramp([5]) } as unknown as ReadonlyMap<string, never>;
  expect(() => built().with(given)).toThrow(
    "the parameters for model 'mlp' are an object with fc1.bias; give a Map of tensors by their names",
  );
});

it.each(kinds)('%s keeps its elements if the arrays that it was given change', (_, make) => {
  const model = make();
  const [[name, { dims }] = ['', { dims: [] }]] = model.parameters;
  const given = ramp(dims);
  const changed = model.with(new Map([[name, given]]));
  const [before, bytes] = [[...given.data], changed.encode()];
  given.data.fill(7 as never);
  expect([...(changed.parameters.get(name)?.constant?.data ?? [])]).toEqual(before);
  expect(Buffer.compare(changed.encode(), bytes)).toBe(0);
});
