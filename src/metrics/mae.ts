// The mean absolute error of numbers.
import { checkNumbers } from './classes.js';
import type { Metric } from './metric.js';
import { alongBatch, ratio, sumOver } from './sums.js';

const name = 'meanAbsoluteError';

/**
 * Return the mean over all elements of the absolute difference between the prediction and the target.
 * @example
 * const { values } = await evaluate(regressor, numbers.test, { metrics: [mae(), r2()] });
 */
export const mae = (): Metric => ({
  name,
  lowerIsBetter: true,
  sums(b, batch) {
    checkNumbers(name, batch);
    const { expected, given, weights } = batch;
    const errors = b.abs(b.cast(b.sub(expected, given), 'float64'));
    return sumOver(b, errors, weights && alongBatch(b, weights, errors));
  },
  value: ratio,
});
