// The deep autoencoder on MNIST, batch 500: how fast each optimizer gets to a squared error, in steps and seconds.
// npm run bench:autoencoder -- DATA [adamSteps]   (DATA such as mnist:DIR or digits; two threads)
import { loadData } from '../src/data/spec.js';
import { nodeEngine } from '../src/engine/node.js';
import { autoencoder } from '../src/nn/zoo.js';
import { adam } from '../src/optimizers/adam.js';
import type { Optimizer } from '../src/optimizers/optimizer.js';
import { cgfac } from '../src/optimizers/second-order/cgfac.js';
import { kfac } from '../src/optimizers/second-order/kfac.js';
import { train } from '../src/training/trainer.js';
import { positive, usage } from './measure.js';

const [spec = 'digits', ...numbers] = process.argv.slice(2);
const [adamSteps = 1000] =
  positive(numbers) ?? usage('npm run bench:autoencoder [-- DATA adamSteps]   (DATA such as mnist:DIR)');
const data = await loadData(spec, { task: 'autoencoding' });
const engine = await nodeEngine({ threads: 2 });

async function race(label: string, optimizer: Optimizer, steps: number, value: number): Promise<number> {
  const { record } = await train(autoencoder({ seed: 1 }), {
    engine,
    data,
    optimizer,
    loss: 'sigmoid-cross-entropy',
    batchSize: 500,
    steps,
    seed: 1,
    evaluateEvery: 5,
    target: { metric: 'squaredError', value },
  });
  const reached = record.toTarget;
  const [final, onTest] = [record.train.squaredError ?? Number.NaN, record.test.squaredError ?? Number.NaN];
  const when = reached
    ? `≤ ${value.toFixed(2)} after ${reached.steps} steps, ${reached.seconds.toFixed(1)} s`
    : `above ${value.toFixed(2)}`;
  console.log(
    `${label.padEnd(26)} squared error ${final.toFixed(2)} (test ${onTest.toFixed(2)}) after ${steps} steps, ` +
      `${record.seconds.toFixed(1)} s; ${when}; ${record.stepMilliseconds.median.toFixed(0)} ms a step, ${(record.stateBytes / 1e6).toFixed(1)} MB`,
  );
  return final;
}

console.log(`autoencoder 784-1000-500-250-30-…-784 on ${spec}, batch 500, 2 threads, defaults`);
const adamValue = await race('adam (1e-3)', adam({ learningRate: 1e-3 }), adamSteps, 6);
// Each goal is a race of its own: cgfac and kfac take turns.
for (const value of [adamValue, 6, 5]) {
  await race('cgfac', cgfac(), 150, value);
  await race('kfac', kfac(), 150, value);
}
await engine.close();
