// A normalized model gives for x what the model itself gives for (x − mean) / deviation, in training and as a file.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modelBytes, ramp, runOnnx } from '../../../test/support/onnx-models.js';
import { gatherBatch } from '../../data/batches.js';
import { type DataSplits, dataset, onlyInput } from '../../data/dataset.js';
import { measureNormalization } from '../../data/normalization.js';
import type { Engine } from '../../engine/engine.js';
import { nodeEngine } from '../../engine/node.js';
import { GraphError, OptionError } from '../../errors.js';
import { elementCount, type TensorData, tensorFrom } from '../../graph/tensor.js';
import { charTransformer } from '../../nn/char-transformer.js';
import { lenet } from '../../nn/lenet.js';
import { resnet20 } from '../../nn/resnet.js';
import { mlp } from '../../nn/zoo.js';
import { describeNormalization, type Normalization } from '../../normalization.js';
import { narrow } from '../../onnx/edits/widen.js';
import { Builder } from '../../ops/builder.js';
import { semantics } from '../../ops/table.js';
import { adam } from '../../optimizers/adam.js';
import { cgfac } from '../../optimizers/second-order/cgfac.js';
import { sketches } from '../../optimizers/second-order/factors.js';
import { random } from '../../random.js';
import { train } from '../../training/trainer.js';
import { type FileModel, isFileModel, modelFromBytes } from '../file-model.js';
import { builtModel, type Model } from '../model.js';
import { replaceHead } from './head.js';
import { addLora } from './lora.js';
import { normalizationOf, withNormalization } from './normalize.js';
import { selectParameters } from './select.js';

const reread = (model: Model): FileModel => modelFromBytes(model.encode(new Map()), semantics);
const numbers = ({ data }: TensorData): number[] => Array.from<number | bigint, number>(data, Number);

/** (x − mean) / deviation in float64, where each of the channels has equally many consecutive elements of an example. */
function byHand(x: TensorData, { mean, deviation }: Normalization): TensorData {
  const length = elementCount(x.dims.slice(1));
  const area = length / mean.length;
  const values = numbers(x).map((value, index) => {
    const channel = Math.floor((index % length) / area);
    return (value - (mean[channel] ?? 0)) / (deviation[channel] ?? 1);
  });
  return tensorFrom('float32', x.dims, values);
}

/** The files of both models, run on what should make them equal. */
async function expectNormalized(changed: Model, original: Model, x: TensorData, by: Normalization): Promise<void> {
  const [input] = original.graph.inputs;
  const { output: actual } = await runOnnx(changed.encode(new Map()), { [input?.name ?? '']: x });
  const { output: expected } = await runOnnx(original.encode(new Map()), { [input?.name ?? '']: byHand(x, by) });
  const [given, wanted] = [actual, expected].map((each) => numbers(each ?? x));
  expect(given).toHaveLength(wanted?.length ?? 0);
  for (const [i, value] of (wanted ?? []).entries()) expect(given?.[i]).toBeCloseTo(value, 4);
}

const models: readonly [string, () => Model, readonly number[]][] = [
  ['lenet', () => lenet({ seed: 1, input: [2, 12, 12], classes: 3 }), [2, 12, 12]],
  ['mlp, flattened pictures', () => mlp({ seed: 1, sizes: [12, 5, 3] }), [12]],
  ['mlp read from a file', () => reread(mlp({ seed: 1, sizes: [12, 5, 3] })), [12]],
  [
    'resnet20 with batch normalization',
    () => resnet20({ seed: 1, input: [2, 4, 4], width: 2, norm: 'batch' }),
    [2, 4, 4],
  ],
];

describe.each(models)('%s', (_, make, example) => {
  it('computes for x what it computed for what is normalized', async () => {
    const channels = fc.constantFrom(...(example.length === 1 ? [1, 2, 3, 12] : [1, 2]));
    const number = fc.integer({ min: -20, max: 20 }).map((x) => x / 10);
    await fc.assert(
      fc.asyncProperty(channels, fc.infiniteStream(number), async (count, stream) => {
        const draw = () => Array.from({ length: count }, () => stream.next().value as number);
        const by = { mean: draw(), deviation: draw().map((x) => 0.5 + Math.abs(x)) };
        const model = make();
        await expectNormalized(withNormalization(model, by), model, ramp([2, ...example], 2), by);
      }),
      { numRuns: 8 },
    );
  });
});

const by: Normalization = { mean: [0.5, -1], deviation: [2, 0.25] };
const small = () => mlp({ seed: 1, sizes: [6, 5, 4] });

describe('withNormalization', () => {
  it('keeps the parameters, and writes constants that nobody trains', () => {
    const changed = withNormalization(lenet({ seed: 1, input: [2, 12, 12] }), by);
    expect([...changed.statistics.keys()]).toEqual(['normalization.mean', 'normalization.deviation']);
    const read = reread(changed);
    expect([...read.parameters.keys()]).toEqual([...changed.parameters.keys()]);
    expect(read.statistics.size).toBe(0);
    expect(read.graph.inputs.map(({ name }) => name)).toEqual(['input']);
    for (const model of [changed, read]) {
      expect(normalizationOf(model)).toEqual(by);
      expect(() => withNormalization(model, by)).toThrow(OptionError);
      expect(() => withNormalization(model, by)).toThrow(
        /normalizes its input already, by mean 0.5, -1, deviation 2, 0.25/,
      );
    }
    expect(normalizationOf(small())).toBeUndefined();
  });

  it('goes with chosen parameters, adapters and new heads, in any order', async () => {
    const x = ramp([3, 6], 2);
    const chosen = { train: ['fc2.*'] };
    const selected = selectParameters(withNormalization(small(), by), chosen);
    expect([...selected.parameters.keys()]).toEqual(['fc2.weight', 'fc2.bias']);
    await expectNormalized(selected, small(), x, by);
    expect([...withNormalization(selectParameters(small(), chosen), by).parameters.keys()]).toEqual([
      'fc2.weight',
      'fc2.bias',
    ]);
    for (const adapted of [
      addLora(withNormalization(small(), by), { rank: 2, seed: 1 }),
      withNormalization(addLora(small(), { rank: 2, seed: 1 }), by),
    ]) {
      expect(adapted.parameters.has('fc1.weight.lora_a')).toBe(true);
      await expectNormalized(adapted, small(), x, by);
    }
    await expectNormalized(replaceHead(withNormalization(small(), by), 7, 1), replaceHead(small(), 7, 1), x, by);
    await expectNormalized(withNormalization(replaceHead(small(), 7, 1), by), replaceHead(small(), 7, 1), x, by);
  });

  it('reaches what branches read, and leaves the message that it is made of alone', async () => {
    const b = new Builder();
    const x = b.input('input', 'float32', ['batch', 2]);
    const weight = b.constant(tensorFrom('float32', [2], [3, 5]), 'weight');
    const positive = b.op('Greater', [b.sum(x), b.scalar(0, 'float32')]);
    const [output] = b.branch(
      positive,
      (inner) => [inner.mul(x, weight)],
      (inner) => [inner.sub(x, weight)],
    );
    const built = builtModel('branches', b.build('branches', { output: output ?? x }), new Map([['weight', weight]]));
    const file = reread(built);
    const before = file.encode(new Map());
    for (const sign of [1, -1]) {
      const point = tensorFrom('float32', [1, 2], [4 * sign, 1.5 * sign]);
      await expectNormalized(withNormalization(file, by), built, point, by);
    }
    expect(file.encode(new Map())).toEqual(before);
  });

  it('is of the element type of the file', async () => {
    const half = (value: TensorData) => narrow(value, 'float16');
    const bytes = modelBytes({
      opset: 13,
      inputs: { x: ['float16', ['batch', 2]] },
      initializers: { weight: half(tensorFrom('float32', [2, 1], [1, 10])) },
      nodes: [{ op: 'MatMul', inputs: ['x', 'weight'], outputs: ['y'] }],
      outputs: ['y'],
    });
    const changed = withNormalization(modelFromBytes(bytes, semantics), by);
    if (!isFileModel(changed)) throw new Error('it came from a file');
    expect(changed.opset).toBe(13);
    const { y } = await runOnnx(changed.encode(new Map()), { x: half(tensorFrom('float32', [1, 2], [2.5, -0.5])) });
    const [expected] = half(tensorFrom('float32', [1], [1 + 10 * 2])).data;
    if (y?.dtype !== 'float16') throw new Error('the output is of the type that the file declares');
    expect(new Uint16Array(y.data.buffer)[0]).toBe(expected);
  });

  it('refuses what does not fit', () => {
    const refuse = (model: Model, normalization: Normalization, message: RegExp) => {
      expect(() => withNormalization(model, normalization)).toThrow(OptionError);
      expect(() => withNormalization(model, normalization)).toThrow(message);
    };
    refuse(
      small(),
      { mean: [0, 0, 0, 0], deviation: [1, 1, 1, 1] },
      /of 4 means and 4 deviations does not fit the input/,
    );
    refuse(small(), { mean: [0, 1], deviation: [1] }, /of 2 means and 1 deviations/);
    refuse(small(), { mean: [0], deviation: [0] }, /0 is not a deviation above 0/);
    refuse(small(), { mean: [Number.NaN], deviation: [1] }, /NaN is not a finite number/);
    refuse(charTransformer({ seed: 1 }), { mean: [0], deviation: [1] }, /which is int64\[batch, 64\]/);
  });

  it('is described by a few numbers', () => {
    expect(describeNormalization({ mean: [0.130659], deviation: [0.30811] })).toBe('mean 0.1307, deviation 0.3081');
    expect(describeNormalization({ mean: [1, 2, 3, 4], deviation: [5, 5, 5, 5] })).toBe(
      'mean 1, 2, 3, … (4 of them), deviation 5',
    );
  });
});

describe('train on a table', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await nodeEngine({ worker: false, threads: 1 });
  });
  afterAll(() => engine.close());

  const [size, features, classes] = [32, 6, 4];
  const elements = new Float32Array(size * features);
  random(1, 'rows').fillNormal(elements, 3, 2);
  const points = (data: Float32Array) =>
    dataset({
      name: 'points',
      size,
      inputs: { dtype: 'float32', shape: [features], data },
      targets: { dtype: 'int64', shape: [], data: Int32Array.from({ length: size }, (_, i) => i % classes) },
      classes: ['a', 'b', 'c', 'd'],
    });
  const set = points(elements);
  const data: DataSplits = { train: set, test: set };
  const options = { data, batchSize: 16, steps: 6, seed: 1 };

  it.each([
    ['adam', () => adam({ learningRate: 0.05 })],
    ['cgfac', () => cgfac({ factors: sketches({ rank: 8 }) })],
  ] as const)(
    '%s trains as on data that were normalized before, and the file takes the data as they are',
    async (_, of) => {
      const run = { ...options, engine, optimizer: of() };
      const { model, parameters, record } = await train(small(), run);
      const measured = measureNormalization(set);
      const flat = byHand(
        onlyInput(
          gatherBatch(
            set,
            Array.from({ length: size }, (_, i) => i),
          ),
        ),
        measured,
      );
      const other = points(flat.data as Float32Array);
      const before = await train(small(), {
        ...{ ...run, optimizer: of(), data: { train: other, test: other } },
        normalize: false,
      });
      expect(record.train.loss).toBeCloseTo(before.record.train.loss, 3);
      expect(record.train.loss).toBeLessThan(record.steps[0]?.loss ?? 0);

      const { output } = await runOnnx(model.encode(parameters), {
        input: tensorFrom('float32', [size, features], elements),
      });
      let loss = 0;
      for (let row = 0; row < size; row++) {
        const logits = numbers(output as TensorData).slice(classes * row, classes * (row + 1));
        loss += Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0)) - (logits[row % classes] ?? 0);
      }
      expect(record.test.loss).toBeCloseTo(loss / size, 6);
      expect(numbers(parameters.get('normalization.mean') as TensorData)).toEqual(measured.mean.map(Math.fround));
      // The model that was given does not normalize: it cannot be saved with these parameters by mistake.
      expect(() => small().encode(parameters)).toThrow(GraphError);
      expect(() => small().encode(parameters)).toThrow(
        /no parameter 'normalization.mean': .* belongs to the model that it returns with them/,
      );
    },
  );

  it('takes numbers that are given, and leaves models alone otherwise', async () => {
    const run = { ...options, engine, optimizer: adam(), steps: 1 };
    const given = small();
    expect(normalizationOf((await train(given, { ...run, normalize: false })).model)).toBeUndefined();
    const file = reread(given);
    expect(normalizationOf((await train(file, run)).model)).toBeUndefined();
    const one = { mean: [0.5], deviation: [2] };
    expect(normalizationOf((await train(given, { ...run, normalize: one })).model)).toEqual(one);
  });
});
