// What a run's record tells of the trained model beside losses and metrics: single examples, curves, and the answer that takes
// no learning. Bounded in size for sets of any size.
import type { Dataset } from '../../data/dataset.js';
import { elementCount, type TensorData } from '../../graph/tensor.js';
import type { RunRecord } from '../run-record.js';
import type { LearningTask } from '../task/task.js';
import { type Classified, examineClassifier } from './classification.js';
import { constantAnswer } from './constant-answer.js';
import type { Evaluator } from './evaluation.js';
import { reconstructionsOf } from './pictures.js';
import { examineRegression, mostOutputs } from './regression.js';

/** What a run's record tells of its trained model on the test set. */
export type Examined = Pick<
  RunRecord,
  'baseline' | 'reconstructions' | 'confusion' | 'roc' | 'calibration' | 'predictions' | 'worst'
>;

/** Return the part of a run's record about the test set; what does not apply is left out. */
export async function examined(evaluator: Evaluator, task: LearningTask): Promise<Examined> {
  const { test } = task.data;
  if (test.size === 0) return {};
  const answer = constantAnswer(task);
  const constant = answer && (await evaluator.evaluateConstant(test, answer));
  return {
    ...(answer && constant && { baseline: { answer: answer.name, test: constant } }),
    ...(await examples(evaluator, task)),
  };
}

async function examples(evaluator: Evaluator, { kind, loss, data: { test } }: LearningTask): Promise<Examined> {
  const { targets, classes } = test;
  if (kind === 'autoencoding') return test.picture ? await reconstructionsOf(evaluator, test) : {};
  if (kind === 'classification') {
    if (!classes || targets.shape.length > 0 || targets.dtype !== 'int64') return {};
    return await examineClassifier(test, classes, ofLabels(evaluator, test, loss.expected !== undefined));
  }
  if (elementCount(targets.shape) > mostOutputs) return {};
  if (elementCount(targets.shape) === 1 && loss.targetRange?.atMost === 1 && areBinary(test)) {
    return await examineClassifier(test, ['0', '1'], ofBinary(evaluator, test));
  }
  return await examineRegression(test.size, evaluator.predict(test));
}

async function* ofLabels(evaluator: Evaluator, set: Dataset, hasProbabilities: boolean): AsyncGenerator<Classified> {
  for await (const { indices, batch, prediction, expected } of evaluator.predict(set)) {
    yield {
      ...{ indices, batch, labels: batch.target.data, scores: prediction.data, width: prediction.dims[1] ?? 1 },
      probabilities: hasProbabilities ? expected.data : undefined,
    };
  }
}

/** Targets of 0 and 1 and the probability of 1 as labels of two classes. */
async function* ofBinary(evaluator: Evaluator, set: Dataset): AsyncGenerator<Classified> {
  for await (const { indices, batch, expected } of evaluator.predict(set)) {
    const both = bothProbabilities(expected);
    yield { indices, batch, labels: batch.target.data, scores: both, width: 2, probabilities: both };
  }
}

const bothProbabilities = ({ data }: TensorData): number[] =>
  Array.from<number | bigint, number>(data, Number).flatMap((one) => [1 - one, one]);

function areBinary({ targets }: Dataset): boolean {
  const scale = 'scale' in targets ? targets.scale : 1;
  return targets.data.every((x) => x === 0 || x * scale === 1);
}
