// What a person judges a model by, computed in the program: squared error of a reconstruction, accuracy of a classifier.
import { int, type Value } from '../graph/graph.js';
import type { LossName } from '../losses/loss.js';
import type { Forward } from '../losses/objective.js';
import type { Builder } from '../ops/builder.js';

export interface Metric {
  readonly name: MetricName;
  readonly lowerIsBetter: boolean;
  /** What the network says, as a person sees it: a reconstruction in the range of the data, logits for classes. */
  shown(b: Builder, forward: Judged): Value;
  /** The mean over the examples, a scalar. */
  value(b: Builder, forward: Judged): Value;
}

type Judged = Pick<Forward, 'output' | 'prediction' | 'targets'>;
type MetricName = 'squaredError' | 'accuracy';

/** The sum of squared differences of an example, averaged over the examples. */
function squaredError(shown: Metric['shown']): Metric {
  return {
    name: 'squaredError',
    lowerIsBetter: true,
    shown,
    value(b, forward) {
      const prediction = shown(b, forward);
      const axes = Array.from({ length: prediction.rank - 1 }, (_, i) => i + 1);
      return b.mean(b.sum(b.square(b.sub(prediction, forward.targets)), axes));
    },
  };
}

/** The share of rows whose largest logit is the label's. */
const accuracy: Metric = {
  name: 'accuracy',
  lowerIsBetter: false,
  shown: (_, { output }) => output,
  value(b, { output, targets }) {
    const chosen = b.op('ArgMax', [output], { axis: int(-1), keepdims: int(0) });
    return b.mean(b.cast(b.equal(chosen, b.cast(targets, 'int64')), 'float32'));
  },
};

const metrics: Readonly<Record<LossName, Metric>> = {
  'softmax-cross-entropy': accuracy,
  // Also for networks that end in logits: their reconstruction is the sigmoid of them.
  'sigmoid-cross-entropy': squaredError((b, { output }) => b.sigmoid(output)),
  'mean-squared-error': squaredError((_, { prediction }) => prediction),
};

/** The metric that goes with a loss. */
export const metricFor = (loss: LossName): Metric => metrics[loss];
