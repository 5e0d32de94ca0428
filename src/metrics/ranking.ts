// Metrics of ranks: how well scores separate positive rows from the others. They need all scores of a set at once.
import { checkedWord, checkKeys } from '../options.js';
import { binaryChecks, binaryRows, checkBinary, classRows } from './classes.js';
import type { Metric, Numbers } from './metric.js';

const averages = ['macro', 'weighted', 'micro'] as const;

export interface RankingOptions {
  /**
   * The average over several classes (each against all others), or over columns of targets 0 and 1: their mean, `macro`, by
   * default; `weighted` by the frequency of each; or all scores ranked together, `micro`.
   */
  readonly average?: (typeof averages)[number];
}

/** A scored row. */
interface Scored {
  readonly score: number;
  readonly isPositive: boolean;
  readonly weight: number;
}

/** @param score of rows sorted by falling score; NaN if it has no value */
function ranked(word: string, options: RankingOptions, score: (rows: readonly Scored[]) => number): Metric {
  checkKeys(word, options, { average: true });
  const average = checkedWord('average', options.average, averages);
  const name = average === undefined ? word : `${word}${average[0]?.toUpperCase()}${average.slice(1)}`;
  return {
    name,
    lowerIsBetter: false,
    checks: binaryChecks,
    rows(b, batch) {
      if (batch.kind === 'values') {
        const { isTrue, scores, weights } = binaryRows(b, batch);
        // Weights, one for each row, also give the number of columns.
        return { targets: isTrue, scores, weights: weights ?? b.filled([isTrue.dims[0] ?? 1, 1], 1, 'float32') };
      }
      const { labels, scores, expected, classes, weights } = classRows(b, name, batch);
      // The difference of two classes ranks as the probability does, and does not round to 1.
      const single = classes === 2 ? b.sub(b.slice(scores, 1, 1, 2), b.slice(scores, 1, 0, 1)) : expected;
      return { labels, scores: single, ...(weights && { weights }) };
    },
    value(numbers) {
      checkBinary(name, numbers);
      if (Array.from(numbers.scores ?? []).some(Number.isNaN)) return Number.NaN;
      const columns = scoredColumns(numbers);
      if (average === 'micro') return score(sorted(columns.flat()));
      const found = columns.map((rows) => ({
        score: score(sorted(rows)),
        weight: average === 'weighted' ? positives(rows) : 1,
      }));
      const known = found.filter((each) => !Number.isNaN(each.score));
      const total = known.reduce((sum, { weight }) => sum + weight, 0);
      return known.reduce((sum, each) => sum + each.weight * each.score, 0) / total;
    },
  };
}

const positives = (rows: readonly Scored[]): number =>
  rows.reduce((sum, { isPositive, weight }) => sum + (isPositive ? weight : 0), 0);

const sorted = (rows: readonly Scored[]): Scored[] => [...rows].sort((x, y) => y.score - x.score);

/** A column for each class against the others, or for each target, without rows of weight 0. */
function scoredColumns({ labels, targets, scores = [], weights }: Numbers): Scored[][] {
  const given = labels ?? targets ?? [];
  const rows = (labels ?? weights ?? []).length;
  const columns = scores.length / Math.max(1, rows);
  return Array.from({ length: columns }, (_, column) =>
    Array.from({ length: rows }, (_, row) => {
      const at = row * columns + column;
      // A single column of labels is that of the second of two classes.
      const isPositive = labels ? labels[row] === (columns === 1 ? 1 : column) : given[at] === 1;
      return { score: scores[at] ?? Number.NaN, isPositive, weight: weights?.[row] ?? 1 };
    }).filter(({ weight }) => weight > 0),
  );
}

/** Runs of equal scores, from the highest: weights of the positive and of the others in each. */
function* runs(rows: readonly Scored[]): Generator<{ readonly positive: number; readonly negative: number }> {
  for (let start = 0; start < rows.length; ) {
    let [positive, negative] = [0, 0];
    let end = start;
    for (; end < rows.length && rows[end]?.score === rows[start]?.score; end++) {
      const { isPositive = false, weight = 0 } = rows[end] ?? {};
      if (isPositive) positive += weight;
      else negative += weight;
    }
    yield { positive, negative };
    start = Math.max(end, start + 1);
  }
}

/**
 * Return the area under the curve of true over false positive rates: the probability that a positive row has a higher score
 * than another row, with ties counting half. Each of several classes is ranked against all others; classes without positive or
 * without negative rows are left out.
 * @throws OptionError for an unknown average
 * @example
 * const { values } = await evaluate(model, data.test, { metrics: [rocAuc()] });
 */
export const rocAuc = (options: RankingOptions = {}): Metric =>
  ranked('rocAuc', options, (rows) => {
    let [above, area, negatives] = [0, 0, 0];
    for (const { positive, negative } of runs(rows)) {
      area += negative * (above + positive / 2);
      above += positive;
      negatives += negative;
    }
    return area / (above * negatives);
  });

/**
 * Return the mean of the precisions at each positive row, Σ (R_n − R_{n−1})·P_n over falling thresholds, without interpolation.
 * @throws OptionError for an unknown average
 * @example
 * const { values } = await evaluate(model, data.test, { metrics: [averagePrecision()] });
 */
export const averagePrecision = (options: RankingOptions = {}): Metric =>
  ranked('averagePrecision', options, (rows) => {
    let [found, taken, sum] = [0, 0, 0];
    for (const { positive, negative } of runs(rows)) {
      found += positive;
      taken += positive + negative;
      sum += positive * (found / taken);
    }
    return sum / found;
  });
