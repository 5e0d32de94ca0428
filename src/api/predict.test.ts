// Predictions of any number of examples are those of plain ONNX Runtime on all of them at once.
import { describe, expect, it } from 'vitest';
import { type ModelSpec, modelBytes, ramp, runOnnx } from '../../test/support/onnx-models.js';
import type { Engine } from '../engine/engine.js';
import { GraphError, OptionError } from '../errors.js';
import { type TensorData, tensorFrom, toNumbers } from '../graph/tensor.js';
import { charTransformer } from '../nn/char-transformer.js';
import { lenet } from '../nn/lenet.js';
import { mlp } from '../nn/zoo.js';
import { loadModel } from './load-save.js';
import { predict, rowsOf, toNestedArray } from './predict.js';
import { valueAndGradients } from './value-and-gradients.js';

const spec = (batch: number | string): ModelSpec => ({
  opset: 17,
  inputs: { x: ['float32', [batch, 3]], ids: ['int64', [batch]], scale: ['float32', []] },
  initializers: { w: ramp([3, 4]), table: ramp([5, 4], 0.5) },
  nodes: [
    { op: 'MatMul', inputs: ['x', 'w'], outputs: ['h'] },
    { op: 'Gather', inputs: ['table', 'ids'], outputs: ['e'] },
    { op: 'Add', inputs: ['h', 'e'], outputs: ['s'] },
    { op: 'Mul', inputs: ['s', 'scale'], outputs: ['y'] },
    { op: 'ArgMax', inputs: ['y'], outputs: ['class'], attributes: { axis: 1, keepdims: 0 } },
  ],
  outputs: ['y', 'class'],
});
const count = 7;
const inputs = {
  x: ramp([count, 3]),
  ids: tensorFrom('int64', [count], [0, 4, 1, 3, 2, 0, 4]),
  scale: tensorFrom('float32', [], [2]),
};
const expected = runOnnx(modelBytes(spec('batch')), inputs);

function expectClose(actual: Record<string, TensorData>, wanted: Record<string, TensorData>) {
  expect(Object.keys(actual)).toEqual(Object.keys(wanted));
  for (const [name, { dtype, dims, data }] of Object.entries(wanted)) {
    expect(actual[name]).toMatchObject({ dtype, dims });
    for (const [i, x] of toNumbers(actual[name] as TensorData).entries()) expect(x).toBeCloseTo(Number(data[i]), 6);
  }
}

describe('predict', () => {
  it.each([undefined, 1, 2, 3, 7, 100])('all outputs, in parts of %s examples', async (batchSize) => {
    const model = await loadModel(modelBytes(spec('batch')));
    expectClose(await predict(model, inputs, batchSize === undefined ? {} : { batchSize }), await expected);
  });

  it.each([1, 3, 10])('a model of a fixed batch of %s', async (batch) => {
    expectClose(await predict(await loadModel(modelBytes(spec(batch))), inputs), await expected);
  });

  it('one output, from arrays', async () => {
    const model = await loadModel(modelBytes(spec('batch')));
    const rows = { x: toNestedArray(inputs.x), ids: [0, 4, 1, 3, 2, 0, 4], scale: 2 };
    const { class: chosen } = await expected;
    expectClose(await predict(model, rows, { outputs: ['class'] }), { class: chosen as TensorData });
    expectClose(await predict(model, { ...rows, x: Float64Array.from(toNumbers(inputs.x)) }), await expected);
  });

  it('the one input without a name', async () => {
    const model = mlp({ sizes: [3, 2], seed: 1 });
    const expectedOutput = await runOnnx(model.encode(), { input: ramp([4, 3]) });
    expectClose(await predict(model, ramp([4, 3])), expectedOutput);
    expectClose(await predict(model, { type: 'float32', dims: [4, 3], data: ramp([4, 3]).data }), expectedOutput);
    expectClose(await predict(model, ramp([4, 3]).data as Float32Array), expectedOutput);
  });

  it('refuses what is no engine', async () => {
    const model = mlp({ sizes: [2, 2], seed: 1 });
    for (const [given, words] of [
      [Promise.resolve(), 'a promise (await it)'],
      [{}, 'an empty object'],
    ] as const) {
      await expect(predict(model, [[1, 2]], { engine: given as unknown as Engine })).rejects.toThrow(
        `engine is ${words}; give one, as by await nodeEngine(), or leave it out`,
      );
    }
  });

  it('says what does not fit', async () => {
    const model = mlp({ sizes: [3, 2], seed: 1 });
    const wrong = (given: unknown) => predict(model, given as TensorData);
    await expect(
      wrong([
        [1, 2, 3],
        [4, 5],
      ]),
    ).rejects.toThrow(/the input 'input' is no array of one shape/);
    await expect(wrong([['1', '2', '3']])).rejects.toThrow(/holds '1' where a number is expected/);
    await expect(wrong([[1, 2]])).rejects.toThrow(/float32\[batch, 3\]; a tensor float32\[1, 2\] does not fit/);
    await expect(wrong(Float32Array.of(1, 2))).rejects.toThrow(/an array of 2 numbers does not tell its shape/);
    await expect(wrong('x.png')).rejects.toThrow(OptionError);
    await expect(wrong([])).rejects.toThrow(GraphError);
    await expect(wrong({ other: [[1, 2, 3]] })).rejects.toThrow(/no input 'other'; its inputs are input/);
    await expect(predict(model, [[1, 2, 3]], { outputs: ['q'] })).rejects.toThrow(
      /no output 'q'; its outputs are output/,
    );
    const several = await loadModel(modelBytes(spec('batch')));
    await expect(predict(several, inputs.x)).rejects.toThrow(/has 3 inputs \(x, ids, scale\): give them by name/);
    await expect(predict(several, { ...inputs, ids: [1, 2] })).rejects.toThrow(/'x' has 7, and 'ids' has 2/);
    await expect(predict(several, { ...inputs, ids: [0, 0.5, 0, 0, 0, 0, 0] })).rejects.toThrow(/holds 0\.5.*int64/);
  });

  it('does not put together what belongs to all examples', async () => {
    const sum: ModelSpec = {
      opset: 17,
      inputs: { x: ['float32', ['batch', 3]] },
      nodes: [{ op: 'ReduceSum', inputs: ['x'], outputs: ['y'], attributes: { keepdims: 0 } }],
      initializers: {},
      outputs: ['y'],
    };
    const model = await loadModel(modelBytes(sum));
    expectClose(await predict(model, inputs.x), await runOnnx(modelBytes(sum), { x: inputs.x }));
    await expect(predict(model, inputs.x, { batchSize: 2 })).rejects.toThrow(
      /the output 'y' of model 'test' is \[\] for 2 examples: it cannot be put together.*batchSize: 7/,
    );
  });
});

it('nested arrays have the shape of the tensor', () => {
  expect(toNestedArray(tensorFrom('float32', [2, 1, 2], [1, 2, 3, 4]))).toEqual([[[1, 2]], [[3, 4]]]);
  expect(toNestedArray(tensorFrom('int64', [], [5]))).toBe(5n);
  expect(toNestedArray(tensorFrom('float32', [2, 0], []))).toEqual([[], []]);
});

it('rowsOf gives the numbers of each example', () => {
  expect(rowsOf(tensorFrom('float32', [2, 1, 2], [1, 2, 3, 4]))).toEqual([
    [1, 2],
    [3, 4],
  ]);
  expect(rowsOf(tensorFrom('int64', [2], [5, 6]))).toEqual([[5], [6]]);
  expect(rowsOf(tensorFrom('float32', [2, 0], []))).toEqual([[], []]);
  expect(() => rowsOf(tensorFrom('float32', [], [1]))).toThrow(GraphError);
  const missing = undefined as unknown as TensorData;
  expect(() => rowsOf(missing)).toThrow('the tensor given to rowsOf is undefined; give a tensor');
  expect(() => toNestedArray(missing)).toThrow(OptionError);
});

it('examples in another arrangement are fitted, as those of data sets are', async () => {
  const flat = tensorFrom(
    'float32',
    [2, 784],
    Array.from({ length: 1568 }, (_, i) => Math.sin(i)),
  );
  const [pictures, planes] = [
    { ...flat, dims: [2, 1, 28, 28] },
    { ...flat, dims: [2, 28, 28] },
  ];
  const model = lenet({ seed: 1 });
  const expected = await predict(model, pictures);
  expect(await predict(model, flat)).toEqual(expected);
  expect(await predict(model, planes)).toEqual(expected);
  const rows = mlp({ sizes: [784, 3], seed: 1 });
  expect(await predict(rows, pictures)).toEqual(await predict(rows, flat));
  const request = { loss: 'softmax-cross-entropy', targets: [1, 2] } as const;
  const found = await valueAndGradients(model, { ...request, inputs: flat });
  expect(found).toEqual(await valueAndGradients(model, { ...request, inputs: pictures }));
});

it('inputs whose axes would be mixed up are refused, and the message tells the shape', async () => {
  const columns = tensorFrom('float32', [2, 14, 56], new Array(1568).fill(0));
  await expect(predict(lenet({ seed: 1 }), columns)).rejects.toThrow(
    /does not fit it, though it has as many elements as \[2, 1, 28, 28\]$/,
  );
  await expect(predict(lenet({ seed: 1 }), tensorFrom('float32', [2, 3], [1, 2, 3, 4, 5, 6]))).rejects.toThrow(
    /does not fit it$/,
  );
});

it('tokens that the vocabulary does not have are refused, by the names of the input and of the table', async () => {
  const model = charTransformer({ seed: 1, vocabulary: 5, context: 4, layers: 1, width: 8, heads: 2 });
  await expect(predict(model, [[0, 1, 5, 2]])).rejects.toThrow(
    "the input 'input' holds 5, and 'token.weight', which it is looked up in, has the rows 0 to 4",
  );
  await expect(predict(model, [[0, 1, 4, -5]])).resolves.toBeDefined();
  await expect(predict(model, [[0, 1, 4, -6]])).rejects.toThrow(GraphError);
});
