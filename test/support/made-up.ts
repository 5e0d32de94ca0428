// Runs made up for the tests of the reports: smooth curves whose answers can be worked out by hand.

import type { Experiment, ReportData, RunRecord, StepRecord } from '../../src/training/run-record.js';

/** A run of `count` steps whose loss at step s is `loss(s)`, each step taking `secondsPerStep`. */
export function madeUpRun(
  name: string,
  loss: (step: number) => number,
  options: { count?: number; secondsPerStep?: number } & Partial<RunRecord> = {},
): RunRecord {
  const { count = 50, secondsPerStep = 0.1, ...rest } = options;
  const steps = Array.from({ length: count }, (_, index) => {
    const value = loss(index + 1);
    return {
      step: index + 1,
      epoch: (index + 1) / 10,
      loss: value,
      metrics: { squaredError: 100 * value },
      seconds: (index + 1) * secondsPerStep,
      optimizer: { learningRate: 0.1, damping: 1 / (index + 1) },
    };
  });
  const final = loss(count);
  const accepted = (rest.steps ?? steps).flatMap(({ optimizer }: StepRecord) => optimizer.accepted ?? []);
  return {
    name,
    steps,
    ...(accepted.length > 0 && { rejected: accepted.filter((each) => each === 0).length }),
    seconds: count * secondsPerStep,
    train: { loss: final, squaredError: 100 * final },
    test: { loss: 1.1 * final, squaredError: 110 * final },
    batchSize: 64,
    stateBytes: 2048,
    stepMilliseconds: { median: 1000 * secondsPerStep, p10: 900 * secondsPerStep, p90: 1200 * secondsPerStep },
    metric: { name: 'squaredError', lowerIsBetter: true },
    ...rest,
  };
}

/** An experiment of these runs. */
export function madeUpExperiment(runs: readonly RunRecord[], rest: Partial<Experiment> = {}): Experiment {
  return { model: 'autoencoder', data: 'digits', parameters: 12345, batchSize: 64, runs, ...rest };
}

/** A report of these experiments. */
export function madeUpReport(experiments: readonly Experiment[], rest: Partial<ReportData> = {}): ReportData {
  return {
    title: 'A comparison',
    command: 'cgfac compare --steps 50',
    environment: { node: 'v20' },
    experiments,
    ...rest,
  };
}
