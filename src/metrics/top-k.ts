// Top-k accuracy: the share of rows whose label is among the k classes with the largest logits.
import { checkedCount } from '../options.js';
import { classRows, indicators } from './classes.js';
import type { Metric } from './metric.js';
import { ratio, sumOver } from './sums.js';

/**
 * Return the share of rows whose label is among the k classes with the largest logits; of equal logits the first counts as
 * larger, as for `accuracy`.
 * @throws OptionError unless k is a whole number of at least 1
 * @example
 * const { values } = await evaluate(model, data.test, { metrics: [accuracy(), topK(5)] });
 */
export function topK(k: number): Metric {
  checkedCount('k of topK', k);
  const name = `top${k}`;
  return {
    name,
    lowerIsBetter: false,
    sums(b, batch) {
      const { labels, scores, classes, weights } = classRows(b, name, batch);
      const isLabel = b.cast(indicators(b, labels, classes), scores.dtype);
      // Where instead of a product: a logit of −∞ times 0 is NaN.
      const own = b.sum(b.where(b.greater(isLabel, 0.5), scores, 0), [1], true);
      const positions = b.integers(Array.from({ length: classes }, (_, i) => i));
      const isBefore = b.and(b.equal(scores, own), b.less(positions, b.unsqueeze(labels, [1])));
      const better = b.op('Or', [b.greater(scores, own), isBefore]);
      const rank = b.sum(b.cast(better, 'float32'), [1]);
      return sumOver(b, b.cast(b.less(rank, k - 0.5), 'float32'), weights);
    },
    value: ratio,
  };
}
