// `--unfreeze-after`: the parameters that --freeze, --train or --new-head leave out of the first epochs are trained after them.
import { OptionError } from '../errors.js';
import { type FineTuningOptions, fineTuned } from '../model/edit/fine-tuning.js';
import { headOf } from '../model/edit/head.js';
import type { Model } from '../model/model.js';
import type { UnfreezingOptions } from '../optimizers/unfreezing.js';

/** A model with the names of the parameters that wait. */
export interface WaitingModel {
  readonly model: Model;
  readonly waiting: ReadonlySet<string>;
}

/**
 * Return a model with the edits of fine-tuning, whose parameters can all be trained.
 * @throws OptionError if none of them waits, and for adapters, which are trained instead of what they are on
 */
export function unfrozenLater(given: Model, { train, freeze, newHead, lora, seed }: FineTuningOptions): WaitingModel {
  if (lora !== undefined) {
    throw new OptionError('--unfreeze-after has no effect with --lora: adapters are trained instead of the weights');
  }
  const head = newHead !== undefined && { newHead };
  const model = fineTuned(given, { ...head, seed });
  const selects = train !== undefined || freeze !== undefined;
  if (!selects && newHead === undefined) {
    throw new OptionError('--unfreeze-after needs what waits: give --freeze, --train or --new-head');
  }
  const first = selects
    ? fineTuned(given, { ...head, seed, ...(train && { train }), ...(freeze && { freeze }) }).parameters
    : new Set(headOf(model));
  return { model, waiting: new Set([...model.parameters.keys()].filter((name) => !first.has(name))) };
}

/**
 * Return the options of the optimizer.
 * @param steps of the epochs in which parameters wait
 * @param total steps of the run
 * @throws OptionError if the run ends before they are unfrozen
 */
export function unfreezingOf(waiting: ReadonlySet<string>, steps: number, total: number): UnfreezingOptions {
  if (steps >= total) {
    throw new OptionError(
      `--unfreeze-after is ${steps} steps, and the run has ${total}: give fewer epochs, or leave it out`,
    );
  }
  return { frozen: ({ name }) => waiting.has(name), steps };
}
