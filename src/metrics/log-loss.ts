// Log loss and perplexity: the improbability of the targets in the model.
import { isFloatingPoint } from '../graph/tensor.js';
import { binaryRows, checkBinary, classRows, indicators } from './classes.js';
import type { Metric } from './metric.js';
import { ratio, sumOver } from './sums.js';

/** Lower bound on probabilities: one impossible target must not make the mean infinite. */
const leastProbability = 1e-30;

const crossEntropy = (name: string): Pick<Metric, 'sums'> => ({
  sums(b, batch) {
    const { kind, expected, given } = batch;
    const logarithm = (p: typeof expected) => b.log(b.max(p, leastProbability));
    if (kind === 'values') {
      const { columns, weights, between, isTrue } = binaryRows(b, batch);
      const p = b.cast(b.reshape(expected, [isTrue.dims[0] ?? 1, columns]), 'float32');
      const right = b.add(b.mul(isTrue, logarithm(p)), b.mul(b.sub(1, isTrue), logarithm(b.sub(1, p))));
      return { ...sumOver(b, b.neg(right), weights), between };
    }
    const { labels, classes, weights, ...rows } = classRows(b, name, batch);
    const shares = isFloatingPoint(given.dtype)
      ? b.cast(b.reshape(given, rows.expected.dims), rows.expected.dtype)
      : b.cast(indicators(b, labels, classes), rows.expected.dtype);
    return sumOver(b, b.neg(b.sum(b.mul(shares, logarithm(rows.expected)), [1])), weights);
  },
});

/**
 * Return the mean negative logarithm of the model's probability of the label, or of the target 0 or 1.
 * @example
 * const { values } = await evaluate(model, data.test, { metrics: [logLoss()] });
 */
export const logLoss = (): Metric => ({
  name: 'logLoss',
  lowerIsBetter: true,
  ...crossEntropy('logLoss'),
  value(numbers) {
    checkBinary('logLoss', numbers.between);
    return ratio(numbers);
  },
});

/**
 * Return the exponential of the log loss: the number of equally likely labels with the same uncertainty.
 * @example
 * const { values } = await evaluate(model, data.test, { metrics: [perplexity()] });
 */
export const perplexity = (): Metric => ({
  name: 'perplexity',
  lowerIsBetter: true,
  ...crossEntropy('perplexity'),
  value(numbers) {
    checkBinary('perplexity', numbers.between);
    return Math.exp(ratio(numbers));
  },
});
