import { describe, expect, it } from 'vitest';
import { drawnDigits } from '../../data/digits/digits.js';
import { OptionError } from '../../errors.js';
import { lossOf } from '../../losses/index.js';
import { metricsOf } from '../../metrics/index.js';
import type { Evaluator } from './evaluation.js';
import { type EvaluationOptions, EvaluationSchedule, resolveTarget } from './schedule.js';

const data = drawnDigits({ trainSize: 30, testSize: 10 });
const metrics = [lossOf('mean-squared-error').metric];

/** Evaluates a run of 100 steps whose squared error is 100 − step, and less on samples; counts what was evaluated. */
async function evaluatedRun(options: EvaluationOptions, last = 100, sampleBias = 0) {
  const evaluated: { step: number; set: string; examples: number }[] = [];
  let step = 0;
  const evaluator = {
    evaluate: async (set: { name: string }, indices?: Uint32Array) => {
      const examples = new Set(indices).size;
      evaluated.push({ step, set: set.name, examples });
      return {
        loss: 1,
        squaredError: 100 - step - (examples < (set.name === 'digits train' ? 30 : 10) ? sampleBias : 0),
      };
    },
  } as Partial<Evaluator> as Evaluator;
  const schedule = new EvaluationSchedule(evaluator, metrics, data, 100, options);
  const found: Record<number, Record<string, number>> = {};
  for (step = 1; step <= last; step++) found[step] = await schedule.after(step, step / 10, step === 100);
  const atEnd = { loss: 1, squaredError: 100 - last };
  const toTarget = schedule.concluded(last, last / 10, { train: atEnd, test: atEnd });
  return { schedule, evaluated, found, toTarget };
}

describe('EvaluationSchedule', () => {
  it('evaluates a fixed number of examples of both sets ten times a run', async () => {
    const { evaluated, found, schedule, toTarget } = await evaluatedRun({ evaluationExamples: 20 });
    expect(evaluated.filter(({ set }) => set === 'digits train').map(({ step }) => step)).toEqual([
      10, 20, 30, 40, 50, 60, 70, 80, 90, 100,
    ]);
    expect(new Set(evaluated.map(({ set, examples }) => `${set} ${examples}`))).toEqual(
      new Set(['digits train 20', 'digits test 10']),
    );
    expect(found[9]).toEqual({});
    expect(found[10]).toEqual({ trainLoss: 1, trainSquaredError: 90, testLoss: 1, testSquaredError: 90 });
    expect(toTarget).toBeUndefined();
    expect(schedule.sampled).toEqual({ train: 20 });
    expect((await evaluatedRun({})).schedule.sampled).toBeUndefined();
  });

  it('looks for a target more often, on its own set, and only until it is reached', async () => {
    const { evaluated, toTarget } = await evaluatedRun({ target: { metric: 'squaredError', value: 74.5 } });
    expect(toTarget).toEqual({ steps: 26, seconds: 2.6 });
    const steps = (name: string) => evaluated.filter(({ set }) => set === name).map(({ step }) => step);
    expect(steps('digits train')).toEqual([
      2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 30, 40, 50, 60, 70, 80, 90, 100,
    ]);
    expect(steps('digits test')).toEqual([10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
  });

  it('says where a target was not reached, and evaluates a test target on the test set', async () => {
    const options = { target: { metric: 'testSquaredError', value: 50 } };
    expect((await evaluatedRun(options, 49)).toTarget).toBeNull();
    expect((await evaluatedRun(options)).toTarget?.steps).toBe(50);
  });

  it('counts a target as reached by the whole set only, evaluated where the sample reaches it', async () => {
    const target = { metric: 'squaredError', value: 74.5 };
    const { evaluated, toTarget, found } = await evaluatedRun({ target, evaluationExamples: 20 }, 100, 7.5);
    expect(toTarget).toEqual({ steps: 26, seconds: 2.6 });
    // The sample has 74.5 at step 18; the whole set, which has 82 there, is asked again when the sample is as much better.
    const whole = evaluated.filter(({ set, examples }) => set === 'digits train' && examples === 30);
    expect(whole.map(({ step }) => step)).toEqual([18, 26]);
    expect(found[18]?.trainSquaredError).toBe(82);
    expect(found[26]?.trainSquaredError).toBe(74);
  });

  it('counts the evaluation in the end, of which the table is, where the sample has not got there', async () => {
    const options = { target: { metric: 'squaredError', value: 0.5 }, evaluationExamples: 20 };
    expect((await evaluatedRun(options, 100, -5)).toTarget).toEqual({ steps: 100, seconds: 10 });
    expect((await evaluatedRun(options, 99, -5)).toTarget).toBeNull();
    const onTest = { target: { metric: 'testSquaredError', value: 0.5 }, evaluationExamples: 5 };
    expect((await evaluatedRun(onTest, 100, 5)).toTarget).toEqual({ steps: 100, seconds: 10 });
  });

  it('refuses a target that there is no metric for', async () => {
    await expect(evaluatedRun({ target: { metric: 'accuracy', value: 1 } })).rejects.toThrow(OptionError);
    await expect(evaluatedRun({ target: { metric: 'accuracy', value: 1 } })).rejects.toThrow(
      /choose one of squaredError, loss, testSquaredError, testLoss/,
    );
    await expect(evaluatedRun({ target: { metric: 'loss', value: Number.NaN } })).rejects.toThrow(/target is NaN/);
  });
});

it.each([
  ['mae', 'train', 'trainMeanAbsoluteError'],
  ['testMae', 'test', 'testMeanAbsoluteError'],
  ['test-mae', 'test', 'testMeanAbsoluteError'],
  ['meanAbsoluteError', 'train', 'trainMeanAbsoluteError'],
  ['top-3', 'train', 'trainTop3'],
  ['test-roc-auc', 'test', 'testRocAuc'],
  ['testLoss', 'test', 'testLoss'],
])('the target %s is of the set %s', (metric, split, key) => {
  const metrics = metricsOf(['mae', 'top-3', 'roc-auc']);
  expect(resolveTarget({ metric, value: 1 }, metrics)).toMatchObject({ metric, split, key });
  expect(() => resolveTarget({ metric: 'mse', value: 1 }, metrics)).toThrow(
    /choose one of meanAbsoluteError, .* \(mae is meanAbsoluteError, top-3 is top3, roc-auc is rocAuc\)/,
  );
});
