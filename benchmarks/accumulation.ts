// Peak memory and time of a step in one piece and in micro-batches. Each is measured in a process of its own, one after the
// other: its peak, less what it had with its runtime before the model.
// npm run bench:accumulation [-- resnet20|char-transformer batchSize micro-batches steps]
import { fork } from 'node:child_process';
import { nodeEngine } from '../src/engine/node.js';
import { lossOf } from '../src/losses/index.js';
import { charTransformer } from '../src/nn/char-transformer.js';
import { resnet20 } from '../src/nn/resnet.js';
import { adam } from '../src/optimizers/adam.js';
import type { Optimizer } from '../src/optimizers/optimizer.js';
import { cgfac } from '../src/optimizers/second-order/cgfac.js';
import { kfac } from '../src/optimizers/second-order/kfac.js';
import { peakBytes } from '../src/study/measured-process.js';
import { DrawnTensors, openStepper, type SteppedWorkload } from '../src/study/stepper.js';
import { positive, processorTime, usage } from './measure.js';

const draws = new DrawnTensors(1);
const workloads: Readonly<Record<string, (size: number) => SteppedWorkload>> = {
  resnet20: (size) => ({
    model: resnet20({ seed: 1 }),
    loss: lossOf('softmax-cross-entropy'),
    input: draws.uniform([size, 3, 32, 32]),
    target: draws.integers([size], 10),
  }),
  'char-transformer': (size) => ({
    model: charTransformer({ vocabulary: 64, context: 64, width: 128, layers: 4, heads: 4, seed: 1 }),
    loss: lossOf('softmax-cross-entropy'),
    input: draws.integers([size, 64], 64),
    target: draws.integers([size, 64], 64),
  }),
};
const optimizers: Readonly<Record<string, (examples: number) => Optimizer>> = {
  adam: () => adam(),
  cgfac: () => cgfac(),
  'cgfac, curvatureRows of a micro-batch': (examples) => cgfac({ curvatureRows: examples }),
  kfac: () => kfac(),
};

interface Measurement {
  readonly megabytes: number;
  readonly milliseconds: number;
}

async function measured(
  workload: string,
  optimizer: string,
  size: number,
  accumulate: number,
  rows: number,
  steps: number,
): Promise<Measurement> {
  const engine = await nodeEngine({ worker: false, threads: 1 });
  const before = await peakBytes();
  const make = workloads[workload];
  const chosen = optimizers[optimizer]?.(rows);
  if (!make || !chosen) throw new Error(`no workload '${workload}' or optimizer '${optimizer}'`);
  const stepper = await openStepper(engine, { ...make(size), accumulate }, chosen);
  await stepper.run();
  const started = processorTime();
  for (let k = 0; k < steps; k++) await stepper.run();
  const milliseconds = (processorTime() - started) / steps;
  const megabytes = ((await peakBytes()) - before) / 2 ** 20;
  await engine.close();
  return { megabytes, milliseconds };
}

const apart = (args: readonly (string | number)[]): Promise<Measurement> =>
  new Promise((resolve, reject) => {
    const child = fork(new URL(import.meta.url), args.map(String), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    child.on('message', (message) => resolve(message as Measurement));
    child.on('exit', (code) => code !== 0 && reject(new Error(`a measurement ended with code ${code}`)));
  });

const [first = 'resnet20', ...rest] = process.argv.slice(2);
if (process.send) {
  const [optimizer = 'adam', ...texts] = rest;
  const [size = 128, accumulate = 1, micro = 16, steps = 5] = texts.map(Number);
  process.send(await measured(first, optimizer, size, accumulate, micro, steps));
} else {
  const [size = 128, count = 8, steps = 5] = positive(rest) ?? [];
  if (!(first in workloads) || size % count !== 0) {
    usage('npm run bench:accumulation [-- resnet20|char-transformer batchSize micro-batches steps]');
  }
  for (const optimizer of Object.keys(optimizers)) {
    const whole = await apart([first, optimizer, size, 1, size / count, steps]);
    const parts = await apart([first, optimizer, size, count, size / count, steps]);
    const [memory, time] = [parts.megabytes / whole.megabytes, parts.milliseconds / whole.milliseconds];
    process.stdout.write(
      `${optimizer}: ${whole.megabytes.toFixed(0)} MB in one piece, ${parts.megabytes.toFixed(0)} MB in ${count} micro-batches ` +
        `(${memory.toFixed(2)}); processor time of a step ${whole.milliseconds.toFixed(0)} and ${parts.milliseconds.toFixed(0)} ms (${time.toFixed(2)})\n`,
    );
  }
}
