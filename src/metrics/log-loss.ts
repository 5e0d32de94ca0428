// Log loss and perplexity: the improbability of the targets in the model.
import { isFloatingPoint } from '../graph/tensor.js';
import { binaryChecks, binaryRows, checkBinary, classRows, indicators } from './classes.js';
import type { Metric } from './metric.js';
import { ratio, sumOver } from './sums.js';

/** Lower bound on probabilities: one impossible target must not make the mean infinite. */
const leastProbability = 1e-30;

/** A metric that is a function of the log loss. */
const ofLogLoss = (name: string, figure: (logLoss: number) => number): Metric => ({
  name,
  lowerIsBetter: true,
  sums(b, batch) {
    const { kind, expected, given } = batch;
    const logarithm = (p: typeof expected) => b.log(b.max(p, leastProbability));
    if (kind === 'values') {
      const { columns, weights, isTrue } = binaryRows(b, batch);
      const p = b.cast(b.reshape(expected, [isTrue.dims[0] ?? 1, columns]), 'float32');
      const right = b.add(b.mul(isTrue, logarithm(p)), b.mul(b.sub(1, isTrue), logarithm(b.sub(1, p))));
      return sumOver(b, b.neg(right), weights);
    }
    const { labels, classes, weights, ...rows } = classRows(b, name, batch);
    const shares = isFloatingPoint(given.dtype)
      ? b.cast(b.reshape(given, rows.expected.dims), rows.expected.dtype)
      : b.cast(indicators(b, labels, classes), rows.expected.dtype);
    return sumOver(b, b.neg(b.sum(b.mul(shares, logarithm(rows.expected)), [1])), weights);
  },
  checks: binaryChecks,
  value(numbers) {
    checkBinary(name, numbers);
    return figure(ratio(numbers));
  },
});

/**
 * Return the mean negative logarithm of the model's probability of the label, or of the target 0 or 1.
 * @example
 * const { values } = await evaluate(model, data.test, { metrics: [logLoss()] });
 */
export const logLoss = (): Metric => ofLogLoss('logLoss', (loss) => loss);

/**
 * Return the exponential of the log loss: the number of equally likely labels with the same uncertainty.
 * @example
 * const { values } = await evaluate(model, data.test, { metrics: [perplexity()] });
 */
export const perplexity = (): Metric => ofLogLoss('perplexity', Math.exp);
