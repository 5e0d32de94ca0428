// How good a network becomes: LeNet on MNIST at equal epochs, the character transformer on a text at equal wall time.
// npm run bench:training -- lenet mnist:DIR [epochs]
// npm run bench:training -- char-transformer text:FILE [seconds batchSize]
// cgfac and kfac with their defaults; Adam and AdamW from a grid. Two threads.
import { loadData } from '../src/data/spec.js';
import { nodeEngine } from '../src/engine/node.js';
import type { Model } from '../src/model/model.js';
import { charTransformer } from '../src/nn/char-transformer.js';
import { lenet } from '../src/nn/lenet.js';
import { adam, adamw } from '../src/optimizers/adam.js';
import type { Optimizer } from '../src/optimizers/optimizer.js';
import { cgfac } from '../src/optimizers/second-order/cgfac.js';
import { kfac } from '../src/optimizers/second-order/kfac.js';
import type { RunRecord } from '../src/training/run-record.js';
import { train } from '../src/training/trainer.js';
import { positive, Turns, usage } from './measure.js';

const [name, spec, ...numbers] = process.argv.slice(2);
const given = positive(numbers);
if (!given || spec === undefined || (name !== 'lenet' && name !== 'char-transformer')) {
  usage(
    'npm run bench:training -- lenet mnist:DIR [epochs]',
    'npm run bench:training -- char-transformer text:FILE [seconds batchSize]',
  );
}
const [length, size] = given;
const seed = 1;
const data = await loadData(spec, { seed });

function report(
  label: string,
  { steps, seconds, stepMilliseconds, train: onTrain, test, stateBytes }: RunRecord,
): void {
  const percent = (share: number | undefined): string => `${(100 * (share ?? Number.NaN)).toFixed(2)} %`;
  console.log(
    `${label.padEnd(16)} test loss ${test.loss.toFixed(4)}, accuracy ${percent(test.accuracy)}; train loss ` +
      `${onTrain.loss.toFixed(4)}; ${steps.length} steps, ${seconds.toFixed(1)} s, ` +
      `${stepMilliseconds.median.toFixed(1)} ms a step, ${(stateBytes / 1e6).toFixed(1)} MB`,
  );
}

/** One run after another, so many passes over the data each. */
async function atEqualEpochs(model: Model, contenders: ReadonlyMap<string, Optimizer>, epochs: number): Promise<void> {
  console.log(`${model.name} on ${spec}, batch 128, ${epochs} epochs`);
  for (const [label, optimizer] of contenders) {
    const engine = await nodeEngine({ threads: 2 });
    const { record } = await train(model, { engine, data, optimizer, batchSize: 128, epochs, seed });
    report(label, record);
    await engine.close();
  }
}

/** A learning rate that rises over the first twentieth of a run and falls to a tenth along a cosine. */
const warmCosine = (peak: number, progress: number): number => {
  const done = Math.min(1, progress);
  return peak * Math.min(1, done / 0.05 + 0.02) * (0.1 + 0.45 * (1 + Math.cos(Math.PI * done)));
};

/** All runs in turns, until each has used its time. */
async function atEqualTime(
  model: Model,
  contenders: ReadonlyMap<string, (progress: () => number) => Optimizer>,
  seconds: number,
  batchSize: number,
): Promise<void> {
  console.log(`${model.name} on ${spec}, batch ${batchSize}, ${seconds} s each, in turns`);
  const turns = new Turns([...contenders.keys()]);
  const runs = [...contenders].map(async ([label, make]) => {
    const engine = await nodeEngine({ threads: 2 });
    const stop = new AbortController();
    const { record } = await train(model, {
      engine,
      data,
      optimizer: make(() => turns.clock(label) / seconds),
      batchSize,
      steps: 1_000_000,
      evaluateEvery: 1_000_000,
      seed,
      signal: stop.signal,
      callbacks: {
        async onStep(done) {
          if (done.seconds < seconds) return turns.step(label, done.seconds);
          stop.abort();
          turns.leave(label);
        },
      },
    });
    await engine.close();
    return [label, record] as const;
  });
  for (const [label, record] of await Promise.all(runs)) report(label, record);
}

const secondOrder: readonly (readonly [string, () => Optimizer])[] = [
  ['cgfac', () => cgfac()],
  ['kfac', () => kfac()],
];

if (name === 'lenet') {
  const tuned = [5e-4, 1e-3, 2e-3, 3e-3].map((rate) => [`adam ${rate}`, adam({ learningRate: rate })] as const);
  const epochs = length ?? 5;
  const total = epochs * Math.floor(data.train.size / 128);
  const scheduled = adamw({ learningRate: (step) => warmCosine(3e-3, step / total), weightDecay: 0.1 });
  const contenders = new Map([
    ...secondOrder.map(([label, make]) => [label, make()] as const),
    ...tuned,
    ['adamw, cosine', scheduled] as const,
  ]);
  await atEqualEpochs(lenet({ seed }), contenders, epochs);
} else {
  const tuned = [2e-3, 4e-3, 8e-3].map(
    (peak) =>
      [
        `adamw ${peak}`,
        (progress: () => number) =>
          adamw({ learningRate: () => warmCosine(peak, progress()), beta2: 0.99, weightDecay: 0.1 }),
      ] as const,
  );
  const vocabulary = data.train.classes?.length ?? 65;
  await atEqualTime(
    charTransformer({ seed, vocabulary }),
    new Map<string, (progress: () => number) => Optimizer>([...secondOrder, ...tuned]),
    length ?? 120,
    size ?? 32,
  );
}
