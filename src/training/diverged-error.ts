// The error of a run whose loss stopped being finite, with what is left of it.
import { TrainingError } from '../errors.js';
import type { TensorData } from '../graph/tensor.js';
import type { Model } from '../model/model.js';
import type { RunRecord } from './run-record.js';

/** The results of a run that diverged. */
export interface Remains {
  readonly record: RunRecord;
  /** The model with these parameters, e.g. for `saveModel`. */
  readonly model: Model;
  /** The last parameters with a finite loss, or their average if iterates are averaged, and running averages. */
  readonly parameters: ReadonlyMap<string, TensorData>;
}

/** Thrown if training stops because the loss is no longer finite; it has the results until then. */
export class DivergedError extends TrainingError implements Remains {
  readonly record: RunRecord;
  readonly model: Model;
  readonly parameters: ReadonlyMap<string, TensorData>;

  constructor(cause: TrainingError, { record, model, parameters }: Remains) {
    super(cause.message, { cause });
    this.record = record;
    this.model = model;
    this.parameters = parameters;
  }
}
