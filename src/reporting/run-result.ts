// What a run came to, as run.json keeps it: the record without its steps, which metrics.jsonl has, and without pictures.

import type { Experiment, RunRecord, StepRecord } from '../training/run-record.js';
import { curveOf, lossCurve } from './curves.js';

/** The record of a run beside its steps, and what it is a run of. */
export interface RunResult
  extends Omit<RunRecord, 'steps' | 'reconstructions' | 'predictions' | 'worst' | 'sampled'>,
    Pick<Experiment, 'model' | 'data' | 'parameters' | 'target'> {}

/** Most classes of a confusion matrix that is kept. */
const mostClasses = 24;

/** Return the results of the runs of experiments. */
export function runResults(experiments: readonly Experiment[]): RunResult[] {
  return experiments.flatMap(({ model, data, parameters, target, runs }) =>
    runs.map((run): RunResult => {
      const { steps: _s, reconstructions: _r, predictions: _p, worst: _w, sampled: _e, confusion, ...record } = run;
      const isSmall = confusion !== undefined && confusion.classes.length <= mostClasses;
      return {
        ...{ model, data, parameters, ...(target && { target }) },
        ...record,
        ...(isSmall && { confusion: { ...confusion, mistakes: [] } }),
      };
    }),
  );
}

/** Return a replacer of `JSON.stringify`: JSON has no NaN and no infinities, which become strings that `Number` reads. */
export const finiteOrText = (_: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;

/** Return the value of such a string, for `JSON.parse`. */
export const numberOfText = (_: string, value: unknown): unknown =>
  value === 'NaN' || value === 'Infinity' || value === '-Infinity' ? Number(value) : value;

/** What is known of a run that has no result yet, or is of a version that kept none. */
export interface UnfinishedRun {
  readonly name: string;
  readonly steps: readonly StepRecord[];
  readonly planned: number | undefined;
  readonly diverged: boolean;
  /** The main metric by the names in the steps: undefined if none is known. */
  readonly metric: RunRecord['metric'] | undefined;
}

/** Return the record of such a run: its last evaluations stand for those of its end. */
export function unfinishedRecord({ name, steps, planned, diverged, metric }: UnfinishedRun): RunRecord {
  const seconds = steps.map((record, i) => record.seconds - (steps[i - 1]?.seconds ?? 0));
  const sorted = seconds.slice(seconds.length > 1 ? 1 : 0).sort((a, b) => a - b);
  const quantile = (q: number) =>
    1000 * (sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN);
  const base: RunRecord = {
    name,
    steps,
    seconds: steps.at(-1)?.seconds ?? 0,
    ...(planned !== undefined && { planned }),
    train: { loss: Number.NaN },
    test: { loss: Number.NaN },
    batchSize: Number.NaN,
    stateBytes: Number.NaN,
    stepMilliseconds: { median: quantile(0.5), p10: quantile(0.1), p90: quantile(0.9) },
    metric: metric ?? { name: 'loss', lowerIsBetter: true },
  };
  const last = (key: string) => curveOf(base, ({ metrics }) => metrics[key]).at(-1)?.value;
  const evaluation = (set: string) => {
    const prefix = new RegExp(`^${set}([A-Z].*)$`);
    const names = new Set(steps.flatMap(({ metrics }) => Object.keys(metrics)));
    const found = [...names].flatMap((key) => {
      const [, own] = prefix.exec(key) ?? [];
      const value = last(key);
      return own !== undefined && value !== undefined ? [[own[0]?.toLowerCase() + own.slice(1), value] as const] : [];
    });
    return { loss: Number.NaN, ...Object.fromEntries(found) };
  };
  const train = evaluation('train');
  // A run that goes on has a loss: that of its last batches.
  const loss = diverged
    ? Number.NaN
    : Number.isFinite(train.loss)
      ? train.loss
      : (lossCurve(base).at(-1)?.value ?? Number.NaN);
  const rejected = steps.filter(({ optimizer }) => optimizer.accepted === 0).length;
  const recovers = steps.some(({ optimizer }) => optimizer.accepted !== undefined);
  const batch = metric && curveOf(base, ({ metrics }) => metrics[metric.name]).at(-1)?.value;
  return {
    ...base,
    train: { ...(batch !== undefined && metric && { [metric.name]: batch }), ...train, loss },
    test: evaluation('test'),
    ...(recovers && { rejected }),
  };
}
