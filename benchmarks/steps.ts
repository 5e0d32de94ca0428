// Milliseconds of one training step on the deep autoencoder, beside the bare matrix products of its gradient.
// npm run bench:steps [-- batchSize rounds threads]

import { random } from '../src/data/random.js';
import type { Engine, Program } from '../src/engine/engine.js';
import { nodeEngine } from '../src/engine/node.js';
import type { Graph, Value } from '../src/graph/graph.js';
import { elementCount, type TensorData } from '../src/graph/tensor.js';
import { lossNamed } from '../src/losses/index.js';
import { autoencoder } from '../src/nn/zoo.js';
import { Builder } from '../src/ops/builder.js';
import { adam } from '../src/optimizers/adam.js';
import { cgfac } from '../src/optimizers/cgfac.js';
import { kfac } from '../src/optimizers/kfac.js';
import type { Optimizer } from '../src/optimizers/optimizer.js';
import { sgd } from '../src/optimizers/sgd.js';
import { IterateAverage } from '../src/training/iterate-average.js';
import { metricFor } from '../src/training/metrics.js';
import { buildStep, parameterKey, scalarKey } from '../src/training/step-program.js';
import { type Contender, takeTurns } from './measure.js';

const [batchSize = 512, rounds = 15, threads = 2] = process.argv.slice(2).map(Number);
const model = autoencoder({ seed: 1 });
const loss = lossNamed('sigmoid-cross-entropy');
const source = random(1, 'benchmark');

const uniform = (dims: readonly number[]): TensorData => {
  const data = new Float32Array(elementCount(dims));
  source.fillUniform(data);
  return { dtype: 'float32', dims, data };
};
const batch = uniform([batchSize, 784]);

/** Each optimizer has an engine of its own only in name: state keys would clash in a shared store. */
async function stepOf(
  engine: Engine,
  label: string,
  optimizer: Optimizer,
): Promise<Contender & { graph: Graph; stateBytes: number }> {
  const type = { dtype: 'float32' as const, shape: batch.dims };
  const step = buildStep({ model, loss, metric: metricFor(loss.name), optimizer, input: type, targets: type });
  const program = await engine.compile(step.graph, { updates: step.updates });
  const parameters = [...model.parameters].map(([name, { constant }]) => [parameterKey(name), constant] as const);
  await engine.write({
    ...Object.fromEntries(parameters.filter((entry): entry is [string, TensorData] => entry[1] !== undefined)),
    ...step.initialState,
  });
  const averages = optimizer.iterateAveraging && (await IterateAverage.of(engine, model, optimizer.iterateAveraging));
  if (averages) {
    const initial = [...averages.keys].map(([name, key]) => [key, model.parameters.get(name)?.constant] as const);
    await engine.write(
      Object.fromEntries(initial.filter((entry): entry is [string, TensorData] => entry[1] !== undefined)),
    );
  }
  const controller = optimizer.controller(loss.name);
  const noise = Object.fromEntries(step.noise.map(({ name, dims }) => [name, uniform(dims)]));
  let k = 0;
  return {
    name: label,
    graph: step.graph,
    stateBytes: step.stateBytes + (averages ? averages.bytes : 0),
    async run() {
      const numbers = controller.scalars(k);
      const scalars = Object.fromEntries(
        step.scalars.map((name) => [
          scalarKey(name),
          { dtype: 'float32' as const, dims: [], data: Float32Array.of(numbers[name] ?? 0) },
        ]),
      );
      const result = await program.run({ input: batch, target: batch, ...noise, ...scalars });
      controller.observe(
        k,
        Object.fromEntries(step.diagnostics.map((name) => [name, Number(result[`diagnostic.${name}`]?.data[0])])),
      );
      k++;
      if (averages) await averages.after(k, false);
    },
  };
}

/** The matrix products of a graph on operands of their own, with nothing else in the program. */
async function bareProducts(engine: Engine, graph: Graph): Promise<Contender> {
  const b = new Builder();
  const outputs: Record<string, Value> = {};
  const operands: Record<string, TensorData> = {};
  for (const [i, node] of graph.nodes.entries()) {
    if (node.op !== 'Gemm' && node.op !== 'MatMul') continue;
    const inputs = node.inputs.map((input, k) => {
      if (!input) return undefined;
      const key = `operand.${i}.${k}`;
      operands[key] = uniform(input.dims);
      return b.input(key, input.dtype, input.dims);
    });
    const product = b.op(node.op, inputs, node.attributes);
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
  await stepOf(await fresh(), 'cgfac (R = 128, self-tuning)', cgfac()),
  await stepOf(await fresh(), 'kfac (inverse every 20 steps)', kfac()),
  await stepOf(await fresh(), 'kfac (inverse every step)', kfac({ inverseInterval: 1 })),
];
const [plain] = steps;
if (!plain) throw new Error('no steps to measure');
const contenders = [plain, await bareProducts(await fresh(), plain.graph), ...steps.slice(1)];
const timings = await takeTurns(contenders, rounds);
console.log(
  `autoencoder, batch ${batchSize}, ${threads} threads, ${rounds} rounds in turns: medians, ratios to sgd of the same round`,
);
for (const { name, medianMilliseconds, ratio } of timings) {
  const bytes = steps.find((step) => step.name === name)?.stateBytes;
  const memory = bytes === undefined ? '' : `${(bytes / 1e6).toFixed(1)} MB state`;
  console.log(
    `${name.padEnd(32)} ${medianMilliseconds.toFixed(1).padStart(8)} ms ${ratio.toFixed(2).padStart(6)}×  ${memory}`,
  );
}
for (const engine of engines) await engine.close();
