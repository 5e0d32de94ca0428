// Mean absolute error: its minimum is the median.
import { squaredError } from '../metrics/squared-error.js';
import { asOutput } from './elements.js';
import type { Loss } from './loss.js';
import { weightedColumns, weightedMean } from './reduction.js';

const loss: Loss = {
  name: 'mean-absolute-error',
  targets: 'values',
  targetType: asOutput,
  value: (b, output, targets, weights) => weightedMean(b, b.abs(b.sub(output, targets)), weights),
  inUnits(b, output, targets, deviation, weights) {
    const errors = b.abs(b.sub(output, targets));
    const isOne = deviation.dims[0] === 1;
    const means = isOne ? weightedMean(b, errors, weights) : weightedColumns(b, errors, weights);
    return b.mean(b.mul(b.cast(means, 'float64'), b.cast(deviation, 'float64')));
  },
  metric: squaredError(),
  step: 'self-tuning',
};

/**
 * Return the mean of |z − y| over all elements of outputs and targets of equal shape; equal to PyTorch's `l1_loss`.
 * Second-order steps measure its curvature by the targets of the data.
 * @example
 * await train(regressor, { data: numbers, loss: meanAbsoluteError(), optimizer: adam(), epochs: 5 });
 */
export const meanAbsoluteError = (): Loss => loss;
