// Metrics of your own: one from sums that the program adds up over the batches, one from rows that are collected.
// npm run examples && node dist-examples/own-metric.js
import { cgfac, dataset, evaluate, type Metric, mlp, ratio, sumOver, train } from 'cgfac/node';

/** The share of predictions that are off by no more than a tolerance: a mean, hence a quotient of two sums. */
const within = (tolerance: number): Metric => ({
  name: 'within',
  lowerIsBetter: false,
  sums(b, { expected, given }) {
    const near = b.less(b.abs(b.sub(expected, given)), tolerance);
    return sumOver(b, b.cast(near, 'float32'));
  },
  value: ratio,
});

/** The median of absolute errors: no sum of batches has it, so the errors of all examples are collected. */
const medianError: Metric = {
  name: 'medianError',
  lowerIsBetter: true,
  rows: (b, { expected, given }) => ({ errors: b.abs(b.sub(expected, given)) }),
  value({ errors }) {
    const sorted = Array.from(errors).sort((x, y) => x - y);
    return sorted[Math.floor(sorted.length / 2)];
  },
};

/** y = 3·sin(x₁) + x₂², and every fiftieth target is wrong by 30. */
function points(name: string, size: number, offset: number) {
  const inputs = Float32Array.from({ length: 2 * size }, (_, i) => 4 * (((i + offset) * 0.618034) % 1) - 2);
  const target = (i: number) => 3 * Math.sin(inputs[2 * i]) + inputs[2 * i + 1] ** 2;
  return dataset({
    name,
    size,
    inputs: { dtype: 'float32', shape: [2], data: inputs },
    targets: {
      dtype: 'float32',
      shape: [1],
      data: Float32Array.from({ length: size }, (_, i) => target(i) + (i % 50 === 49 ? 30 : 0)),
    },
  });
}

const data = { train: points('points', 500, 1), test: points('other points', 500, 2001) };
const loss = 'mean-absolute-error'; // which outliers do not move much
const metrics = [within(0.5), medianError, 'rmse'] as const;
const { model } = await train(mlp({ sizes: [2, 32, 1], activation: 'tanh', seed: 1 }), {
  ...{ data, loss, metrics, optimizer: cgfac(), batchSize: 500, steps: 60, seed: 1 },
  callbacks: {
    onStep({ step, metrics: { within } }) {
      if (step % 20 === 0) console.log(`step ${step}: within 0.5 of the target ${within.toFixed(2)}`); // the first metric
    },
  },
});
const { values } = await evaluate(model, data.test, { loss, metrics });
for (const [name, value] of Object.entries(values)) console.log(name.padEnd(21), value.toFixed(3));
