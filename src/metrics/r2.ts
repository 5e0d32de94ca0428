// The coefficient of determination R²: the share of the targets' variance that the model explains.
import { elementCount } from '../graph/tensor.js';
import { checkNumbers } from './classes.js';
import type { Metric, Numbers } from './metric.js';
import { alongBatch } from './sums.js';

const name = 'r2';

/** If the sum of squares about the mean is below this share of that about zero, it is rounding of float64: the targets are constant. */
const rounding = 1e-14;

/**
 * Return 1 − Σ(y − f)²/Σ(y − ȳ)², averaged over the columns, which are the last axis. If all targets are equal it is 1 for
 * exact predictions and 0 for others, as in scikit-learn.
 * @example
 * const { values } = await evaluate(regressor, numbers.test, { metrics: [r2(), mae()] });
 */
export const r2 = (): Metric => ({
  name,
  lowerIsBetter: false,
  sums(b, batch) {
    checkNumbers(name, batch);
    const { expected, given, weights } = batch;
    const [targets, errors] = [given, b.sub(expected, given)].map((x) => b.cast(x, 'float64')) as [
      typeof given,
      typeof given,
    ];
    const along = weights && alongBatch(b, weights, targets);
    const axes = Array.from({ length: Math.max(1, targets.rank - 1) }, (_, axis) => axis);
    const total = (x: typeof given) => b.sum(along ? b.mul(x, along) : x, axes);
    const columns = targets.rank > 1 ? (targets.dims.at(-1) ?? 1) : 1;
    const rows = elementCount(targets.dims) / columns;
    return {
      weight: along ? b.mul(b.sum(along), rows / (targets.dims[0] ?? 1)) : rows,
      targets: total(targets),
      squares: total(b.square(targets)),
      errors: total(b.square(errors)),
    };
  },
  value({ weight, targets = [], squares = [], errors = [] }: Numbers) {
    const count = weight?.[0] ?? Number.NaN;
    const scores = Array.from(targets, (sum, column) => {
      const square = squares[column] ?? Number.NaN;
      const variation = square - (sum * sum) / count;
      const error = errors[column] ?? Number.NaN;
      if (variation <= rounding * square) return error === 0 ? 1 : Number.isNaN(error) ? Number.NaN : 0;
      return 1 - error / variation;
    });
    return scores.reduce((sum, score) => sum + score, 0) / scores.length;
  },
});
