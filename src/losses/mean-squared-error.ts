// Mean squared error: the negative log-likelihood of normal targets.
import { squaredErrorOfLoss } from '../metrics/squared-error.js';
import { asOutput, diagonalRoot, dimsOf, elementsPerExample, examplesOf } from './elements.js';
import type { Loss } from './loss.js';
import { weightedColumns, weightedMean } from './reduction.js';

const loss: Loss = {
  name: 'mean-squared-error',
  targets: 'values',
  targetType: asOutput,
  value: (b, output, targets, weights) => weightedMean(b, b.square(b.sub(output, targets)), weights),
  // The mean over columns k of deviation_k² times the mean square of column k. Float64 also holds the squares of 1e-30 and
  // 1e30.
  inUnits(b, output, targets, deviation, weights) {
    const squares = b.square(b.sub(output, targets));
    const isOne = deviation.dims[0] === 1;
    const errors = isOne ? weightedMean(b, squares, weights) : weightedColumns(b, squares, weights);
    return b.mean(b.mul(b.cast(errors, 'float64'), b.square(b.cast(deviation, 'float64'))));
  },
  // The likelihood's term is ½(z − y)².
  likelihood: {
    scale: (output) => elementsPerExample(output) / 2,
    hasVariance: true,
    cases: examplesOf,
    noise: { distribution: 'normal', shape: dimsOf },
    sampledCotangent: (_b, _output, noise) => noise,
    cotangent: (b, output, targets) => b.sub(output, targets),
    hessianProduct: (_b, _output, vector) => vector,
    hessianRoot: (b, output) => diagonalRoot(b, output, b.onesLike(output)),
  },
  metric: squaredErrorOfLoss,
  step: 'self-tuning',
};

/**
 * Return the mean of (z − y)² over all elements of outputs and targets of equal shape. Its likelihood is normal; second-order
 * steps estimate the variance.
 * @example
 * await train(regressor, { data: numbers, loss: meanSquaredError(), optimizer: cgfac(), epochs: 5 });
 */
export const meanSquaredError = (): Loss => loss;
