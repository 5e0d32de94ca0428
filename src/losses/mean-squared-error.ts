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
  // Σ_k deviation_k²·(its mean in column k) over the number of columns, in float64, where also the squares of 1e-30 and
  // 1e30 are numbers.
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
 * The mean of (z − y)² over all elements, outputs and targets of equal shape. Its likelihood is normal, of a variance that
 * second-order steps estimate.
 * @example
 * await train(regressor, { data: numbers, loss: meanSquaredError(), optimizer: cgfac(), epochs: 5 });
 */
export const meanSquaredError = (): Loss => loss;
