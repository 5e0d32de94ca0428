// One training of a study: its evaluations on the validation set, by steps and by seconds of training.
import type { Engine } from '../engine/engine.js';
import { DivergedError } from '../training/diverged-error.js';
import type { RunRecord, StepRecord } from '../training/run-record.js';
import { standardizedTask } from '../training/task/standardization.js';
import { runTask, settingOf } from '../training/trainer.js';
import type { Problem } from './problems.js';
import type { Optimizers } from './study.js';

/** Where a run was, and the value there. */
type CurvePoint = readonly [step: number, seconds: number, value: number];

/** What a run leaves. */
export interface Curve {
  /** A value of each evaluation that was finite. */
  readonly points: readonly CurvePoint[];
  readonly steps: number;
  /** Seconds of training, without evaluations. */
  readonly seconds: number;
  readonly diverged: boolean;
  readonly stateBytes: number;
}

export interface TrainingRunOptions {
  readonly engine: Engine;
  readonly problem: Problem;
  /** As the command line writes it. */
  readonly optimizer: string;
  readonly optimizers: Pick<Optimizers, 'make'>;
  readonly batchSize: number;
  readonly steps: number;
  readonly seed: number;
  /** Steps between evaluations. */
  readonly every: number;
  /** The name of the value in the steps' metrics: `testLoss`, `testAccuracy`. */
  readonly metric: string;
  /** Whether a value ends the run. */
  readonly until?: (value: number) => boolean;
  readonly signal: AbortSignal;
}

/** Examples of each set in an evaluation: all of the validation sets here. */
const evaluationExamples = 1000;

/** Train, and return the curve. A run whose loss stops being finite is a result. @throws what training throws otherwise */
export async function trainedCurve(options: TrainingRunOptions): Promise<Curve> {
  const { engine, problem, optimizers, batchSize, steps, seed, every, metric, until, signal } = options;
  const data = await problem.data();
  const { model, task } = standardizedTask(problem.model(seed, data), data, {});
  const size = Math.min(batchSize, task.data.train.size);
  const optimizer = optimizers.make(options.optimizer, settingOf(model, task, size));
  const reached = new AbortController();
  const points: CurvePoint[] = [];
  const onStep = ({ step, seconds, metrics }: StepRecord) => {
    const value = metrics[metric];
    if (value === undefined || !Number.isFinite(value)) return;
    points.push([step, seconds, value]);
    if (until?.(value)) reached.abort();
  };
  const finished = ({ steps: records, seconds, stateBytes }: RunRecord, diverged: boolean): Curve => ({
    points,
    steps: records.length,
    seconds,
    diverged,
    stateBytes,
  });
  try {
    const { record } = await runTask(model, task, {
      engine,
      optimizer,
      batchSize: size,
      steps,
      seed,
      evaluateEvery: every,
      evaluationExamples,
      signal: AbortSignal.any([signal, reached.signal]),
      callbacks: { onStep },
    });
    return finished(record, false);
  } catch (error) {
    if (error instanceof DivergedError) return finished(error.record, true);
    throw error;
  }
}
