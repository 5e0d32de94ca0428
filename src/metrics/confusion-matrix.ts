// The confusion matrix: the number of predictions of each class for each true class.
import { classRows, indicators, largest } from './classes.js';
import type { Metric, Numbers } from './metric.js';

const name = 'mistakes';

/** Counts by true class (row) and predicted class (column). */
const counts = ({ counts: flat = [] }: Numbers): number[][] => {
  const classes = Math.round(Math.sqrt(flat.length));
  const row = (i: number) => Array.from({ length: classes }, (_, j) => flat[i * classes + j] ?? Number.NaN);
  return Array.from({ length: classes }, (_, i) => row(i));
};

/**
 * Return counts by true class (row) and predicted class (column), which `evaluate` returns as a table with the name
 * `mistakes`. The figure is the share of mistakes.
 * @example
 * const { tables } = await evaluate(model, data.test, { metrics: [confusionMatrix()] });
 */
export const confusionMatrix = (): Metric => ({
  name,
  lowerIsBetter: true,
  sums(b, batch) {
    const { labels, scores, classes, weights } = classRows(b, name, batch);
    const actual = indicators(b, labels, classes);
    const predicted = indicators(b, largest(b, scores), classes);
    const weighted = weights ? b.mul(actual, b.unsqueeze(weights, [1])) : actual;
    return { counts: b.matmul(b.transposeMatrices(weighted), predicted) };
  },
  value(numbers) {
    const table = counts(numbers);
    const all = table.flat().reduce((sum, count) => sum + count, 0);
    return 1 - table.reduce((sum, row, i) => sum + (row[i] ?? 0), 0) / all;
  },
  table: counts,
});
