// The squared error of an example: the sum of squared differences, averaged over the examples.
import { elementCount } from '../graph/tensor.js';
import { checkNumbers } from './classes.js';
import type { Metric } from './metric.js';
import { alongBatch, ratio, sumOver } from './sums.js';

const name = 'squaredError';

/**
 * Return the sum over an example of the squared differences between prediction and target, averaged over the examples.
 * @example
 * const { values } = await evaluate(regressor, numbers.test, { metrics: [squaredError()] });
 */
export const squaredError = (): Metric => ({
  name,
  lowerIsBetter: true,
  sums(b, batch) {
    checkNumbers(name, batch);
    const { expected, given, weights } = batch;
    const squares = b.square(b.sub(expected, given));
    return sumOver(b, squares, weights && alongBatch(b, weights, squares), elementCount(given.dims.slice(1)));
  },
  value: ratio,
});

/** The same, computed from the mean squared error that is the model's loss. */
export const squaredErrorOfLoss: Metric = {
  ...squaredError(),
  sums(b, { reported, output, weights }) {
    const perExample = elementCount(output.dims.slice(1));
    const examples = output.dims[0] ?? 1;
    if (!weights) return { sum: b.mul(reported, b.scalar(perExample * examples, reported.dtype)), weight: examples };
    const weight = b.cast(b.sum(weights), reported.dtype);
    return { sum: b.mul(b.mul(reported, b.scalar(perExample, reported.dtype)), weight), weight };
  },
};
