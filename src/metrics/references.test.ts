// The metrics against scikit-learn's scores, recorded; in batches of different sizes, and weighted.
import { describe, expect, it } from 'vitest';
import { evaluate } from '../../test/support/evaluate.js';
import { FedBuilder } from '../../test/support/fed-builder.js';
import { metricReference, type ReferenceTensor } from '../../test/support/references.js';
import { OptionError } from '../errors.js';
import { lossOf } from '../losses/index.js';
import { Accumulation, metricParts } from './accumulate.js';
import { accuracy } from './accuracy.js';
import { calibrationError } from './calibration-error.js';
import { confusionMatrix } from './confusion-matrix.js';
import { metricNames, metricsOf } from './index.js';
import { logLoss, perplexity } from './log-loss.js';
import { mae } from './mae.js';
import type { Metric } from './metric.js';
import { mse, rmse } from './mse.js';
import { balancedAccuracy, f1, precision, recall } from './precision-recall.js';
import { r2 } from './r2.js';
import { averagePrecision, rocAuc } from './ranking.js';
import { squaredError } from './squared-error.js';
import { topK } from './top-k.js';

/** A set of examples with the outputs of a model. */
interface ScoredSet {
  readonly loss: 'softmax-cross-entropy' | 'sigmoid-cross-entropy' | 'mean-squared-error';
  /** Shape of an example's output, and of its targets. */
  readonly output: readonly number[];
  readonly target: readonly number[];
  readonly outputs: readonly number[];
  readonly targets: readonly number[];
  readonly weights?: readonly number[] | undefined;
}

/** A metric of all examples, in batches of the given size: float64 programs, joined as evaluations join them. */
async function scored(metric: Metric, set: ScoredSet, batchSize = 1000) {
  const sizeOf = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);
  const [perOutput, perTarget] = [sizeOf(set.output), sizeOf(set.target)];
  const examples = set.outputs.length / perOutput;
  const loss = lossOf(set.loss);
  const total = new Accumulation();
  for (let start = 0; start < examples; start += batchSize) {
    const end = Math.min(start + batchSize, examples);
    const b = new FedBuilder();
    const part = (elements: readonly number[], per: number) => elements.slice(start * per, end * per);
    const output = b.given([end - start, ...set.output], part(set.outputs, perOutput));
    const isLabels = loss.targets === 'labels' && set.target.length < set.output.length;
    const given = b.given([end - start, ...set.target], part(set.targets, perTarget), isLabels ? 'int64' : 'float64');
    const weights = set.weights && b.given([end - start], part(set.weights, 1), 'float32');
    const forward = {
      prediction: output,
      output,
      expected: loss.expected?.(b, output) ?? output,
      given,
      kind: loss.targets,
      weights,
      reported: loss.value(b, output, given),
    };
    const parts = metricParts(b, metric, forward, 'metric');
    total.add(parts, await evaluate(parts.outputs, b, b.feeds));
  }
  return { value: metric.value(total.numbers), table: metric.table?.(total.numbers) };
}

interface Classes {
  readonly targets: readonly number[];
  readonly logits: ReferenceTensor;
  readonly predictionsWithoutClass3: readonly number[];
  readonly scores: Readonly<Record<string, number>> & { readonly confusion: ReferenceTensor };
  readonly scoresWithoutClass3: Readonly<Record<string, number>>;
  readonly probabilityScores: Readonly<Record<string, number>>;
}

interface Binary {
  readonly targets: readonly number[];
  readonly logits: readonly number[];
  readonly scores: Readonly<Record<string, number>>;
}

interface Columns {
  readonly targets: ReferenceTensor;
  readonly predictions: ReferenceTensor;
}

interface Regression {
  readonly targets: readonly number[];
  readonly predictions: readonly number[];
  readonly weights: readonly number[];
  readonly scores: Readonly<Record<string, number>>;
  readonly twoOutputs: Columns & Readonly<Record<'r2.uniformAverage' | 'mse', number>>;
}

interface Multilabel {
  readonly targets: ReferenceTensor;
  readonly probabilities: ReferenceTensor;
  readonly scores: Readonly<Record<string, number>>;
}

const [classes, binary, numbers, multilabel] = [
  metricReference<Classes>('classes'),
  metricReference<Binary>('binary'),
  metricReference<Regression>('regression'),
  metricReference<Multilabel>('multilabel'),
];

const ofClasses: ScoredSet = {
  loss: 'softmax-cross-entropy',
  output: [4],
  target: [],
  outputs: classes.logits.values,
  targets: classes.targets,
};
const withoutClass3: ScoredSet = {
  ...ofClasses,
  outputs: classes.predictionsWithoutClass3.flatMap((label) => [0, 1, 2, 3].map((k) => Number(k === label))),
};
const ofBinary: ScoredSet = {
  loss: 'sigmoid-cross-entropy',
  output: [1],
  target: [1],
  outputs: binary.logits,
  targets: binary.targets,
};
/** The same as two logits. */
const ofTwoClasses: ScoredSet = {
  ...ofClasses,
  output: [2],
  outputs: binary.logits.flatMap((logit) => [0.3, 0.3 + logit]),
  targets: binary.targets,
};
const ofNumbers: ScoredSet = {
  loss: 'mean-squared-error',
  output: [1],
  target: [1],
  outputs: numbers.predictions,
  targets: numbers.targets,
};
const ofTwoNumbers: ScoredSet = {
  ...ofNumbers,
  output: [2],
  target: [2],
  outputs: numbers.twoOutputs.predictions.values,
  targets: numbers.twoOutputs.targets.values,
};
const ofColumns: ScoredSet = {
  loss: 'sigmoid-cross-entropy',
  output: [3],
  target: [3],
  outputs: multilabel.probabilities.values.map((p) => Math.log(p / (1 - p))),
  targets: multilabel.targets.values,
};

const { scores, scoresWithoutClass3: without, probabilityScores: soft } = classes;

const cases: readonly (readonly [string, Metric, ScoredSet, number | undefined])[] = [
  ['accuracy', accuracy(), ofClasses, scores.accuracy],
  ['balanced accuracy', balancedAccuracy(), ofClasses, scores.balancedAccuracy],
  ['micro precision', precision({ average: 'micro' }), ofClasses, scores['precision.micro']],
  ['micro recall', recall({ average: 'micro' }), ofClasses, scores['recall.micro']],
  ['micro F1', f1({ average: 'micro' }), ofClasses, scores['f1.micro']],
  ['precision', precision(), ofClasses, scores['precision.macro']],
  ['recall', recall(), ofClasses, scores['recall.macro']],
  ['F1', f1(), ofClasses, scores['f1.macro']],
  ['weighted precision', precision({ average: 'weighted' }), ofClasses, scores['precision.weighted']],
  ['weighted recall', recall({ average: 'weighted' }), ofClasses, scores['recall.weighted']],
  ['weighted F1', f1({ average: 'weighted' }), ofClasses, scores['f1.weighted']],
  ['precision without a class', precision(), withoutClass3, without['precision.macro']],
  ['F1 without a class', f1({ average: 'macro' }), withoutClass3, without['f1.macro']],
  ['weighted F1 without a class', f1({ average: 'weighted' }), withoutClass3, without['f1.weighted']],
  ['balanced accuracy without a class', balancedAccuracy(), withoutClass3, without.balancedAccuracy],
  ['top 1', topK(1), ofClasses, soft['top-1']],
  ['top 2', topK(2), ofClasses, soft['top-2']],
  ['top 3', topK(3), ofClasses, soft['top-3']],
  ['log loss', logLoss(), ofClasses, soft.logLoss],
  ['perplexity', perplexity(), ofClasses, Math.exp(soft.logLoss ?? Number.NaN)],
  ['ROC AUC', rocAuc(), ofClasses, soft['rocAuc.ovr.macro']],
  ['weighted ROC AUC', rocAuc({ average: 'weighted' }), ofClasses, soft['rocAuc.ovr.weighted']],
  ['average precision', averagePrecision(), ofClasses, soft['averagePrecision.macro']],
  ['calibration error', calibrationError(), ofClasses, soft['expectedCalibrationError.10']],
  ['calibration error, 15 bins', calibrationError({ bins: 15 }), ofClasses, soft['expectedCalibrationError.15']],
  ...(
    [
      ['binary', ofBinary],
      ['two classes', ofTwoClasses],
    ] as const
  ).flatMap(([what, set]) => {
    const scored = (name: string, metric: Metric, score: string) =>
      [`${what}: ${name}`, metric, set, binary.scores[score]] as const;
    return [
      scored('accuracy', accuracy(), 'accuracy'),
      scored('balanced accuracy', balancedAccuracy(), 'balancedAccuracy'),
      scored('precision', precision(), 'precision'),
      scored('recall', recall(), 'recall'),
      scored('F1', f1(), 'f1'),
      scored('F1 of the positive', f1({ average: 'positive' }), 'f1'),
      scored('ROC AUC', rocAuc(), 'rocAuc'),
      scored('average precision', averagePrecision(), 'averagePrecision'),
      scored('log loss', logLoss(), 'logLoss'),
      scored('calibration error', calibrationError(), 'expectedCalibrationError.10'),
    ];
  }),
  ['columns: micro F1', f1({ average: 'micro' }), ofColumns, multilabel.scores['f1.micro']],
  ['columns: F1', f1({ average: 'macro' }), ofColumns, multilabel.scores['f1.macro']],
  ['columns: weighted F1', f1({ average: 'weighted' }), ofColumns, multilabel.scores['f1.weighted']],
  ['columns: ROC AUC', rocAuc(), ofColumns, multilabel.scores['rocAuc.macro']],
  ['columns: micro ROC AUC', rocAuc({ average: 'micro' }), ofColumns, multilabel.scores['rocAuc.micro']],
  ['columns: average precision', averagePrecision(), ofColumns, multilabel.scores['averagePrecision.macro']],
  [
    'columns: micro average precision',
    averagePrecision({ average: 'micro' }),
    ofColumns,
    multilabel.scores['averagePrecision.micro'],
  ],
  ['columns: accuracy', accuracy(), ofColumns, 1 - (multilabel.scores.hammingLoss ?? Number.NaN)],
  ['R²', r2(), ofNumbers, numbers.scores.r2],
  ['mean absolute error', mae(), ofNumbers, numbers.scores.mae],
  ['mean squared error', mse(), ofNumbers, numbers.scores.mse],
  ['root mean squared error', rmse(), ofNumbers, numbers.scores.rmse],
  ['weighted R²', r2(), { ...ofNumbers, weights: numbers.weights }, numbers.scores['r2.weighted']],
  ['weighted mean squared error', mse(), { ...ofNumbers, weights: numbers.weights }, numbers.scores['mse.weighted']],
  ['R² of columns', r2(), ofTwoNumbers, numbers.twoOutputs['r2.uniformAverage']],
  ['mean squared error of columns', mse(), ofTwoNumbers, numbers.twoOutputs.mse],
  ['squared error of examples', squaredError(), ofTwoNumbers, 2 * numbers.twoOutputs.mse],
  ['R² of equal targets', r2(), { ...ofNumbers, targets: numbers.targets.map(() => 0.1) }, 0],
  [
    'R² of equal targets, predicted',
    r2(),
    { ...ofNumbers, targets: numbers.targets.map(() => 0.1), outputs: numbers.targets.map(() => 0.1) },
    1,
  ],
];

describe.each([1000, 7])('in batches of %d', (batchSize) => {
  it.each(cases)('%s', async (_, metric, set, expected) => {
    if (expected === undefined) throw new Error('the reference has the score');
    expect((await scored(metric, set, batchSize)).value).toBeCloseTo(expected, 6);
  });

  it('confusion matrix', async () => {
    const { value, table } = await scored(confusionMatrix(), ofClasses, batchSize);
    expect(table?.flat()).toEqual(classes.scores.confusion.values);
    expect(value).toBeCloseTo(1 - (scores.accuracy ?? Number.NaN), 12);
  });
});

/** Every metric of a set, on a set that it fits. */
const everyMetric = [...metricNames.flatMap((name) => metricsOf([name])), rocAuc({ average: 'micro' })].map(
  (metric) => {
    const isOfNumbers = /rror$|r2/.test(metric.name) && metric.name !== 'calibrationError';
    return [metric.name, metric, isOfNumbers ? ofTwoNumbers : ofClasses] as const;
  },
);

it.each(everyMetric)(
  '%s: whole weights are repetitions, and examples of weight 0 are not there',
  async (_, metric, set) => {
    const per = set.outputs.length / (set.target.length === 0 ? set.targets.length : set.targets.length / 2);
    const perTarget = set.target.length === 0 ? 1 : 2;
    const count = set.outputs.length / per;
    const weights = Array.from({ length: count }, (_example, i) => [1, 3, 0, 2][i % 4] ?? 1);
    const repeat = (elements: readonly number[], size: number) =>
      weights.flatMap((weight, i) =>
        Array.from({ length: weight }, () => elements.slice(i * size, (i + 1) * size)).flat(),
      );
    const repeated = { ...set, outputs: repeat(set.outputs, per), targets: repeat(set.targets, perTarget) };
    const [weighted, plain] = [await scored(metric, { ...set, weights }, 11), await scored(metric, repeated)];
    expect(weighted.value).toBeCloseTo(plain.value, 6);
    expect(weighted.table).toEqual(plain.table);
  },
);

it.each(everyMetric.filter(([, , { loss }]) => loss === 'softmax-cross-entropy'))(
  '%s of sequences is that of their positions',
  async (_, metric, set) => {
    const sequences = { ...set, output: [5, 4], target: [5] };
    expect((await scored(metric, sequences, 3)).value).toBeCloseTo((await scored(metric, set)).value, 6);
  },
);

describe('a metric that does not fit', () => {
  it('of labels for numbers, and the other way round', async () => {
    await expect(scored(topK(2), ofNumbers)).rejects.toThrow(
      'the metric top2 is for labels of classes, and the targets are numbers',
    );
    await expect(scored(mae(), ofClasses)).rejects.toThrow(
      'the metric meanAbsoluteError is of numbers, and the targets are labels',
    );
    await expect(scored(f1(), ofNumbers)).rejects.toThrow(
      /the metric f1 is for labels or for targets of 0 and 1, and 25 targets/,
    );
  });

  it('is refused where it is given', () => {
    expect(() => metricsOf(['acuracy'])).toThrow("unknown metric 'acuracy' (did you mean 'accuracy'?)");
    expect(metricsOf(['top-3', accuracy()]).map(({ name }) => name)).toEqual(['top3', 'accuracy']);
    expect(() => metricsOf([])).toThrow(OptionError);
    expect(() => metricsOf(['f1', f1()])).toThrow("two metrics have the name 'f1'");
    expect(() => metricsOf([accuracy as unknown as Metric])).toThrow('call it: accuracy()');
    const { value: _, ...rest } = accuracy();
    expect(() => metricsOf([rest as Metric])).toThrow("the metric 'accuracy' lacks value(numbers)");
    expect(() => metricsOf([{ ...accuracy(), sums: undefined } as unknown as Metric])).toThrow(
      'lacks sums(b, batch) or rows',
    );
    expect(() => metricsOf([{ ...accuracy(), name: 'loss' }])).toThrow('lacks a name');
    expect(() => topK(0)).toThrow(OptionError);
    expect(() => f1({ average: 'mean' as 'micro' })).toThrow(OptionError);
  });
});
