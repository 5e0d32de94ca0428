// Log loss and perplexity: how improbable the targets are to the model.
import { isFloatingPoint } from '../graph/tensor.js';
import { binaryRows, checkBinary, classRows, indicators } from './classes.js';
import type { Metric } from './metric.js';
import { ratio, sumOver } from './sums.js';

/** Probabilities below this are taken for it: one impossible target must not hide all others. */
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
 * The mean negative logarithm of the probability that the model gives to the label, or to the target 0 or 1.
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
 * The exponential of the log loss: of how many equally likely labels the model is as uncertain.
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
