// The negative log-likelihood of normal targets whose variance the network predicts, too.
import { GraphError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import { squaredError } from '../metrics/squared-error.js';
import type { Builder } from '../ops/builder.js';
import { diagonalRoot, dimsOf, elementsPerExample, examplesOf } from './elements.js';
import type { Loss } from './loss.js';
import { weightedMean } from './reduction.js';

/** Means, and logarithms s of variances: the first and the second half of the last axis. */
function halves(b: Builder, output: Value): { readonly mean: Value; readonly logarithm: Value } {
  const size = halfOf(output.dims);
  const last = output.rank - 1;
  return { mean: b.slice(output, last, 0, size), logarithm: b.slice(output, last, size, 2 * size) };
}

function halfOf(shape: readonly (number | string)[]): number {
  const size = shape.at(-1);
  if (typeof size === 'number' && size % 2 === 0 && shape.length > 1) return size / 2;
  throw new GraphError(
    `the gaussian loss needs outputs of shape [batch, …, 2·columns], means and then logarithms of variances, not [${shape.join(', ')}]`,
  );
}

/** The diagonal of the Fisher information: e⁻ˢ for the means, ½ for the logarithms. */
function information(b: Builder, output: Value): Value {
  const { logarithm } = halves(b, output);
  return b.concat([b.exp(b.neg(logarithm)), b.mul(b.onesLike(logarithm), 0.5)], output.rank - 1);
}

const loss: Loss = {
  name: 'gaussian',
  targets: 'values',
  mayBeNegative: true,
  expected: (b, output) => halves(b, output).mean,
  targetType: ({ dtype, shape }) => ({ dtype, shape: [...shape.slice(0, -1), halfOf(shape)] }),
  value(b, output, targets, weights) {
    const { mean, logarithm } = halves(b, output);
    const square = b.mul(b.square(b.sub(targets, mean)), b.exp(b.neg(logarithm)));
    return weightedMean(b, b.mul(b.add(logarithm, square), 0.5), weights);
  },
  likelihood: {
    scale: (output) => elementsPerExample(output) / 2,
    cases: examplesOf,
    noise: { distribution: 'normal', shape: (output) => [...dimsOf(output).slice(0, -1), halfOf(output.dims)] },
    // y = μ + e^(s/2)·ε: −e^(−s/2)·ε by the mean, ½(1 − ε²) by s
    sampledCotangent(b, output, noise) {
      const byMean = b.neg(b.mul(noise, b.exp(b.mul(halves(b, output).logarithm, -0.5))));
      return b.concat([byMean, b.mul(b.sub(1, b.square(noise)), 0.5)], output.rank - 1);
    },
    cotangent(b, output, targets) {
      const { mean, logarithm } = halves(b, output);
      const precision = b.exp(b.neg(logarithm));
      const error = b.sub(mean, targets);
      const byLogarithm = b.mul(b.sub(1, b.mul(b.square(error), precision)), 0.5);
      return b.concat([b.mul(error, precision), byLogarithm], output.rank - 1);
    },
    hessianProduct: (b, output, vector) => b.mul(information(b, output), vector),
    hessianRoot: (b, output) => diagonalRoot(b, output, b.sqrt(information(b, output))),
  },
  metric: squaredError(),
  step: 'self-tuning',
};

/**
 * Return the mean over all targets of ½(s + (y − μ)²·e⁻ˢ), the negative log-likelihood of N(μ, eˢ) without ½·log 2π. The last
 * axis of the network's output has all means μ and then all logarithms s of variances: twice as many as the targets. Equal to
 * PyTorch's `gaussian_nll_loss` with the variance eˢ.
 * @example
 * await train(mlp({ sizes: [3, 16, 2], seed: 1 }), { data: numbers, loss: gaussian(), optimizer: cgfac(), epochs: 5 });
 */
export const gaussian = (): Loss => loss;
