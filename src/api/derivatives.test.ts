// Gradients by inputs, and products with the Jacobian of loaded models: against differences of plain ONNX Runtime in
// float64, and against each other.
import { describe, expect, it } from 'vitest';
import { type ModelSpec, modelBytes, ramp, runOnnx } from '../../test/support/onnx-models.js';
import { GraphError, OptionError } from '../errors.js';
import { type TensorData, tensorFrom, toNumbers } from '../graph/tensor.js';
import { mlp } from '../nn/zoo.js';
import { jvp } from './jvp.js';
import { loadModel } from './load-save.js';
import { valueAndGradients } from './value-and-gradients.js';
import { vjp } from './vjp.js';

/** Numbers of both signs, the same each time. */
const wave = (dims: readonly number[], phase: number): TensorData =>
  tensorFrom(
    'float64',
    dims,
    toNumbers(ramp(dims)).map((x, i) => Math.sin(x + phase + i)),
  );

const stored: Readonly<Record<string, TensorData>> = { w: wave([3, 4], 1), v: wave([4, 2], 2) };

/** Two inputs and two outputs in float64, so that differences are exact to many digits. */
const spec = (initializers = stored): ModelSpec => ({
  opset: 17,
  inputs: { x: ['float64', ['batch', 3]], z: ['float64', ['batch', 4]], ids: ['int64', ['batch']] },
  initializers,
  nodes: [
    { op: 'MatMul', inputs: ['x', 'w'], outputs: ['h'] },
    { op: 'Add', inputs: ['h', 'z'], outputs: ['s'] },
    { op: 'Tanh', inputs: ['s'], outputs: ['t'] },
    { op: 'MatMul', inputs: ['t', 'v'], outputs: ['y'] },
    { op: 'Gather', inputs: ['v', 'ids'], outputs: ['rows'] },
    { op: 'Mul', inputs: ['rows', 'y'], outputs: ['product'] },
    { op: 'Mystery', domain: 'com.example', inputs: ['y'], outputs: ['odd'] },
  ].filter(({ op }) => op !== 'Mystery'),
  outputs: ['y', 'product'],
});

const inputs = { x: wave([2, 3], 3), z: wave([2, 4], 4), ids: tensorFrom('int64', [2], [3, 0]) };
const model = () => loadModel(modelBytes(spec()));
const cotangents = { y: wave([2, 2], 5), product: wave([2, 2], 6) };
const tangents = { x: wave([2, 3], 7), z: wave([2, 4], 8), w: wave([3, 4], 9), v: wave([4, 2], 10) };

/** a + h·b */
const along = (a: TensorData, b: TensorData, h: number): TensorData =>
  tensorFrom(
    'float64',
    a.dims,
    toNumbers(a).map((x, i) => x + h * Number(b.data[i])),
  );
const inner = (a: TensorData | undefined, b: TensorData | undefined): number =>
  toNumbers(a as TensorData).reduce((sum, x, i) => sum + x * Number(b?.data[i]), 0);

type Directions = Partial<Record<keyof typeof tangents, TensorData>>;

/** The outputs by plain ONNX Runtime, moved by h along the directions. */
async function outputsAt(h: number, directions: Directions): Promise<Record<string, TensorData>> {
  const move = (tensors: Readonly<Record<string, TensorData>>) =>
    Object.fromEntries(
      Object.entries(tensors).map(([name, value]) => {
        const direction = directions[name as keyof Directions];
        return [name, direction ? along(value, direction, h) : value];
      }),
    );
  return runOnnx(modelBytes(spec(move(stored))), move(inputs));
}

/** Central differences of an output, of the fourth order. */
async function differences(output: string, directions: Directions): Promise<number[]> {
  const h = 1e-3;
  const [a, b, c, d] = await Promise.all([-2, -1, 1, 2].map((k) => outputsAt(k * h, directions)));
  const at = (results: Record<string, TensorData> | undefined, i: number) => Number(results?.[output]?.data[i]);
  return toNumbers(a?.[output] as TensorData).map(
    (_, i) => (at(a, i) - 8 * at(b, i) + 8 * at(c, i) - at(d, i)) / (12 * h),
  );
}

describe('jvp', () => {
  it.each([
    ['inputs', { x: tangents.x, z: tangents.z }],
    ['parameters', { w: tangents.w, v: tangents.v }],
    ['all', tangents],
  ])('along %s: the differences of all outputs', async (_name, chosen) => {
    const result = await jvp(await model(), { inputs, tangents: chosen });
    expect(result.outputs).toEqual(await outputsAt(0, {}));
    for (const name of ['y', 'product']) {
      const expected = await differences(name, chosen);
      for (const [i, tangent] of toNumbers(result.tangents[name] as TensorData).entries()) {
        expect(tangent).toBeCloseTo(expected[i] ?? Number.NaN, 9);
      }
    }
  });

  it('computes the outputs that are asked for', async () => {
    const result = await jvp(await model(), { inputs, tangents, outputs: ['product'] });
    expect(Object.keys(result.outputs)).toEqual(['product']);
    expect(Object.keys(result.tangents)).toEqual(['product']);
  });

  it('refuses what does not fit', async () => {
    const loaded = await model();
    await expect(jvp(loaded, { inputs, tangents: {} })).rejects.toThrow(OptionError);
    await expect(jvp(loaded, { inputs, tangents: { q: tangents.x } })).rejects.toThrow(
      /no parameter 'q'; it has w, v, and the inputs x, z of real numbers/,
    );
    await expect(jvp(loaded, { inputs, tangents: { ids: inputs.ids } })).rejects.toThrow(/no derivative by it/);
    await expect(jvp(loaded, { inputs, tangents: { x: tangents.z } })).rejects.toThrow(
      /the tangent of 'x' is float64\[2, 3\]; a tensor float64\[2, 4\] does not fit it/,
    );
    await expect(jvp(loaded, { inputs, tangents, outputs: ['q'] })).rejects.toThrow(/no output 'q'.*y, product/);
  });
});

describe('vjp', () => {
  it('is the transpose of jvp: ⟨cotangent, J·tangent⟩ = ⟨Jᵀ·cotangent, tangent⟩', async () => {
    const forward = await jvp(await model(), { inputs, tangents });
    const { gradients, outputs } = await vjp(await model(), { inputs, cotangents, of: ['x', 'z', 'w', 'v'] });
    expect(outputs).toEqual(forward.outputs);
    const left = inner(cotangents.y, forward.tangents.y) + inner(cotangents.product, forward.tangents.product);
    const right = Object.entries(tangents).reduce(
      (sum, [name, tangent]) => sum + inner(gradients.get(name), tangent),
      0,
    );
    expect(right).toBeCloseTo(left, 10);
    expect(Math.abs(left)).toBeGreaterThan(0.1);
  });

  it('takes parameters by default, at other values where they are given', async () => {
    const at = new Map([['w', tangents.w]]);
    const { gradients, outputs } = await vjp(await model(), { inputs, cotangents: { y: cotangents.y }, at });
    expect([...gradients.keys()]).toEqual(['w', 'v']);
    const plain = await runOnnx(modelBytes(spec({ ...stored, w: tangents.w })), inputs);
    expect(outputs).toEqual({ y: plain.y });
  });

  it('refuses what does not fit', async () => {
    const loaded = await model();
    await expect(vjp(loaded, { inputs, cotangents: { q: cotangents.y } })).rejects.toThrow(/no output 'q'/);
    await expect(vjp(loaded, { inputs, cotangents: { y: tangents.x } })).rejects.toThrow(GraphError);
    await expect(vjp(loaded, { inputs, cotangents, of: ['y'] })).rejects.toThrow(/no parameter 'y'/);
  });
});

describe('gradients of a loss', () => {
  it('by inputs: the differences of the loss', async () => {
    const small = mlp({ sizes: [3, 4, 2], seed: 1 });
    const x = ramp([2, 3]);
    const targets = tensorFrom('int64', [2], [0, 1]);
    const request = { loss: 'softmax-cross-entropy', targets } as const;
    const { gradients } = await valueAndGradients(small, { ...request, inputs: x, of: ['input', 'fc1.bias'] });
    expect([...gradients.keys()]).toEqual(['input', 'fc1.bias']);
    expect(gradients.get('fc1.bias')).toEqual(
      (await valueAndGradients(small, { ...request, inputs: x })).gradients.get('fc1.bias'),
    );
    const h = 0.01;
    for (const [i, gradient] of toNumbers(gradients.get('input') as TensorData).entries()) {
      const lossAt = async (step: number) => {
        const numbers = toNumbers(x).map((element, k) => element + (k === i ? step : 0));
        return (await valueAndGradients(small, { ...request, inputs: tensorFrom('float32', [2, 3], numbers) })).loss;
      };
      expect(gradient).toBeCloseTo(((await lossAt(h)) - (await lossAt(-h))) / (2 * h), 3);
    }
  });

  it('takes labels, numbers, probabilities and weights in arrays, as inputs are taken', async () => {
    const small = mlp({ sizes: [3, 4, 2], seed: 1 });
    const inputs = ramp([2, 3]);
    const loss = 'softmax-cross-entropy';
    const labels = await valueAndGradients(small, { loss, inputs, targets: tensorFrom('int64', [2], [0, 1]) });
    const weights = [1, 1];
    for (const targets of [
      [0, 1],
      [0n, 1n],
      Int32Array.of(0, 1),
      [
        [1, 0],
        [0, 1],
      ],
    ]) {
      const found = await valueAndGradients(small, { loss, inputs, targets, weights });
      expect(found.loss).toBeCloseTo(labels.loss, 6);
    }
    const numbers = await valueAndGradients(small, {
      loss: 'mean-squared-error',
      inputs,
      targets: [
        [1, 0],
        [0, 1],
      ],
    });
    const tensors = tensorFrom('float32', [2, 2], [1, 0, 0, 1]);
    expect(numbers.loss).toBe(
      (await valueAndGradients(small, { loss: 'mean-squared-error', inputs, targets: tensors })).loss,
    );
  });

  it.each([
    [[1, -1], 'the weight of example 1 is -1; weights are finite numbers of at least 0'],
    [[Number.NaN, 1], 'the weight of example 0 is NaN'],
    [[1, Number.POSITIVE_INFINITY], 'the weight of example 1 is Infinity'],
    [[0, 0], 'the weights of all examples are 0'],
  ])('refuses the weights %s', async (weights, message) => {
    const small = mlp({ sizes: [3, 4, 2], seed: 1 });
    const request = { loss: 'softmax-cross-entropy', inputs: ramp([2, 3]), targets: [0, 1], weights } as const;
    await expect(valueAndGradients(small, request)).rejects.toThrow(message);
  });

  it('refuses targets that are missing', async () => {
    const request = { loss: 'mean-squared-error', inputs: ramp([2, 3]), targets: undefined as never } as const;
    await expect(valueAndGradients(mlp({ sizes: [3, 2], seed: 1 }), request)).rejects.toThrow(
      'the targets are missing',
    );
  });

  it('takes tangents and cotangents in arrays', async () => {
    const small = mlp({ sizes: [3, 2], seed: 1 });
    const inputs = [[1, 2, 3]];
    const { tangents } = await jvp(small, { inputs, tangents: { 'fc1.bias': [1, 2] } });
    expect(tangents.output?.data).toEqual(Float32Array.of(1, 2));
    const { gradients } = await vjp(small, { inputs, cotangents: { output: [[3, 4]] } });
    expect(gradients.get('fc1.bias')?.data).toEqual(Float32Array.of(3, 4));
  });
});
