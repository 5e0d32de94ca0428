// What a training run costs beside its ONNX program: batches, the worker, records, callbacks, and checkpoints if they are written.
// The bare program runs in this process with tensors that are ready; the run is what `cgfac train` does.
// npm run bench:overhead [-- mlp|lenet|autoencoder rounds threads]

import { batchOf } from '../src/data/batches.js';
import { type DataSplits, type Dataset, onlyInput } from '../src/data/dataset.js';
import { drawnDigits } from '../src/data/digits/digits.js';
import { autoencoding, withInputShape } from '../src/data/views.js';
import { nodeEngine } from '../src/engine/node.js';
import { lossOf } from '../src/losses/index.js';
import type { Model } from '../src/model/model.js';
import { lenet } from '../src/nn/lenet.js';
import { autoencoder, mlp } from '../src/nn/zoo.js';
import { adam } from '../src/optimizers/adam.js';
import { cgfac } from '../src/optimizers/second-order/cgfac.js';
import { random } from '../src/random.js';
import { openStepper } from '../src/study/stepper.js';
import { train } from '../src/training/trainer.js';
import { positive, usage } from './measure.js';

interface Workload {
  readonly model: Model;
  readonly data: DataSplits;
  readonly loss: 'softmax-cross-entropy' | 'sigmoid-cross-entropy';
  readonly batchSize: number;
  /** Steps that are measured in a round: whole periods of the optimizer. */
  readonly steps: number;
}

const digits = drawnDigits({ trainSize: 4000, testSize: 100 });
const shaped = (shape: readonly number[]): DataSplits => ({
  train: withInputShape(digits.train, shape),
  test: withInputShape(digits.test, shape),
});
/** Rows of 64 numbers with labels, drawn. */
function table(name: string, size: number): Dataset {
  const source = random(1, name);
  const numbers = new Float32Array(64 * size);
  source.fillNormal(numbers);
  return {
    ...{ name, size, inputs: { dtype: 'float32', shape: [64], data: numbers } },
    targets: { dtype: 'int64', shape: [], data: Int32Array.from({ length: size }, () => source.integer(10)) },
  };
}

const workloads: Readonly<Record<string, () => Workload>> = {
  mlp: () => ({
    model: mlp({ sizes: [64, 256, 128, 10], seed: 1 }),
    data: { train: table('table', 4000), test: table('other table', 100) },
    ...{ loss: 'softmax-cross-entropy', batchSize: 64, steps: 1000 },
  }),
  lenet: () => ({
    model: lenet({ seed: 1 }),
    ...{ data: shaped([1, 28, 28]), loss: 'softmax-cross-entropy', batchSize: 128, steps: 200 },
  }),
  autoencoder: () => ({
    model: autoencoder({ seed: 1 }),
    data: { train: autoencoding(digits.train), test: autoencoding(digits.test) },
    ...{ loss: 'sigmoid-cross-entropy', batchSize: 500, steps: 40 },
  }),
};

const [name = 'mlp', ...numbers] = process.argv.slice(2);
const workload = workloads[name]?.();
const counts = positive(numbers);
if (!workload || !counts) usage('npm run bench:overhead [-- mlp|lenet|autoencoder rounds threads]');
const [rounds = 5, threads = 2] = counts;
/** Steps before the first that is measured: curvature is then measured in its usual intervals. */
const warmUp = 40;
const { model, data, batchSize, steps } = workload;
const loss = lossOf(workload.loss);
const median = (values: readonly number[]): number =>
  [...values].sort((x, y) => x - y)[Math.floor(values.length / 2)] ?? Number.NaN;

const optimizers = { adam: () => adam(), cgfac: () => cgfac() };
for (const [label, make] of Object.entries(optimizers)) {
  const bare: number[] = [];
  const whole: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const inside = await nodeEngine({ threads, worker: false });
    const { inputs, targets } = batchOf(
      data.train,
      Array.from({ length: batchSize }, (_, i) => i),
    );
    const step = await openStepper(inside, { model, loss, input: onlyInput({ inputs }), target: targets }, make());
    for (let k = 0; k < warmUp; k++) await step.run();
    const began = performance.now();
    for (let k = 0; k < steps; k++) await step.run();
    bare.push((performance.now() - began) / steps);
    await inside.close();

    const engine = await nodeEngine({ threads });
    let first = 0;
    await train(model, {
      ...{ engine, data, loss, optimizer: make(), batchSize, seed: 1, normalize: false },
      ...{ steps: warmUp + steps + 1, evaluateEvery: 1_000_000 },
      callbacks: {
        onStep({ step: done }) {
          if (done === warmUp) first = performance.now();
          if (done === warmUp + steps) whole.push((performance.now() - first) / steps);
        },
      },
    });
    await engine.close();
  }
  const [program, run] = [median(bare), median(whole)];
  const over = median(whole.map((each, i) => each - (bare[i] ?? 0)));
  console.log(
    `${name}, ${label}, batch ${batchSize}, threads ${threads}: program ${program.toFixed(3)} ms, run ${run.toFixed(3)} ms a step; ` +
      `outside the program ${over.toFixed(3)} ms (${((100 * over) / program).toFixed(1)} %), medians of ${rounds} rounds in turns`,
  );
}
