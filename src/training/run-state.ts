// All that a run remembers from step to step, as data: a checkpoint is this, and a run that is given one goes on with the same bits.
import { OptionError } from '../errors.js';
import type { Json } from '../exact-json.js';
import type { TensorData } from '../graph/tensor.js';

export type { Json };

/**
 * What a run remembers beside its model, its data and its options. Random numbers need no state: each is a function of the seed,
 * the step and its position.
 */
export interface RunState {
  /** Number of steps taken. */
  readonly step: number;
  /** The numbers of the run's parts, by their names. */
  readonly numbers: Readonly<Record<string, Json>>;
  /** The engine's store: parameters, running averages, averages of iterates, the optimizer's states, the best parameters. */
  readonly tensors: Readonly<Record<string, TensorData>>;
}

/** A part of a run that remembers something beside tensors of the store. */
export interface Remembered {
  /** Unique among the parts of a run. */
  readonly name: string;
  /** Return what has changed since the start: values that do not change later. */
  snapshot(): Json;
  /** Go on from a snapshot. */
  restore(snapshot: Json): void;
}

/** Writes checkpoints of a run. */
export interface Checkpointing {
  /** Whether the state before the next step is to be kept. */
  due(at: { readonly step: number; readonly epoch: number; readonly seconds: number }): boolean;
  /**
   * Keep a state; called again only after it is done, while the run goes on.
   * @returns where it is; undefined if it could not be kept and the run is to go on all the same
   */
  save(state: RunState): Promise<{ readonly path: string } | undefined>;
}

/** The error for a state that does not fit a run. @param difference a sentence about the state, `its part 'x' is missing` */
export const ofAnotherRun = (difference: string): OptionError =>
  new OptionError(`the state to resume from is of another run: ${difference}`);
