// Callbacks: what a program may do at each event of a run. Several can be given; each gets every event, in order, and is awaited.

import { OptionError } from '../errors.js';
import type { TensorData } from '../graph/tensor.js';
import { checkKeys, described, isRecord, type OptionKeys } from '../options.js';
import type { StepRecord } from './run-record.js';

/** Why a run ended: all its steps are done, its signal, its time, no more progress, a callback, or an error. */
export type StopReason = 'finished' | 'interrupted' | 'time' | 'early stopping' | 'callback' | 'error';

/** A run, as its callbacks see it. */
export interface RunControl {
  /** Number of steps taken. */
  readonly step: number;
  /** Number of steps planned. */
  readonly steps: number;
  /** End the run after this step. */
  stop(): void;
  /**
   * Return the parameters that would be kept now (averages, if the run keeps them) and the running averages of batch
   * normalization, by name: copies. They cost a read of the engine's store.
   */
  parameters(): Promise<ReadonlyMap<string, TensorData>>;
}

/** The start of a run. */
export interface StartEvent {
  /** Number of steps planned. */
  readonly steps: number;
  /** Number of steps in one pass over the training set. */
  readonly stepsPerEpoch: number;
  /** Number of steps that were taken already: 0, or that of the checkpoint that the run resumes. */
  readonly resumedAt: number;
}

/** The end of a pass over the training set. */
export interface EpochEvent {
  /** Number of passes so far. */
  readonly epoch: number;
  readonly step: number;
}

/** An evaluation during a run. */
export interface EvaluationEvent {
  readonly step: number;
  readonly epoch: number;
  /** As in the step's record: `trainLoss`, `testLoss`, `testAccuracy`, `validationLoss`, … */
  readonly values: Readonly<Record<string, number>>;
}

/** A checkpoint that was written. */
export interface CheckpointEvent {
  /** Number of steps that it holds. */
  readonly step: number;
  readonly path: string;
}

/** The end of a run. */
export interface StopEvent {
  readonly step: number;
  readonly reason: StopReason;
}

/**
 * Functions to call at events of a run, each optional and awaited. If one throws, the run ends after a last checkpoint (if it
 * writes any) and throws the error.
 * @example
 * const losses: number[] = [];
 * const callbacks: Callbacks = {
 *   onStep({ step, loss }, run) {
 *     losses.push(loss);
 *     if (loss < 0.01) run.stop();
 *   },
 *   onEvaluation: ({ step, values }) => console.log(step, values.testLoss),
 * };
 * await train(mlp({ seed: 1 }), { data: 'digits', optimizer: cgfac(), steps: 20, callbacks });
 */
export interface Callbacks {
  onStart?(event: StartEvent, run: RunControl): void | Promise<void>;
  /** After each step, with what `metrics.jsonl` holds of it. */
  onStep?(record: StepRecord, run: RunControl): void | Promise<void>;
  onEpoch?(event: EpochEvent, run: RunControl): void | Promise<void>;
  onEvaluation?(event: EvaluationEvent, run: RunControl): void | Promise<void>;
  onCheckpoint?(event: CheckpointEvent, run: RunControl): void | Promise<void>;
  /** After the last step, however the run ended, before its final evaluations. */
  onStop?(event: StopEvent, run: RunControl): void | Promise<void>;
  /** For an error that ends the run, before `onStop`. */
  onError?(error: unknown, run: RunControl): void | Promise<void>;
}

const callbackKeys: OptionKeys<Callbacks> = {
  onStart: true,
  onStep: true,
  onEpoch: true,
  onEvaluation: true,
  onCheckpoint: true,
  onStop: true,
  onError: true,
};

/**
 * Return callbacks as a list.
 * @throws OptionError for anything but objects of functions under the names of events
 */
export function callbacksOf(given: Callbacks | readonly Callbacks[] | undefined): readonly Callbacks[] {
  if (given === undefined) return [];
  const list: readonly Callbacks[] = Array.isArray(given) ? given : [given as Callbacks];
  for (const callbacks of list) {
    const found: unknown = callbacks;
    if (!isRecord(found)) {
      throw new OptionError(
        `callbacks are ${described(found)}; give an object such as { onStep({ step, loss }) { console.log(step, loss); } }, or a list of them`,
      );
    }
    // A callback may be an object of a class: its methods are not its own keys.
    if (Object.getPrototypeOf(found) === Object.prototype) checkKeys('callbacks', callbacks, callbackKeys);
    for (const name of Object.keys(callbackKeys)) {
      const callback: unknown = found[name];
      if (callback === undefined || typeof callback === 'function') continue;
      throw new OptionError(`${name} is ${described(callback)}; it must be a function`);
    }
  }
  return list;
}
