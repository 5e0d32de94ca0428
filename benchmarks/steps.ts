// Milliseconds of one training step of a network, beside the bare products (Gemm, MatMul, Conv) of its gradient. What is done
// every few steps, such as inverses, counts in the mean over periods of 20 steps, and hardly in the median.
// npm run bench:steps [-- autoencoder|lenet|resnet20|char-transformer|mlp|wide batchSize periods threads cpu]
// With the word cpu at the end, processor time: for a machine that other programs use, and one thread.

import type { Engine, Program } from '../src/engine/engine.js';
import { nodeEngine } from '../src/engine/node.js';
import type { Graph, Value } from '../src/graph/graph.js';
import type { TensorData } from '../src/graph/tensor.js';
import { type LossWord, lossOf } from '../src/losses/index.js';
import type { Model } from '../src/model/model.js';
import { charTransformer } from '../src/nn/char-transformer.js';
import { lenet } from '../src/nn/lenet.js';
import { resnet20 } from '../src/nn/resnet.js';
import { autoencoder, mlp } from '../src/nn/zoo.js';
import { Builder } from '../src/ops/builder.js';
import { adam } from '../src/optimizers/adam.js';
import type { Optimizer } from '../src/optimizers/optimizer.js';
import { cgfac } from '../src/optimizers/second-order/cgfac.js';
import { dense, sketches } from '../src/optimizers/second-order/factors.js';
import { kfac } from '../src/optimizers/second-order/kfac.js';
import { primal } from '../src/optimizers/second-order/primal.js';
import { byBudget } from '../src/optimizers/second-order/rank.js';
import { sgd } from '../src/optimizers/sgd.js';
import { normalized } from '../src/optimizers/steps/normalized.js';
import { selfTuning } from '../src/optimizers/steps/self-tuning.js';
import { DrawnTensors, openStepper, type Stepper } from '../src/study/stepper.js';
import { type Contender, positive, processorTime, takeTurns, usage } from './measure.js';

const draws = new DrawnTensors(1);
const uniform = (dims: readonly number[]) => draws.uniform(dims);
const integers = (dims: readonly number[], bound: number) => draws.integers(dims, bound);

interface Measured {
  readonly name: string;
  readonly optimizer: Optimizer;
  /** It takes its turn only every so many rounds. */
  readonly everyRounds?: number;
}

interface Workload {
  readonly model: Model;
  readonly loss: LossWord;
  readonly batchSize: number;
  readonly isTable?: boolean;
  /** Second-order optimizers; `usual` if left out. */
  readonly optimizers?: readonly Measured[];
  batch(size: number): { readonly input: TensorData; readonly target: TensorData };
}

const classifying = (model: Model, picture: readonly number[]): Workload => ({
  model,
  loss: 'softmax-cross-entropy',
  batchSize: 128,
  batch: (size) => ({ input: uniform([size, ...picture]), target: integers([size], 10) }),
});

/** Steps after which the optimizers below do the same again: K-FAC's inverses are the rarest. */
const period = 20;

const usual: readonly Measured[] = [
  { name: 'cgfac (normalized)', optimizer: cgfac({ step: normalized() }) },
  { name: 'kfac (normalized)', optimizer: kfac({ step: normalized() }) },
  { name: 'cgfac (self-tuning)', optimizer: cgfac({ step: selfTuning() }) },
  { name: 'kfac (self-tuning)', optimizer: kfac({ step: selfTuning() }) },
  {
    name: 'kfac, inverses every step',
    optimizer: kfac({ factors: dense({ inverseInterval: 1 }) }),
    everyRounds: period / 2,
  },
];

/** Of layers whose inverses take many seconds: normalized steps alone. */
const ofWideLayers: readonly Measured[] = [
  { name: 'cgfac', optimizer: cgfac({ step: normalized() }) },
  { name: 'cgfac, rank auto', optimizer: cgfac({ step: normalized(), factors: sketches({ rank: byBudget() }) }) },
  {
    name: "cgfac, paper's form, 10 iterations",
    optimizer: cgfac({ step: normalized(), damping: primal({ maxIterations: 10 }) }),
  },
  {
    name: 'kfac, inverses every 10 steps',
    optimizer: kfac({ step: normalized(), factors: dense({ inverseInterval: 10 }) }),
  },
];

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
  mlp: () => ({ ...classifying(mlp({ sizes: [64, 256, 128, 10], seed: 1 }), [64]), batchSize: 64, isTable: true }),
  wide: () => ({
    ...classifying(mlp({ sizes: [784, 4096, 4096, 10], seed: 1 }), [784]),
    optimizers: ofWideLayers,
  }),
};

const words = process.argv.slice(2);
const isShared = words.at(-1) === 'cpu';
const [name = 'autoencoder', ...numbers] = isShared ? words.slice(0, -1) : words;
const given = positive(numbers);
const workload = Object.hasOwn(workloads, name) ? workloads[name]?.() : undefined;
if (!workload || !given)
  usage(`npm run bench:steps [-- ${Object.keys(workloads).join('|')} batchSize periods threads cpu]`);
const [batchSize = workload.batchSize, periods = 3, threads = 2] = given;
const { model } = workload;
const loss = lossOf(workload.loss);
const { input, target } = workload.batch(batchSize);
const isTable = workload.isTable ?? false;

/** Each optimizer has an engine of its own only in name: state keys would clash in a shared store. */
async function stepOf(engine: Engine, label: string, optimizer: Optimizer): Promise<Contender & Stepper> {
  return { name: label, ...(await openStepper(engine, { model, loss, input, target, isTable }, optimizer)) };
}

/** Nodes of a graph and of the bodies in it. */
const nodeCount = ({ nodes }: Graph): number =>
  nodes.reduce((sum, { attributes }) => {
    const bodies = Object.values(attributes).flatMap((each) => (each.kind === 'graph' ? [nodeCount(each.value)] : []));
    return bodies.reduce((x, y) => x + y, sum + 1);
  }, 0);

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
const steps: (Contender & Stepper)[] = [];
const all: readonly Measured[] = [
  { name: 'sgd', optimizer: sgd() },
  { name: 'adam', optimizer: adam() },
  ...(workload.optimizers ?? usual),
];
for (const { name: label, optimizer, ...turns } of all) {
  steps.push({ ...(await stepOf(await fresh(), label, optimizer)), ...turns });
}
const [plain, second] = steps;
if (!plain || !second) throw new Error('no steps to measure');
const contenders = [plain, await bareProducts(await fresh(), plain.graph), ...steps.slice(1)];
const timings = await takeTurns(contenders, {
  rounds: periods * period,
  warmUp: period,
  period,
  ...(isShared && { clock: processorTime }),
});
const meanOf = (name: string): number => timings.find((each) => each.name === name)?.meanMilliseconds ?? Number.NaN;
console.log(
  `${name}, batch ${batchSize}, threads ${threads}, ${periods} periods of ${period} steps in turns after one that is not counted${isShared ? '; processor time' : ''}\n`,
);
console.log('| | median ms | mean ms | mean/sgd | mean/adam | nodes | state MB |');
console.log('|---|---:|---:|---:|---:|---:|---:|');
for (const { name: contender, medianMilliseconds, meanMilliseconds } of timings) {
  const step = steps.find((each) => each.name === contender);
  const columns = [
    medianMilliseconds.toFixed(2),
    meanMilliseconds.toFixed(2),
    (meanMilliseconds / meanOf(plain.name)).toFixed(2),
    (meanMilliseconds / meanOf(second.name)).toFixed(2),
    step ? nodeCount(step.graph) : '',
    step ? (step.stateBytes / 1e6).toFixed(2) : '',
  ];
  console.log(`| ${[contender, ...columns].join(' | ')} |`);
}
for (const engine of engines) await engine.close();
