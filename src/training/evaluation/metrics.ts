// What a person judges a model by, computed in the program: squared error of a reconstruction, accuracy of a classifier.
import { int, type Value } from '../../graph/graph.js';
import { elementCount } from '../../graph/tensor.js';
import type { LossName } from '../../losses/loss.js';
import type { Forward } from '../../losses/objective.js';
import type { Builder } from '../../ops/builder.js';

export interface Metric {
  readonly name: MetricName;
  readonly lowerIsBetter: boolean;
  /** What the network says, as a person sees it: a reconstruction in the range of the data, logits for classes. */
  shown(b: Builder, forward: Judged): Value;
  /** The mean over the examples, a scalar. */
  value(b: Builder, forward: Judged): Value;
}

type Judged = Pick<Forward, 'output' | 'prediction' | 'targets' | 'reported'>;
type MetricName = 'squaredError' | 'accuracy';

/** The sum of squared differences of an example, averaged over the examples: of the sigmoid of logits. */
const squaredErrorOfSigmoid: Metric = {
  name: 'squaredError',
  lowerIsBetter: true,
  shown: (b, { output }) => b.sigmoid(output),
  value(b, { output, targets }) {
    const axes = Array.from({ length: output.rank - 1 }, (_, i) => i + 1);
    return b.mean(b.sum(b.square(b.sub(b.sigmoid(output), targets)), axes));
  },
};

/** The same of the prediction: the loss is its mean over the numbers of an example. */
const squaredError: Metric = {
  name: 'squaredError',
  lowerIsBetter: true,
  shown: (_, { prediction }) => prediction,
  value: (b, { output, reported }) => b.mul(reported, b.scalar(elementCount(output.dims.slice(1)), reported.dtype)),
};

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
  'sigmoid-cross-entropy': squaredErrorOfSigmoid,
  'mean-squared-error': squaredError,
};

/** The metric that goes with a loss. */
export const metricFor = (loss: LossName): Metric => metrics[loss];
