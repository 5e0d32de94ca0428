// The best answer that is the same for all examples, from the targets of the training set: what takes no learning.
import { type Dataset, exampleStride } from '../../data/dataset.js';
import type { Value } from '../../graph/graph.js';
import { elementCount, tensorFrom } from '../../graph/tensor.js';
import type { Loss } from '../../losses/loss.js';
import type { EvaluatedBatch } from '../../metrics/metric.js';
import { asDeclared } from '../../model/apply.js';
import type { Builder } from '../../ops/builder.js';
import type { LearningTask } from '../task/task.js';

/** An answer of the same form as a model's output. */
export interface ConstantAnswer {
  readonly name: 'commonest class' | 'mean';
  /** Whether it can stand for outputs of this shape. */
  fits(output: readonly number[]): boolean;
  /** Return what the metrics and the loss take in place of the model's outputs. */
  outputs(
    b: Builder,
    loss: Loss,
    batch: EvaluatedBatch,
  ): Pick<EvaluatedBatch, 'prediction' | 'output' | 'expected' | 'reported'> & { readonly targets: Value };
}

/** Examples that it is computed from: of larger sets every n-th. */
const mostExamples = 20_000;
/** Probabilities nearer to 0 and 1 than this have no logit. */
const nearest = 1e-6;

/** Return the answer for a task; undefined if the loss does not say which output expects given targets. */
export function constantAnswer({ kind, loss, data: { train } }: LearningTask): ConstantAnswer | undefined {
  if (train.size === 0) return undefined;
  if (kind === 'classification') return train.targets.dtype === 'int64' ? commonestClass(train, loss) : undefined;
  // Between 0 and 1 what a loss expects is the sigmoid of the output.
  const isProbability = loss.expected !== undefined && loss.targetRange?.atMost === 1;
  return loss.expected === undefined || isProbability ? mean(train, isProbability) : undefined;
}

/** What stands for the outputs of a model. */
const answered = (
  b: Builder,
  loss: Loss,
  { given, weights }: EvaluatedBatch,
  output: Value,
  expected: Value,
): ReturnType<ConstantAnswer['outputs']> => ({
  prediction: expected,
  output,
  expected,
  targets: given,
  reported: loss.value(b, output, given, weights),
});

/** Logits of the classes' shares. */
function commonestClass(set: Dataset, { ignoredLabel }: Loss): ConstantAnswer {
  const counts: number[] = [];
  forEachTarget(set, (_, label, weight) => {
    if (label < 0 || label === ignoredLabel) return;
    while (counts.length <= label) counts.push(0);
    counts[label] = (counts[label] ?? 0) + weight;
  });
  const total = counts.reduce((sum, count) => sum + count, 0) || 1;
  const logit = (count: number) => Math.log(Math.max(count, 0.5) / total);
  return {
    name: 'commonest class',
    fits: (output) => counts.length > 0 && (output.at(-1) ?? 0) >= counts.length,
    outputs: (b, loss, batch) => {
      const { output: own } = batch;
      const logits = Array.from({ length: own.dims.at(-1) ?? 1 }, (_, k) => logit(counts[k] ?? 0));
      const output = b.add(
        b.filled(own.dims, 0, own.dtype),
        b.constant(tensorFrom(own.dtype, [logits.length], logits)),
      );
      const expected = loss.expected?.(b, output) ?? output;
      return answered(b, loss, batch, output, expected);
    },
  };
}

function mean(set: Dataset, isProbability: boolean): ConstantAnswer {
  const { shape } = set.targets;
  const sums = new Float64Array(elementCount(shape));
  let total = 0;
  forEachTarget(set, (at, value, weight) => {
    sums[at] = (sums[at] ?? 0) + weight * value;
    if (at === 0) total += weight;
  });
  const means = Array.from(sums, (sum) => sum / total);
  const logits = means.map((p) => {
    const inside = Math.min(1 - nearest, Math.max(nearest, p));
    return Math.log(inside / (1 - inside));
  });
  return {
    name: 'mean',
    fits: (output) => total > 0 && elementCount(output.slice(1)) === means.length,
    outputs: (b, loss, batch) => {
      const { output: own, given } = batch;
      const [rows = 1] = own.dims;
      const repeated = (values: readonly number[]) => {
        const one = b.constant(tensorFrom(own.dtype, [1, ...shape], values));
        const all = b.add(b.filled([rows, ...shape], 0, own.dtype), one);
        return b.reshape(asDeclared(b, all, own.shape), given.dims.map(Number));
      };
      const output = repeated(isProbability ? logits : means);
      const expected = isProbability ? (loss.expected?.(b, output) ?? output) : output;
      return answered(b, loss, batch, output, expected);
    },
  };
}

/** Call with the place of each target element in its example, its value, and the weight of the example. */
function forEachTarget(
  { targets, weights, size }: Dataset,
  visit: (at: number, value: number, weight: number) => void,
): void {
  const [stride, width] = [exampleStride(targets), elementCount(targets.shape)];
  const scale = 'scale' in targets ? targets.scale : 1;
  const every = Math.ceil(size / mostExamples);
  for (let example = 0; example < size; example += every) {
    const weight = Number(weights?.data[example] ?? 1);
    for (let at = 0; at < width; at++) visit(at, Number(targets.data[example * stride + at]) * scale, weight);
  }
}
