// Grouped, depthwise and grouped transposed convolutions train as the same network of separate convolutions does.
import { afterAll, expect, test } from 'vitest';
import { exact } from '../src/curvature/fisher.js';
import { dataset } from '../src/data/dataset.js';
import { nodeEngine } from '../src/engine/node.js';
import { int, ints, type Value } from '../src/graph/graph.js';
import { tensorFrom, toNumbers } from '../src/graph/tensor.js';
import { builtModel, type Model } from '../src/model/model.js';
import { Builder } from '../src/ops/builder.js';
import type { Optimizer } from '../src/optimizers/optimizer.js';
import { cgfac } from '../src/optimizers/second-order/cgfac.js';
import { sketches } from '../src/optimizers/second-order/factors.js';
import { kfac } from '../src/optimizers/second-order/kfac.js';
import { primal } from '../src/optimizers/second-order/primal.js';
import { tikhonov } from '../src/optimizers/second-order/tikhonov.js';
import { scheduled } from '../src/optimizers/steps/scheduled.js';
import { selfTuning } from '../src/optimizers/steps/self-tuning.js';
import { random } from '../src/random.js';
import { byResidual } from '../src/solvers/stopping.js';
import { train } from '../src/training/trainer.js';

const [channels, side, classes, examples] = [4, 7, 3, 12];
const source = random(8, 'groups');
const drawn = (dims: readonly number[], scale: number) => {
  const count = dims.reduce((product, size) => product * size, 1);
  return Array.from({ length: count }, () => scale * source.normal());
};

const shapes = [
  { name: 'grouped', op: 'Conv', groups: 2, dims: [6, 2, 3, 3], stride: 2, bias: 6 },
  { name: 'depthwise', op: 'Conv', groups: 6, dims: [6, 1, 2, 2], stride: 1, bias: 6 },
  { name: 'transposed', op: 'ConvTranspose', groups: 3, dims: [6, 3, 2, 2], stride: 1, bias: 0 },
] as const;
const layers = shapes.map((layer) => ({ ...layer, weight: drawn(layer.dims, 0.5), shift: drawn([layer.bias], 0.1) }));
const head = drawn([9, classes], 0.5);

const set = (name: string) =>
  dataset({
    name,
    size: examples,
    inputs: {
      dtype: 'float32',
      shape: [channels, side, side],
      data: Float32Array.from(drawn([examples, channels, side, side], 1)),
    },
    targets: { dtype: 'int64', shape: [], data: Int32Array.from({ length: examples }, () => source.integer(classes)) },
  });
const data = { train: set('train'), test: set('test') };

/** The parts of a list of elements along its first axis. */
const partsOf = (elements: readonly number[], count: number): number[][] =>
  Array.from({ length: count }, (_, i) =>
    elements.slice((i * elements.length) / count, ((i + 1) * elements.length) / count),
  );

function network(isApart: boolean): Model {
  const b = new Builder();
  const parameters = new Map<string, Value>();
  const parameter = (name: string, dims: readonly number[], elements: readonly number[]): Value => {
    const value = b.constant(tensorFrom('float32', dims, elements), name);
    parameters.set(name, value);
    return value;
  };
  let x: Value = b.input('input', 'float32', ['batch', channels, side, side]);
  for (const {
    name,
    op,
    groups,
    dims: [first = 1, ...field],
    stride,
    bias,
    weight,
    shift,
  } of layers) {
    const count = isApart ? 1 : groups;
    const convolved = (suffix: string, on: Value, own: readonly number[], shifts: readonly number[]) => {
      const operands = [on, parameter(`${name}.weight${suffix}`, [(first / groups) * count, ...field], own)];
      if (bias > 0) operands.push(parameter(`${name}.bias${suffix}`, [shifts.length], shifts));
      return b.op(op, operands, { group: int(count), strides: ints([stride, stride]) });
    };
    const width = Number(x.shape[1]) / groups;
    const y = isApart
      ? b.concat(
          partsOf(weight, groups).map((own, i) =>
            convolved(`.${i}`, b.slice(x, 1, i * width, (i + 1) * width), own, partsOf(shift, groups)[i] ?? []),
          ),
          1,
        )
      : convolved('', x, weight, shift);
    x = b.tanh(y);
  }
  const output = b.gemm(b.mean(x, [2, 3]), parameter('head.weight', [9, classes], head));
  return builtModel(isApart ? 'apart' : 'grouped', b.build('network', { output }), parameters);
}

const engine = await nodeEngine({ worker: false, threads: 1 });
afterAll(() => engine.close());

const optimizers: readonly (readonly [string, () => Optimizer])[] = [
  ['normalized steps', () => cgfac()],
  ['self-tuning steps', () => cgfac({ step: selfTuning() })],
  ['scheduled steps', () => cgfac({ step: scheduled({ learningRate: 0.1, weightDecay: 0.1 }) })],
  ['factors as rows', () => cgfac({ factors: sketches({ decay: 0, rank: 9 }), curvatureRows: 1 })],
  ['Tikhonov damping', () => cgfac({ damping: tikhonov({ stopping: byResidual({ tolerance: 1e-7 }) }) })],
  [
    'Tikhonov damping, self-tuning',
    () => cgfac({ step: selfTuning(), damping: tikhonov({ stopping: byResidual({ tolerance: 1e-7 }) }) }),
  ],
  [
    'the primal form',
    () => cgfac({ damping: primal({ stopping: byResidual({ tolerance: 1e-7 }), maxIterations: 100 }) }),
  ],
  ['the exact Fisher', () => cgfac({ fisher: exact() })],
  ['K-FAC', () => kfac()],
  ['K-FAC with Tikhonov damping', () => kfac({ damping: tikhonov({ stopping: byResidual({ tolerance: 1e-7 }) }) })],
];

test('sketches of groups, of more rows than they have', async () => {
  const options = {
    engine,
    data,
    optimizer: cgfac({ factors: sketches({ rank: 2 }) }),
    batchSize: 6,
    steps: 20,
    evaluateEvery: 100,
    seed: 3,
  };
  const { record } = await train(network(false), options);
  const losses = record.steps.map(({ loss }) => loss);
  expect(losses.at(-1)).toBeLessThan(losses[0] ?? 0);
});

test.each(optimizers)('%s: the same as of separate convolutions', async (_name, optimizer) => {
  const run = async (isApart: boolean) => {
    const options = { engine, data, optimizer: optimizer(), batchSize: 6, steps: 4, evaluateEvery: 100, seed: 3 };
    return (await train(network(isApart), options)).parameters;
  };
  const [together, apart] = [await run(false), await run(true)];
  for (const [name, parameter] of together) {
    const parts = [...apart].filter(([other]) => other === name || other.startsWith(`${name}.`));
    const expected = parts.flatMap(([, part]) => [...toNumbers(part)]);
    const found = [...toNumbers(parameter)];
    expect(found).toHaveLength(expected.length);
    const largest = Math.max(...found.map((x, i) => Math.abs(x - (expected[i] ?? Number.NaN))));
    expect(largest, name).toBeLessThan(1e-4);
  }
});
