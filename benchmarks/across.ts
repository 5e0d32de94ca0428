// What the interactions of layers are worth: K-FAC and CG-FAC alone, with two-level corrections, and exact natural gradients, by
// steps and by seconds (as arXiv 2303.18083 asks). A deep and narrow tanh autoencoder, batch 500, one thread.
// npm run bench:across -- [DATA steps seeds width]   (DATA such as mnist:DIR or digits)
import { GaussNewton } from '../src/curvature/gauss-newton.js';
import { loadData } from '../src/data/spec.js';
import { nodeEngine } from '../src/engine/node.js';
import { autoencoder } from '../src/nn/zoo.js';
import type { Optimizer } from '../src/optimizers/optimizer.js';
import type { AcrossLayers } from '../src/optimizers/second-order/across-layers.js';
import { cgfac } from '../src/optimizers/second-order/cgfac.js';
import { krylovBasis, onesBasis } from '../src/optimizers/second-order/coarse-basis.js';
import { hessianFree } from '../src/optimizers/second-order/hessian-free.js';
import { kfac } from '../src/optimizers/second-order/kfac.js';
import { eachLayer, wholeNetwork } from '../src/optimizers/second-order/khatri-rao.js';
import { naturalGradient } from '../src/optimizers/second-order/natural-gradient.js';
import { additiveCorrection, twoLevel } from '../src/optimizers/second-order/two-level.js';
import type { RunRecord } from '../src/training/run-record.js';
import { train } from '../src/training/trainer.js';
import { median, positive, usage } from './measure.js';

const [spec = 'digits', ...numbers] = process.argv.slice(2);
const [steps = 100, seeds = 3, width = 100] =
  positive(numbers) ?? usage('npm run bench:across [-- DATA steps seeds width]   (DATA such as mnist:DIR)');
const sizes = [784, width, width, width >> 1, width >> 1, Math.ceil(width / 5)];
const data = await loadData(spec, { task: 'autoencoding' });
const engine = await nodeEngine({ threads: 1 });

/** The best length of each layer's step by the same model, without regard to the others: what of a correction is no interaction. */
const ownLengths: AcrossLayers = {
  name: 'own lengths',
  onlyLengths: true,
  correct({ context: { b }, sample, blocks }) {
    const network = new GaussNewton(
      b,
      sample,
      blocks.map(({ block }) => block),
    );
    return blocks.map((each) => {
      const { block, direction, smoothed, rootDamping } = each;
      const tangent = network.tangent(b, [{ block, step: direction }]);
      const damping = b.mul(b.dot(rootDamping, rootDamping), direction.dot(b, direction));
      const curvature = b.add(b.dot(tangent, network.weighed(b, tangent)), damping);
      // y = direction/λ goes to y·(yᵀV)/(yᵀ(F + λI)y).
      const length = b.div(b.mul(direction.dot(b, smoothed), b.square(rootDamping)), b.max(curvature, 1e-30));
      return { ...each, direction: direction.map((part) => b.mul(part, length)) };
    });
  },
};

const contenders: readonly (readonly [string, () => Optimizer])[] = [
  ['kfac', () => kfac()],
  ['kfac, own lengths', () => kfac({ acrossLayers: ownLengths })],
  ['kfac, balancing', () => kfac({ acrossLayers: twoLevel() })],
  ['kfac, balancing, ones', () => kfac({ acrossLayers: twoLevel({ basis: onesBasis() }) })],
  ['kfac, balancing, Krylov 2', () => kfac({ acrossLayers: twoLevel({ basis: krylovBasis() }) })],
  [
    'kfac, additive, ones',
    () => kfac({ acrossLayers: twoLevel({ basis: onesBasis(), correction: additiveCorrection() }) }),
  ],
  ['cgfac', () => cgfac()],
  ['cgfac, own lengths', () => cgfac({ acrossLayers: ownLengths })],
  ['cgfac, balancing', () => cgfac({ acrossLayers: twoLevel() })],
  ['cgfac, balancing, Krylov 2', () => cgfac({ acrossLayers: twoLevel({ basis: krylovBasis() }) })],
  ['natural gradient, each layer', () => naturalGradient({ coupling: eachLayer() })],
  ['natural gradient, network', () => naturalGradient({ coupling: wholeNetwork() })],
  ['Hessian-free', () => hessianFree()],
  ['Hessian-free, whole batch', () => hessianFree({ curvatureRows: 500 })],
];

/** Steps at which the training set is evaluated. */
const shown = [0.1, 0.25, 0.5, 1].map((share) => Math.max(1, Math.round(share * steps)));
const every = shown[0] ?? 1;

console.log(
  `autoencoder ${sizes.join('-')}-…-784 on ${spec}, batch 500, ${steps} steps, ${seeds} seeds, 1 thread, defaults`,
);
console.log(
  `training squared error (mean over seeds) after ${shown.join(', ')} steps; seconds; milliseconds a step; taken back`,
);
for (const [name, make] of contenders) {
  const runs: RunRecord[] = [];
  for (let seed = 1; seed <= seeds; seed++) {
    const { record } = await train(autoencoder({ sizes, seed }), {
      ...{ engine, data, steps, seed },
      optimizer: make(),
      loss: 'sigmoid-cross-entropy',
      batchSize: 500,
      evaluateEvery: every,
    });
    runs.push(record);
  }
  const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
  const after = (step: number): number =>
    mean(
      runs.map(({ steps: taken, train: last }) => {
        const seen = taken.filter((each) => each.step <= step && each.metrics.trainSquaredError !== undefined);
        return (step === steps ? last.squaredError : seen.at(-1)?.metrics.trainSquaredError) ?? Number.NaN;
      }),
    );
  const takenBack = mean(
    runs.map(({ steps: taken }) => taken.filter(({ optimizer }) => optimizer.accepted === 0).length),
  );
  console.log(
    [
      name.padEnd(30),
      ...shown.map((step) => after(step).toFixed(2).padStart(7)),
      `${mean(runs.map(({ seconds }) => seconds))
        .toFixed(1)
        .padStart(7)} s`,
      `${median(runs.map(({ stepMilliseconds }) => stepMilliseconds.median))
        .toFixed(0)
        .padStart(6)} ms`,
      `${takenBack.toFixed(1).padStart(5)}`,
    ].join('  '),
  );
}
await engine.close();
