// Accuracy: the share of correct predictions.
import { binaryChecks, binaryRows, checkBinary, classRows, labelsOf, largest } from './classes.js';
import type { Metric } from './metric.js';
import { ratio, sumOver } from './sums.js';

/**
 * Return the share of rows whose largest logit is the label's; for targets 0 and 1, the share of elements on the right side
 * of ½.
 * @example
 * const { values } = await evaluate(model, data.test, { metrics: [accuracy(), f1()] });
 */
export const accuracy = (): Metric => ({
  name: 'accuracy',
  lowerIsBetter: false,
  sums(b, batch) {
    if (batch.kind === 'values') {
      const { isTrue, isPredicted, weights } = binaryRows(b, batch);
      return sumOver(b, b.cast(b.equal(isTrue, isPredicted), 'float32'), weights);
    }
    const { weights } = classRows(b, 'accuracy', batch);
    // Every step computes it: only weights need a reshape.
    const right = b.cast(b.equal(largest(b, batch.output), labelsOf(b, batch.given)), 'float32');
    return sumOver(b, weights ? b.reshape(right, weights.dims) : right, weights);
  },
  checks: binaryChecks,
  value(numbers) {
    checkBinary('accuracy', numbers);
    return ratio(numbers);
  },
});
