// The mean squared error of numbers, and its root.
import { checkNumbers } from './classes.js';
import type { Metric } from './metric.js';
import { alongBatch, ratio, sumOver } from './sums.js';

/**
 * Return the mean over all elements of the squared difference between the prediction and the target.
 * @example
 * const { values } = await evaluate(regressor, numbers.test, { metrics: [mse()] });
 */
export const mse = (): Metric => ({
  name: 'meanSquaredError',
  lowerIsBetter: true,
  sums(b, batch) {
    checkNumbers('meanSquaredError', batch);
    const { expected, given, weights } = batch;
    const squares = b.square(b.cast(b.sub(expected, given), 'float64'));
    return sumOver(b, squares, weights && alongBatch(b, weights, squares));
  },
  value: ratio,
});

/**
 * Return the root of the mean squared error, in the units of the targets.
 * @example
 * const { values } = await evaluate(regressor, numbers.test, { metrics: [rmse()] });
 */
export const rmse = (): Metric => ({ ...mse(), name: 'rootMeanSquaredError', value: (sums) => Math.sqrt(ratio(sums)) });
