import { describe, expect, it } from 'vitest';
import { drawnDigits } from '../data/digits.js';
import { OptionError } from '../errors.js';
import type { Evaluator } from './evaluation.js';
import { Judging, type JudgingOptions } from './judging.js';
import { metricFor } from './metrics.js';

const data = drawnDigits({ trainSize: 30, testSize: 10 });
const metric = metricFor('mean-squared-error');

/** Judges a run of 100 steps whose squared error is 100 − step; counts what was evaluated. */
async function judged(options: JudgingOptions, last = 100) {
  const evaluated: { step: number; set: string; examples: number }[] = [];
  let step = 0;
  const evaluator = {
    evaluate: async (set: { name: string }, indices?: Uint32Array) => {
      evaluated.push({ step, set: set.name, examples: new Set(indices).size });
      return { loss: 1, squaredError: 100 - step };
    },
  } as Partial<Evaluator> as Evaluator;
  const judging = new Judging(evaluator, metric, data, 100, options);
  const found: Record<number, Record<string, number>> = {};
  for (step = 1; step <= last; step++) found[step] = await judging.after(step, step / 10, step === 100);
  return { judging, evaluated, found };
}

describe('Judging', () => {
  it('evaluates a fixed number of examples of both sets ten times a run', async () => {
    const { evaluated, found, judging } = await judged({ evaluationExamples: 20 });
    expect(evaluated.filter(({ set }) => set === 'digits train').map(({ step }) => step)).toEqual([
      10, 20, 30, 40, 50, 60, 70, 80, 90, 100,
    ]);
    expect(new Set(evaluated.map(({ set, examples }) => `${set} ${examples}`))).toEqual(
      new Set(['digits train 20', 'digits test 10']),
    );
    expect(found[9]).toEqual({});
    expect(found[10]).toEqual({ trainLoss: 1, trainSquaredError: 90, testLoss: 1, testSquaredError: 90 });
    expect(judging.toTarget).toBeUndefined();
  });

  it('looks for a target more often, on its own set, and only until it is reached', async () => {
    const { evaluated, judging } = await judged({ target: { metric: 'squaredError', value: 74.5 } });
    expect(judging.toTarget).toEqual({ steps: 26, seconds: 2.6 });
    const steps = (name: string) => evaluated.filter(({ set }) => set === name).map(({ step }) => step);
    expect(steps('digits train')).toEqual([
      2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 30, 40, 50, 60, 70, 80, 90, 100,
    ]);
    expect(steps('digits test')).toEqual([10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
  });

  it('says where a target was not reached, and judges a test target on the test set', async () => {
    const options = { target: { metric: 'testSquaredError', value: 50 } };
    expect((await judged(options, 49)).judging.toTarget).toBeNull();
    expect((await judged(options)).judging.toTarget?.steps).toBe(50);
  });

  it('refuses a target that there is no metric for', async () => {
    await expect(judged({ target: { metric: 'accuracy', value: 1 } })).rejects.toThrow(OptionError);
    await expect(judged({ target: { metric: 'accuracy', value: 1 } })).rejects.toThrow(
      /choose one of squaredError, loss, testSquaredError, testLoss/,
    );
    await expect(judged({ target: { metric: 'loss', value: Number.NaN } })).rejects.toThrow(/target is NaN/);
  });
});
