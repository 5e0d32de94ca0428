// The record of a run: training writes it, and every report reads it.
import type { StopReason } from './callbacks.js';

/** Named numbers at one logged step: what `metrics.jsonl` holds, one object a line. */
export interface StepRecord {
  /** Number of the step, counted from 1. */
  readonly step: number;
  /** Passes over the training set so far, fractional. */
  readonly epoch: number;
  /** Mean training loss of the batch of this step. */
  readonly loss: number;
  /** Metrics of the batch, of the whole training set or of the test set, e.g. `{ squaredError: 5.4, testSquaredError: 5.9 }`. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Seconds of training since the start, evaluation and reporting excluded. */
  readonly seconds: number;
  /**
   * The optimizer's reports: `damping`, `learningRate`, `momentum`, `iterations` (of CG), `residual`, …, without those that
   * were not measured at this step. `accepted` is 1, or 0 at a step that was taken back; it is left out for optimizers that
   * take no step back. Numbers of single layers have names such as `cosine[fc1.weight]`.
   */
  readonly optimizer: Readonly<Record<string, number>>;
}

/** Return whether sets were evaluated after the step. */
export const isEvaluated = ({ metrics }: Pick<StepRecord, 'metrics'>): boolean =>
  Object.keys(metrics).some((name) => /^(train|validation|test)[A-Z]/.test(name));

/** One grey or colour picture: `height × width × channels` values in [0, 1], row by row, the channels of a pixel side by side (RGBRGB…). */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly pixels: Float32Array;
}

/**
 * Loss and metrics over a whole data set (of overlapping windows of text: over up to 2,000 that do not overlap), e.g.
 * `{ loss: 0.08, squaredError: 5.4 }`.
 */
export type Evaluation = Readonly<Record<string, number>> & { readonly loss: number };

/** One optimizer's training run. */
export interface RunRecord {
  /** The optimizer's name, unique in a comparison: `cgfac`, `kfac`, `adam`, … */
  readonly name: string;
  /**
   * The steps' records: all of up to 10,000; of more, each second, fourth, … one, the first, the last, and those of evaluations.
   * `metrics.jsonl` has all.
   */
  readonly steps: readonly StepRecord[];
  /** Number of steps that were taken back; only for optimizers that take steps back. */
  readonly rejected?: number;
  readonly seconds: number;
  /** Why the run ended; left out if it took all its steps. */
  readonly stopped?: StopReason;
  /** The step whose parameters were kept, and the value that chose it: only if a value is monitored. */
  readonly best?: { readonly step: number; readonly metric: string; readonly value: number };
  /** Planned number of steps; the run was stopped or diverged if `steps` has fewer. */
  readonly planned?: number;
  readonly train: Evaluation;
  /** Evaluation before training, on the training set; only if the final loss is not clearly below that of the first batch. */
  readonly start?: Evaluation;
  /** Whether the run did not lower the loss on the training set, so that the model is as before training. */
  readonly takenBack?: true;
  readonly test: Evaluation;
  /** Evaluation on the validation set, if there is one. */
  readonly validation?: Evaluation;
  /** Examples of each step: the requested number, or all of a smaller training set. */
  readonly batchSize: number;
  /** Bytes of optimizer state (parameters and gradients excluded). */
  readonly stateBytes: number;
  readonly stepMilliseconds: { readonly median: number; readonly p10: number; readonly p90: number };
  /**
   * The main metric, and whether lower is better: the same in all runs of an experiment. `train`, `test` and the steps'
   * `metrics` hold it by `name`; the steps hold its test values as `testName`, e.g. `testSquaredError`.
   */
  readonly metric: { readonly name: string; readonly lowerIsBetter: boolean };
  /** Further metrics, in the requested order; `train`, `test` and the steps hold them as `metric`. */
  readonly otherMetrics?: readonly RunRecord['metric'][];
  /**
   * Examples of each set in evaluations during the run (the steps' `trainLoss`, `testLoss`, …), if they are fewer than those
   * in `train` and `test`.
   */
  readonly sampled?: { readonly train?: number; readonly test?: number; readonly validation?: number };
  /** Steps and seconds to the experiment's target on the whole set, if there is a target; null if it was not reached. */
  readonly toTarget?: { readonly steps: number; readonly seconds: number } | null;
  /** Autoencoders: inputs and their reconstructions, in pairs. */
  readonly reconstructions?: readonly { readonly input: Picture; readonly output: Picture }[];
  /** Classifiers: counts by true class (row) and predicted class (column), and pictures with a wrong prediction. */
  readonly confusion?: {
    readonly classes: readonly string[];
    readonly counts: readonly (readonly number[])[];
    readonly mistakes: readonly { readonly picture: Picture; readonly actual: string; readonly predicted: string }[];
  };
}

/** A section of a report: runs that trained the same model on the same data from the same start. */
export interface Experiment {
  readonly model: string;
  readonly data: string;
  readonly parameters: number;
  readonly batchSize: number;
  /** The normalizations inside the model, e.g. `inputs (mean 3, deviation 2)`; all numbers are in the units of the data. */
  readonly standardized?: readonly string[];
  /** The target of the runs: a value of a metric by its name in the steps' `metrics`. */
  readonly target?: { readonly metric: string; readonly value: number };
  readonly runs: readonly RunRecord[];
}

/** Everything a report shows. */
export interface ReportData {
  readonly title: string;
  /** The exact command line that produced it. */
  readonly command: string;
  /** cgfac's and onnxruntime's versions, Node's, threads, processor. */
  readonly environment: Readonly<Record<string, string>>;
  readonly experiments: readonly Experiment[];
}
