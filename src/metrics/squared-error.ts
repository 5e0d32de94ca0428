// The squared error of an example: the sum of squared differences, averaged over the examples.
import type { Value } from '../graph/graph.js';
import { elementCount } from '../graph/tensor.js';
import type { Builder } from '../ops/builder.js';
import type { Judged, Metric } from './metric.js';
import { ratio, weightedSum, weightOf } from './sums.js';

/**
 * The sum of squared differences of an example between what the model expects and the target, averaged over the examples.
 * @example
 * await train(model, { data, metrics: [squaredError()], optimizer: cgfac(), epochs: 5 });
 */
export const squaredError = (): Metric => ({
  name: 'squaredError',
  lowerIsBetter: true,
  sums(b, judged) {
    const { expected, given } = judged;
    return { total: weightedSum(b, b.square(b.sub(expected, given)), judged), weight: weightOf(b, judged) };
  },
  value: ({ total, weight }) => ratio(total, weight),
});

/** The same of a model that is trained on it: the loss is its mean over the numbers of an example. */
export const squaredErrorOfLoss: Metric = {
  ...squaredError(),
  sums(b: Builder, judged: Judged): Record<string, Value | number> {
    const weight = weightOf(b, judged);
    const { reported, output } = judged;
    const perExample = elementCount(output.dims.slice(1));
    const total =
      typeof weight === 'number'
        ? b.mul(reported, b.scalar(perExample * weight, reported.dtype))
        : b.mul(b.mul(reported, b.scalar(perExample, reported.dtype)), b.cast(weight, reported.dtype));
    return { total, weight };
  },
};
