// Resident memory over a long run of a small network: its slope must be flat.
// npm run bench:memory [-- steps optimizer,optimizer]

import { drawnDigits } from '../src/data/digits/digits.js';
import { nodeEngine } from '../src/engine/node.js';
import { mlp } from '../src/nn/zoo.js';
import { adam } from '../src/optimizers/adam.js';
import type { Optimizer } from '../src/optimizers/optimizer.js';
import { cgfac } from '../src/optimizers/second-order/cgfac.js';
import { train } from '../src/training/trainer.js';
import { positive, usage } from './measure.js';

const [steps = 100_000] = positive(process.argv.slice(2, 3)) ?? usage('npm run bench:memory [-- steps adam,cgfac]');
const optimizers: Readonly<Record<string, () => Optimizer>> = { adam: () => adam(), cgfac: () => cgfac() };
const names = (process.argv[3] ?? 'adam,cgfac').split(',');
/** The first part of a run fills caches and pools. */
const settled = 0.2;

/** Megabytes that a least-squares line rises by in 10,000 steps. */
function slope(points: readonly (readonly [step: number, megabytes: number])[]): number {
  const [meanX, meanY] = [0, 1].map(
    (axis) => points.reduce((sum, point) => sum + (point[axis] ?? 0), 0) / points.length,
  );
  const [over, under] = points.reduce(
    ([up, down], [x, y]) => [up + (x - (meanX ?? 0)) * (y - (meanY ?? 0)), down + (x - (meanX ?? 0)) ** 2],
    [0, 0],
  );
  return (10_000 * over) / under;
}

const data = drawnDigits({ trainSize: 400, testSize: 100 });
for (const name of names) {
  const make = optimizers[name];
  if (!make) throw new Error(`unknown optimizer ${name}; choose ${Object.keys(optimizers).join(', ')}`);
  const engine = await nodeEngine({ threads: 1 });
  const points: [number, number][] = [];
  const began = performance.now();
  await train(mlp({ sizes: [784, 16, 10], seed: 1 }), {
    ...{ engine, data, optimizer: make(), batchSize: 16, steps, seed: 1, evaluateEvery: Math.ceil(steps / 100) },
    callbacks: {
      onStep({ step }) {
        if (step % Math.ceil(steps / 200) === 0) points.push([step, process.memoryUsage().rss / 1e6]);
      },
    },
  });
  await engine.close();
  const late = points.filter(([step]) => step > settled * steps);
  const megabytes = late.map(([, rss]) => rss);
  console.log(
    `${name}: ${steps} steps in ${((performance.now() - began) / 1000).toFixed(0)} s; resident ${Math.min(...megabytes).toFixed(0)}–${Math.max(...megabytes).toFixed(0)} MB ` +
      `after the first fifth, slope ${slope(late).toFixed(2)} MB in 10,000 steps`,
  );
}
