// The expected calibration error: the difference between the model's confidence and its accuracy.
import type { Value } from '../graph/graph.js';
import { elementCount, tensorFrom } from '../graph/tensor.js';
import type { Builder } from '../ops/builder.js';
import { checkedCount, checkKeys } from '../options.js';
import { binaryChecks, binaryRows, checkBinary, classRows, largest } from './classes.js';
import type { EvaluatedBatch, Metric } from './metric.js';

const name = 'calibrationError';

export interface CalibrationOptions {
  /** Number n of intervals (i/n, (i+1)/n] of the confidence; 10 by default. */
  readonly bins?: number;
}

/** `[answers, 1]` each. */
interface Answers {
  readonly confidence: Value;
  readonly right: Value;
  readonly weights: Value | undefined;
}

function answersOf(b: Builder, batch: EvaluatedBatch): Answers {
  if (batch.kind === 'labels') {
    const { labels, scores, expected, weights } = classRows(b, name, batch);
    const right = b.equal(largest(b, scores), labels);
    return {
      confidence: b.reduceMax(expected, [1], true),
      right: b.unsqueeze(b.cast(right, expected.dtype), [1]),
      weights: weights && b.unsqueeze(b.cast(weights, expected.dtype), [1]),
    };
  }
  const { expected } = batch;
  const { isTrue, isPredicted, weights } = binaryRows(b, batch);
  const column = (x: Value): Value => b.cast(b.reshape(x, [elementCount(x.dims), 1]), expected.dtype);
  return {
    confidence: column(b.max(expected, b.sub(1, expected))),
    right: column(b.equal(isTrue, isPredicted)),
    weights: weights && column(b.mul(weights, b.onesLike(isTrue))),
  };
}

/**
 * Return the mean over all predictions of |accuracy − mean confidence| in the bin of the prediction (Guo et al. 2017, arXiv
 * 1706.04599). The confidence of a prediction is its probability: the largest of the classes, or of 0 and 1.
 * @throws OptionError unless the number of bins is a whole number of at least 1
 * @example
 * const { values } = await evaluate(model, data.test, { metrics: [accuracy(), calibrationError()] });
 */
export function calibrationError(options: CalibrationOptions = {}): Metric {
  checkKeys(name, options, { bins: true });
  const bins = checkedCount('bins', options.bins ?? 10);
  return {
    name,
    lowerIsBetter: true,
    sums(b, batch) {
      const { confidence, right, weights } = answersOf(b, batch);
      const { dtype } = confidence;
      const edges = (from: number) =>
        b.constant(
          tensorFrom(
            dtype,
            [bins],
            Array.from({ length: bins }, (_, i) => (i + from) / bins),
          ),
        );
      const atMost1 = b.min(confidence, 1); // rounding may lift a probability above
      const isIn = b.cast(b.and(b.greater(atMost1, edges(0)), b.greaterOrEqual(edges(1), atMost1)), dtype);
      const counted = weights ? b.mul(isIn, weights) : isIn;
      return {
        count: b.sum(counted, [0]),
        confidence: b.sum(b.mul(counted, confidence), [0]),
        right: b.sum(b.mul(counted, right), [0]),
      };
    },
    checks: binaryChecks,
    value(numbers) {
      checkBinary(name, numbers);
      const { count = [], confidence = [], right = [] } = numbers;
      const gaps = Array.from(right, (x, i) => Math.abs(x - (confidence[i] ?? Number.NaN)));
      const total = (numbers: readonly number[]) => numbers.reduce((sum, x) => sum + x, 0);
      return total(gaps) / total(Array.from(count));
    },
  };
}
