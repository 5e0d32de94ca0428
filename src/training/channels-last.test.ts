// Models that have their channels last, as exported from TensorFlow, see the same pictures as their twins that do not.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ModelSpec, modelBytes, type NodeSpec, ramp, runOnnx } from '../../test/support/onnx-models.js';
import { empirical } from '../curvature/fisher.js';
import { gatherBatch } from '../data/batches.js';
import { type Dataset, dataset, onlyInput } from '../data/dataset.js';
import { withInputShape } from '../data/views.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { OptionError } from '../errors.js';
import { tensorFrom } from '../graph/tensor.js';
import { modelFromBytes } from '../model/file-model.js';
import { semantics } from '../ops/table.js';
import { adam } from '../optimizers/adam.js';
import { cgfac } from '../optimizers/second-order/cgfac.js';
import { random } from '../random.js';
import { learningTask } from './task/task.js';
import { train } from './trainer.js';

const [channels, height, width, size] = [3, 4, 5, 30];
const pixels = new Float32Array(size * channels * height * width);
random(1, 'pixels').fillUniform(pixels);
const set: Dataset = dataset({
  ...{ name: 'pictures', size, classes: ['a', 'b'], picture: { channels, height, width } },
  inputs: { dtype: 'float32', shape: [channels, height, width], data: pixels },
  targets: { dtype: 'int64', shape: [], data: Int32Array.from({ length: size }, (_, i) => i % 2) },
});
const data = { train: set, test: set };
const flattened: Dataset = withInputShape(set, [channels * height * width]);

type Shape = readonly (number | string)[];
const first: Shape = ['batch', channels, height, width];
const last: Shape = ['batch', height, width, channels];

const transposed = (x: string, y: string, ...perm: number[]): NodeSpec => ({
  ...{ op: 'Transpose', inputs: [x], outputs: [y], attributes: { perm } },
});

/** A network of convolutions; where the channels come last, its pictures are transposed on the way in and out. */
function load(shape: Shape, kind: 'classifier' | 'autoencoder') {
  const isLast = shape !== first;
  const heads: Record<typeof kind, NodeSpec[]> = {
    classifier: [
      { op: 'ReduceMean', inputs: ['c'], outputs: ['p'], attributes: { axes: [2, 3], keepdims: 0 } },
      { op: 'MatMul', inputs: ['p', 'fc.weight'], outputs: ['y'] },
    ],
    autoencoder: [
      { op: 'Conv', inputs: ['c', 'out.weight'], outputs: ['o'] },
      ...(isLast ? [transposed('o', 'turned', 0, 2, 3, 1)] : []),
      { op: 'Sigmoid', inputs: [isLast ? 'turned' : 'o'], outputs: ['y'] },
    ],
  };
  const spec: ModelSpec = {
    ...{ opset: 17, inputs: { x: ['float32', shape] }, outputs: ['y'] },
    initializers: {
      'conv.weight': ramp([4, channels, 3, 3], 0.3),
      ...(kind === 'classifier' ? { 'fc.weight': ramp([4, 2]) } : { 'out.weight': ramp([channels, 4, 1, 1]) }),
    },
    nodes: [
      ...(isLast ? [transposed('x', 'planes', 0, 3, 1, 2)] : []),
      {
        ...{ op: 'Conv', inputs: [isLast ? 'planes' : 'x', 'conv.weight'], outputs: ['c'] },
        attributes: { pads: [1, 1, 1, 1] },
      },
      ...heads[kind],
    ],
  };
  return modelFromBytes(modelBytes(spec), semantics);
}

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => engine.close());

describe.each(['adam', 'cgfac'] as const)('%s', (name) => {
  // Curvature of the given targets: others are drawn pixel by pixel, in the order in which the model has them.
  const optimizer = () =>
    name === 'adam' ? adam({ learningRate: 0.02 }) : cgfac({ curvatureRows: 10, fisher: empirical() });
  const run = (model: ReturnType<typeof load>, given = data) =>
    train(model, {
      ...{ engine, data: given, optimizer: optimizer(), steps: 4, batchSize: 10, seed: 1 },
      ...{ normalize: true, augment: { flip: true, crop: 1 } },
    });

  it.each(['classifier', 'autoencoder'] as const)('trains a %s as it trains its twin', async (spec) => {
    const expected = (await run(load(first, spec))).record;
    for (const shape of [last, ['batch', 'h', 'w', channels]]) {
      for (const given of [set, flattened]) {
        const { record } = await run(load(shape, spec), { train: given, test: given });
        for (const key of ['train', 'test'] as const) {
          for (const [metric, value] of Object.entries(expected[key])) {
            expect(record[key][metric as 'loss']).toBeCloseTo(Number(value), 4);
          }
        }
        expect(record.confusion?.counts).toEqual(expected.confusion?.counts);
        const shown = (each: typeof record) => each.reconstructions?.flatMap(({ output }) => [...output.pixels]) ?? [];
        expect(shown(record)).toHaveLength(shown(expected).length);
        for (const [i, pixel] of shown(record).entries()) expect(pixel).toBeCloseTo(shown(expected)[i] ?? 0, 3);
      }
    }
  });
});

it('writes a file that takes pictures with their channels last and computes what was reported', async () => {
  const { model, parameters, record } = await train(load(last, 'classifier'), {
    ...{ engine, data, optimizer: adam({ learningRate: 0.02 }), steps: 3, batchSize: 10, normalize: true },
  });
  const input = onlyInput(
    gatherBatch(
      set,
      Uint32Array.from({ length: size }, (_, i) => i),
    ),
  );
  const x = new Float32Array(pixels.length);
  const area = height * width;
  for (let i = 0; i < pixels.length; i++) {
    const [example, channel, at] = [Math.floor(i / (channels * area)), Math.floor(i / area) % channels, i % area];
    x[example * channels * area + at * channels + channel] = Number(input.data[i]);
  }
  const { y } = await runOnnx(model.encode(parameters), {
    x: tensorFrom('float32', [size, height, width, channels], [...x]),
  });
  const logits = Array.from(y?.data ?? [], Number);
  let loss = 0;
  for (let i = 0; i < size; i++) {
    const [a = 0, b = 0] = logits.slice(2 * i, 2 * i + 2);
    loss += Math.log(Math.exp(a) + Math.exp(b)) - (i % 2 === 0 ? a : b);
  }
  expect(record.test.loss).toBeCloseTo(loss / size, 5);
});

describe('pictures for other shapes', () => {
  const taking = (...shape: number[]) =>
    modelFromBytes(
      modelBytes({
        ...{ opset: 17, inputs: { x: ['float32', ['batch', ...shape]] }, outputs: ['y'] },
        initializers: { axes: tensorFrom('int64', [2], [0, -1]), w: ramp([channels * height * width, 2]) },
        nodes: [
          { op: 'Reshape', inputs: ['x', 'axes'], outputs: ['f'] },
          { op: 'MatMul', inputs: ['f', 'w'], outputs: ['y'] },
        ],
      }),
      semantics,
    );

  it.each([[60], [3, 20], [12, 5], [1, 3, 4, 5]])('are seen as %j, where only axes are joined', (...shape) => {
    expect(learningTask(taking(...shape), data).data.train.inputs.shape).toEqual(shape);
  });

  it.each([
    [4, 3, 5],
    [5, 4, 3],
    [20, 3],
    [6, 10],
  ])('are refused as %j, where pixels would be mixed up', (...shape) => {
    expect(() => learningTask(taking(...shape), data)).toThrow(OptionError);
    expect(() => learningTask(taking(...shape), data)).toThrow(
      /a picture is \[channels, height, width\] = \[3, 4, 5\], whose pixels would be mixed up/,
    );
  });
});
