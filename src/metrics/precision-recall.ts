// Precision, recall, F1 and balanced accuracy, from the counts of each class.
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { checkedWord, checkKeys } from '../options.js';
import { binaryChecks, binaryRows, checkBinary, classRows, indicators, largest } from './classes.js';
import type { EvaluatedBatch, Metric, Numbers } from './metric.js';

const averages = ['positive', 'micro', 'macro', 'weighted'] as const;

export interface AverageOptions {
  /**
   * The average over several classes, or over columns of targets 0 and 1. `positive`: the figure of the last of two classes;
   * `micro`: of all predictions together; `macro`: the mean over classes; `weighted`: the mean weighted by the frequency of
   * each class. By default `positive` for two classes, else `macro`.
   */
  readonly average?: (typeof averages)[number];
}

/** Numbers of one class: correct predictions of it, predictions of it, and rows of it. */
interface Counts {
  readonly right: number;
  readonly predicted: number;
  readonly actual: number;
}

const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);

/** A metric of the counts of each class; 0 instead of a division by 0. */
function ofCounts(word: string, options: AverageOptions, score: (counts: Counts) => number): Metric {
  checkKeys(word, options, { average: true });
  const average = checkedWord('average', options.average, averages);
  const name = average === undefined ? word : `${word}${average[0]?.toUpperCase()}${average.slice(1)}`;
  return {
    name,
    lowerIsBetter: false,
    sums(b, batch) {
      if (average === 'positive') checkTwoClasses(name, batch);
      return classCounts(b, name, batch, average === undefined || average === 'positive');
    },
    checks: binaryChecks,
    value(numbers) {
      checkBinary(name, numbers);
      const classes = listed(numbers).filter(({ predicted, actual }) => predicted + actual > 0);
      if (average === 'micro') return score(classes.reduce(added, { right: 0, predicted: 0, actual: 0 }));
      const weight = ({ actual }: Counts) => (average === 'weighted' ? actual : 1);
      const total = classes.reduce((sum, counts) => sum + weight(counts), 0);
      return share(
        classes.reduce((sum, counts) => sum + weight(counts) * score(counts), 0),
        total,
      );
    },
  };
}

/** @throws OptionError unless there are two classes, or one column of targets 0 and 1 */
function checkTwoClasses(name: string, { kind, output, given }: EvaluatedBatch): void {
  const count = kind === 'labels' ? output.dims.at(-1) : given.rank > 1 ? given.dims.at(-1) : 1;
  if (count === (kind === 'labels' ? 2 : 1)) return;
  const several = kind === 'labels' ? `${count} classes` : `${count} columns`;
  throw new OptionError(
    `the metric ${name} is of two classes, or of one column of 0 and 1, and there are ${several}: choose the average micro, macro or weighted`,
  );
}

const added = (x: Counts, y: Counts): Counts => ({
  right: x.right + y.right,
  predicted: x.predicted + y.predicted,
  actual: x.actual + y.actual,
});

const listed = ({ right = [], predicted = [], actual = [] }: Numbers): Counts[] =>
  Array.from(right, (count, i) => ({ right: count, predicted: predicted[i] ?? 0, actual: actual[i] ?? 0 }));

/** @param onlyPositive whether only the last of two classes is counted */
function classCounts(b: Builder, name: string, batch: EvaluatedBatch, onlyPositive: boolean): Record<string, Value> {
  const total = (x: Value, weights: Value | undefined): Value => b.sum(weights ? b.mul(x, weights) : x, [0]);
  if (batch.kind === 'values') {
    const { isTrue, isPredicted, weights } = binaryRows(b, batch);
    const right = total(b.mul(isTrue, isPredicted), weights);
    return { right, predicted: total(isPredicted, weights), actual: total(isTrue, weights) };
  }
  const { labels, scores, classes, weights } = classRows(b, name, batch);
  const chosen = (x: Value): Value => (onlyPositive && classes === 2 ? b.slice(x, 1, 1, 2) : x);
  const actual = chosen(indicators(b, labels, classes));
  const predicted = chosen(indicators(b, largest(b, scores), classes));
  const column = weights && b.unsqueeze(weights, [1]);
  return {
    right: total(b.mul(actual, predicted), column),
    predicted: total(predicted, column),
    actual: total(actual, column),
  };
}

/**
 * Return the share of the predictions of a class that are correct.
 * @throws OptionError for an unknown average
 * @example
 * const { values } = await evaluate(model, data.test, { metrics: [precision(), recall()] });
 */
export const precision = (options: AverageOptions = {}): Metric =>
  ofCounts('precision', options, ({ right, predicted }) => share(right, predicted));

/**
 * Return the share of the rows of a class that are predicted as such.
 * @throws OptionError for an unknown average
 * @example
 * const { values } = await evaluate(model, data.test, { metrics: [recall({ average: 'macro' })] });
 */
export const recall = (options: AverageOptions = {}): Metric =>
  ofCounts('recall', options, ({ right, actual }) => share(right, actual));

/**
 * Return the harmonic mean of precision and recall.
 * @throws OptionError for an unknown average
 * @example
 * const { values } = await evaluate(model, data.test, { metrics: [f1({ average: 'weighted' })] });
 */
export const f1 = (options: AverageOptions = {}): Metric =>
  ofCounts('f1', options, ({ right, predicted, actual }) => share(2 * right, predicted + actual));

/**
 * Return the mean over the classes of their recall; for targets 0 and 1, over these two.
 * @example
 * const { values } = await evaluate(model, data.test, { metrics: [balancedAccuracy()] });
 */
export const balancedAccuracy = (): Metric => ({
  name: 'balancedAccuracy',
  lowerIsBetter: false,
  sums(b, batch) {
    if (batch.kind === 'labels') return classCounts(b, 'balancedAccuracy', batch, false);
    const { isTrue, isPredicted, weights } = binaryRows(b, batch);
    const both = (zero: Value, one: Value): Value =>
      b.concat(
        [zero, one].map((x) => b.reshape(b.sum(weights ? b.mul(x, weights) : x), [1])),
        0,
      );
    const isFalse = b.sub(1, isTrue);
    const right = both(b.mul(isFalse, b.sub(1, isPredicted)), b.mul(isTrue, isPredicted));
    return { right, actual: both(isFalse, isTrue) };
  },
  checks: binaryChecks,
  value(numbers) {
    checkBinary('balancedAccuracy', numbers);
    const classes = listed(numbers).filter(({ actual }) => actual > 0);
    return classes.reduce((sum, { right, actual }) => sum + right / actual, 0) / classes.length;
  },
});
