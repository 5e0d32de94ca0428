// Whether training makes a good model worse first: LeNet trained on MNIST to a test accuracy of 99.2 %, saved, loaded and continued.
// npm run bench:fine-tuning -- mnist:DIR [seeds steps]
// The file stays in the folder for temporary files, so that another call continues the same one. One thread.
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadModel, saveModel } from '../src/api/load-save.js';
import { loadData } from '../src/data/spec.js';
import { nodeEngine } from '../src/engine/node.js';
import type { Model } from '../src/model/model.js';
import { lenet } from '../src/nn/lenet.js';
import { adam } from '../src/optimizers/adam.js';
import type { Optimizer } from '../src/optimizers/optimizer.js';
import { inverseRoot } from '../src/optimizers/schedules.js';
import { cgfac } from '../src/optimizers/second-order/cgfac.js';
import { kfac } from '../src/optimizers/second-order/kfac.js';
import { sgd } from '../src/optimizers/sgd.js';
import { normalized } from '../src/optimizers/steps/normalized.js';
import type { Callbacks } from '../src/training/callbacks.js';
import { evaluateModel } from '../src/training/evaluation/evaluation.js';
import { train } from '../src/training/trainer.js';
import { positive, usage } from './measure.js';

const [spec, ...numbers] = process.argv.slice(2);
const given = positive(numbers);
if (!given || spec === undefined) usage('npm run bench:fine-tuning -- mnist:DIR [seeds steps]');
const [seeds = 2, steps = 468] = given;
/** Steps that count as the beginning, and those between evaluations there and afterwards. */
const [beginning, often, seldom] = [60, 10, 39];
const [wanted, mostEpochs] = [0.992, 8];

const data = await loadData(spec, { seed: 1 });
const engine = await nodeEngine({ threads: 1 });
const onTest = async (model: Model) => (await evaluateModel(engine, model, data.test)).values;

/** A good model, by as few epochs as it takes. */
async function trained(): Promise<Model> {
  for (let epochs = 2; epochs <= mostEpochs; epochs++) {
    const run = { engine, data, optimizer: cgfac(), batchSize: 128, epochs, evaluateEvery: 1_000_000, seed: 1 };
    const { model, record } = await train(lenet({ seed: 1 }), run);
    console.log(`${epochs} epochs: test accuracy ${record.test.accuracy}`);
    if ((record.test.accuracy ?? 0) >= wanted) return model;
  }
  throw new Error(`no test accuracy of ${wanted} after ${mostEpochs} epochs`);
}

const folder = join(tmpdir(), 'cgfac-fine-tuning');
const path = join(folder, 'lenet.onnx');
if (!existsSync(path)) {
  await mkdir(folder, { recursive: true });
  await saveModel(await trained(), path);
}
const base = await loadModel(path);
const start = await onTest(base);
console.log(`${path}: test loss ${start.loss.toFixed(4)}, accuracy ${start.accuracy}`);

const contenders = new Map<string, () => Optimizer>([
  ['cgfac', () => cgfac()],
  ['kfac', () => kfac()],
  ['cgfac, steps of a new run', () => cgfac({ step: normalized({ learningRate: inverseRoot(2e-3) }) })],
  ['adam 0.001', () => adam()],
  ['adam 0.0001', () => adam({ learningRate: 1e-4 })],
  ['sgd 0.01, momentum', () => sgd({ learningRate: 0.01, momentum: 0.9 })],
]);
console.log('test loss over that of the start: highest in the first 60 steps, highest of all, last (test accuracy)');
for (const [name, make] of contenders) {
  for (let seed = 1; seed <= seeds; seed++) {
    const ratios: (readonly [step: number, ratio: number])[] = [];
    const callbacks: Callbacks = {
      async onStep({ step }, run) {
        if (step % (step <= beginning ? often : seldom) !== 0) return;
        const { loss } = await onTest(base.with(await run.parameters()));
        ratios.push([step, loss / start.loss]);
      },
    };
    const options = { engine, data, batchSize: 128, steps, evaluateEvery: 1_000_000, seed, callbacks };
    const { record } = await train(base, { ...options, optimizer: make() });
    const highest = (until: number): string =>
      Math.max(...ratios.flatMap(([step, ratio]) => (step <= until ? [ratio] : []))).toFixed(3);
    const [last] = ratios.slice(-1);
    console.log(
      `${name.padEnd(26)} seed ${seed}: ${highest(beginning)}, ${highest(steps)}, ${last?.[1].toFixed(3)} ` +
        `(${record.test.accuracy}${record.takenBack ? ', taken back' : ''})  ` +
        ratios.map(([step, ratio]) => `${step}:${ratio.toFixed(2)}`).join(' '),
    );
  }
}
await engine.close();
