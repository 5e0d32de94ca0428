// Milliseconds of one training step of a network, beside the bare products (Gemm, MatMul, Conv) of its gradient.
// npm run bench:steps [-- autoencoder|lenet|resnet20|char-transformer batchSize rounds threads]

import type { Engine, Program } from '../src/engine/engine.js';
import { nodeEngine } from '../src/engine/node.js';
import type { Graph, Value } from '../src/graph/graph.js';
import { elementCount, type TensorData } from '../src/graph/tensor.js';
import { type LossWord, lossOf } from '../src/losses/index.js';
import type { Model } from '../src/model/model.js';
import { charTransformer } from '../src/nn/char-transformer.js';
import { lenet } from '../src/nn/lenet.js';
import { resnet20 } from '../src/nn/resnet.js';
import { autoencoder } from '../src/nn/zoo.js';
import { Builder } from '../src/ops/builder.js';
import { adam } from '../src/optimizers/adam.js';
import type { Optimizer, Setting } from '../src/optimizers/optimizer.js';
import { cgfac } from '../src/optimizers/second-order/cgfac.js';
import { dense } from '../src/optimizers/second-order/factors.js';
import { kfac } from '../src/optimizers/second-order/kfac.js';
import { sgd } from '../src/optimizers/sgd.js';
import { normalized } from '../src/optimizers/steps/normalized.js';
import { selfTuning } from '../src/optimizers/steps/self-tuning.js';
import { random } from '../src/random.js';
import { IterateAverage } from '../src/training/iterate-average.js';
import { acceptedKey, buildStep, parameterKey, scalarFeeds } from '../src/training/step-program.js';
import { type Contender, positive, takeTurns, usage } from './measure.js';

const source = random(1, 'benchmark');

const uniform = (dims: readonly number[]): TensorData => {
  const data = new Float32Array(elementCount(dims));
  source.fillUniform(data);
  return { dtype: 'float32', dims, data };
};
const integers = (dims: readonly number[], bound: number): TensorData => {
  const data = BigInt64Array.from({ length: elementCount(dims) }, () => BigInt(source.integer(bound)));
  return { dtype: 'int64', dims, data };
};

interface Workload {
  readonly model: Model;
  readonly loss: LossWord;
  readonly batchSize: number;
  batch(size: number): { readonly input: TensorData; readonly target: TensorData };
}

const classifying = (model: Model, picture: readonly number[]): Workload => ({
  model,
  loss: 'softmax-cross-entropy',
  batchSize: 128,
  batch: (size) => ({ input: uniform([size, ...picture]), target: integers([size], 10) }),
});

const workloads: Readonly<Record<string, () => Workload>> = {
  autoencoder: () => ({
    model: autoencoder({ seed: 1 }),
    loss: 'sigmoid-cross-entropy',
    batchSize: 512,
    batch(size) {
      const input = uniform([size, 784]);
      return { input, target: input };
    },
  }),
  lenet: () => classifying(lenet({ seed: 1 }), [1, 28, 28]),
  resnet20: () => classifying(resnet20({ seed: 1 }), [3, 32, 32]),
  'char-transformer': () => ({
    model: charTransformer({ seed: 1 }),
    loss: 'softmax-cross-entropy',
    batchSize: 32,
    batch: (size) => ({ input: integers([size, 64], 65), target: integers([size, 64], 65) }),
  }),
};

const [name = 'autoencoder', ...numbers] = process.argv.slice(2);
const given = positive(numbers);
const workload = Object.hasOwn(workloads, name) ? workloads[name]?.() : undefined;
if (!workload || !given) usage(`npm run bench:steps [-- ${Object.keys(workloads).join('|')} batchSize rounds threads]`);
const [batchSize = workload.batchSize, rounds = 15, threads = 2] = given;
const { model } = workload;
const loss = lossOf(workload.loss);
const { input, target } = workload.batch(batchSize);
const setting: Setting = { loss, examples: 60_000, batchSize, isTable: false, isPretrained: false };

/** Each optimizer has an engine of its own only in name: state keys would clash in a shared store. */
async function stepOf(
  engine: Engine,
  label: string,
  optimizer: Optimizer,
): Promise<Contender & { graph: Graph; stateBytes: number }> {
  const step = buildStep({
    model,
    loss,
    metric: loss.metric,
    optimizer,
    setting,
    inputs: { dtype: input.dtype, shape: input.dims },
    targets: { dtype: target.dtype, shape: target.dims },
  });
  const program = await engine.compile(step.graph, { updates: step.updates, accept: acceptedKey, undoable: true });
  const parameters = [...model.parameters].map(([name, { constant }]) => [parameterKey(name), constant] as const);
  await engine.write({
    ...Object.fromEntries(parameters.filter((entry): entry is [string, TensorData] => entry[1] !== undefined)),
    ...step.initialState,
  });
  const averages =
    optimizer.iterateAveraging && (await IterateAverage.of(engine, model.parameters, optimizer.iterateAveraging));
  if (averages) {
    const initial = [...averages.keys].map(([name, key]) => [key, model.parameters.get(name)?.constant] as const);
    await engine.write(
      Object.fromEntries(initial.filter((entry): entry is [string, TensorData] => entry[1] !== undefined)),
    );
  }
  const noise = Object.fromEntries(step.noise.map(({ name, dims }) => [name, uniform(dims)]));
  let k = 0;
  return {
    name: label,
    graph: step.graph,
    stateBytes: step.stateBytes + (averages ? averages.bytes : 0),
    async run() {
      const result = await program.run({ input, target, ...noise, ...scalarFeeds(step, k, k) });
      const reported = Object.fromEntries(
        step.diagnostics.map((name) => [name, Number(result[`diagnostic.${name}`]?.data[0])]),
      );
      for (const steering of step.steering) steering.observe(k, reported);
      k++;
      if (averages) await averages.after(k, false);
    },
  };
}

const products = ['Gemm', 'MatMul', 'Conv', 'ConvTranspose'];

/** The matrix products and convolutions of a graph on operands of their own, with nothing else in the program. */
async function bareProducts(engine: Engine, graph: Graph): Promise<Contender> {
  const b = new Builder();
  const outputs: Record<string, Value> = {};
  const operands: Record<string, TensorData> = {};
  for (const [i, node] of graph.nodes.entries()) {
    if (!products.includes(node.op)) continue;
    const inputs = node.inputs.map((input, k) => {
      if (!input) return undefined;
      const key = `operand.${i}.${k}`;
      operands[key] = uniform(input.dims);
      return b.input(key, input.dtype, input.dims);
    });
    const [product] = b.node(node.op, inputs, node.attributes) as [Value];
    outputs[`corner${i}`] = b.slice(b.slice(product, 0, 0, 1), 1, 0, 1);
  }
  const program: Program = await engine.compile(b.build('bare products', outputs));
  await engine.write(operands);
  return { name: 'bare products of sgd', run: () => program.run({}) };
}

const engines: Engine[] = [];
const fresh = async (): Promise<Engine> => {
  const engine = await nodeEngine({ threads });
  engines.push(engine);
  return engine;
};
const steps = [
  await stepOf(await fresh(), 'sgd', sgd()),
  await stepOf(await fresh(), 'adam', adam()),
  await stepOf(await fresh(), 'cgfac (self-tuning)', cgfac({ step: selfTuning() })),
  await stepOf(await fresh(), 'cgfac (normalized)', cgfac({ step: normalized() })),
  await stepOf(await fresh(), 'kfac (inverse every 20 steps)', kfac()),
  await stepOf(await fresh(), 'kfac (inverse every step)', kfac({ factors: dense({ inverseInterval: 1 }) })),
];
const [plain] = steps;
if (!plain) throw new Error('no steps to measure');
const contenders = [plain, await bareProducts(await fresh(), plain.graph), ...steps.slice(1)];
const timings = await takeTurns(contenders, rounds);
console.log(
  `${name}, batch ${batchSize}, ${threads} threads, ${rounds} rounds in turns: medians, ratios to sgd of the same round`,
);
for (const { name: contender, medianMilliseconds, ratio } of timings) {
  const bytes = steps.find((step) => step.name === contender)?.stateBytes;
  const memory = bytes === undefined ? '' : `${(bytes / 1e6).toFixed(1)} MB state`;
  console.log(
    `${contender.padEnd(32)} ${medianMilliseconds.toFixed(1).padStart(8)} ms ${ratio.toFixed(2).padStart(6)}×  ${memory}`,
  );
}
for (const engine of engines) await engine.close();
