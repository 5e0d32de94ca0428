// What the input pipeline costs a training: LeNet on drawn digits, batch 128.
// npm run bench:input [-- steps threads]
// The next batch is made in this thread while the engine's worker computes, so that a step waits only for what takes longer than
// the step, and for what happens between two steps. A wait is the time from the results of a step to the call of the next.
import { type Augmentation, variation } from '../src/data/augment.js';
import { trainingBatches } from '../src/data/batches.js';
import { drawnDigits } from '../src/data/digits/digits.js';
import type { Engine, Program } from '../src/engine/engine.js';
import { nodeEngine } from '../src/engine/node.js';
import { lenet } from '../src/nn/lenet.js';
import { adam } from '../src/optimizers/adam.js';
import { cgfac } from '../src/optimizers/second-order/cgfac.js';
import { train } from '../src/training/trainer.js';
import { median, positive, processorTime, usage } from './measure.js';

const given = positive(process.argv.slice(2));
if (!given) usage('npm run bench:input [-- steps threads]');
const [steps = 100, threads = 1] = given;
const [batchSize, seed] = [128, 1];
const data = drawnDigits({ trainSize: 100 * batchSize, testSize: 100 });
const kinds: Readonly<Record<string, Augmentation | undefined>> = {
  plain: undefined,
  'flip,crop': { flip: true, crop: 2 },
  rotate: { rotate: 10 },
  colour: { colour: 0.2 },
  erase: { erase: 0.25 },
  noise: { noise: 0.1 },
  mixup: { mixup: 0.2 },
  cutmix: { cutmix: 1 },
  all: { flip: true, crop: 2, rotate: 10, colour: 0.2, erase: 0.25, noise: 0.1, mixup: 0.2, cutmix: 1 },
};

/** Milliseconds of the processor to make a batch. */
function making(augmentation: Augmentation | undefined): number {
  const plain = trainingBatches(data.train, { batchSize, seed });
  const targets = () => ({ classes: 10 });
  const vary = augmentation && variation(data.train, augmentation, seed, targets);
  const times = Array.from({ length: 60 }, (_, step) => {
    const started = processorTime();
    const batch = plain.at(step);
    vary?.(batch, step);
    return processorTime() - started;
  });
  return median(times.slice(20));
}

/** The engine, with the waits before and the times of the runs of programs whose states are updated: those of steps. */
function watched(engine: Engine, waits: number[], runs: number[]): Engine {
  let ended = Number.NaN;
  return {
    name: engine.name,
    open: () => watched(engine.open(), waits, runs),
    write: (tensors) => engine.write(tensors),
    read: (names) => engine.read(names),
    forget: (names) => engine.forget(names),
    close: () => engine.close(),
    compile: async (graph, options): Promise<Program> => {
      const program = await engine.compile(graph, options);
      if (!options?.updates?.size) return program;
      return {
        undo: () => program.undo(),
        release: () => program.release(),
        run: async (feeds) => {
          const started = performance.now();
          waits.push(started - ended);
          const results = await program.run(feeds);
          ended = performance.now();
          runs.push(ended - started);
          return results;
        },
      };
    },
  };
}

console.log(`LeNet, batch ${batchSize}, ${threads} thread(s), ${steps} steps: median milliseconds`);
const engine = await nodeEngine({ threads });
for (const [name, augmentation] of Object.entries(kinds)) {
  const made = making(augmentation);
  for (const [label, optimizer] of Object.entries({ adam: adam(), cgfac: cgfac() })) {
    const waits: number[] = [];
    const runs: number[] = [];
    await train(lenet({ seed }), {
      ...{ engine: watched(engine, waits, runs), data, optimizer, batchSize, seed, steps, evaluateEvery: steps },
      ...(augmentation && { augment: augmentation }),
    });
    const [wait, run] = [median(waits.slice(5)), median(runs.slice(5))];
    const share = ((100 * wait) / (wait + run)).toFixed(2);
    console.log(
      `${name.padEnd(10)} ${label.padEnd(6)} making a batch ${made.toFixed(2)}, step ${run.toFixed(2)}, wait ${wait.toFixed(3)} (${share} %)`,
    );
  }
}
await engine.close();
