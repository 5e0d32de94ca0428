// What a person judges a model by, computed in the program: squared error of a reconstruction, accuracy of a classifier.
import { OptionError } from '../errors.js';
import { int, type Value } from '../graph/graph.js';
import type { LossName } from '../losses/loss.js';
import type { Forward } from '../losses/objective.js';
import type { Builder } from '../ops/builder.js';

export interface Metric {
  readonly name: MetricName;
  readonly lowerIsBetter: boolean;
  /** The mean over the examples, a scalar. */
  value(b: Builder, forward: Pick<Forward, 'output' | 'prediction' | 'targets'>): Value;
}

export type MetricName = 'squaredError' | 'accuracy';

/** The sum of squared differences of an example, averaged over the examples. */
const squaredError: Metric = {
  name: 'squaredError',
  lowerIsBetter: true,
  value(b, { prediction, targets }) {
    const axes = Array.from({ length: prediction.rank - 1 }, (_, i) => i + 1);
    return b.mean(b.sum(b.square(b.sub(prediction, targets)), axes));
  },
};

/** The share of rows whose largest logit is the label's. */
const accuracy: Metric = {
  name: 'accuracy',
  lowerIsBetter: false,
  value(b, { output, targets }) {
    const chosen = b.op('ArgMax', [output], { axis: int(-1), keepdims: int(0) });
    return b.mean(b.cast(b.equal(chosen, b.cast(targets, 'int64')), 'float32'));
  },
};

export const metricNames: readonly MetricName[] = ['squaredError', 'accuracy'];

/** The metric that goes with a loss. */
export const metricFor = (loss: LossName): Metric => (loss === 'softmax-cross-entropy' ? accuracy : squaredError);

/** @throws OptionError listing the names that exist */
export function metricNamed(name: string): Metric {
  const metric = [squaredError, accuracy].find((known) => known.name === name);
  if (!metric) throw new OptionError(`unknown metric '${name}'; choose one of ${metricNames.join(', ')}`);
  return metric;
}
