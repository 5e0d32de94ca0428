// Applies the fine-tuning edits in order: new head, adapters, selection.

import { checkedSeed, checkedTexts, checkKeys, type OptionKeys } from '../../options.js';
import { checkModel, type Model } from '../model.js';
import { headOf, replaceHead } from './head.js';
import { addLora } from './lora.js';
import { matching, type Selection, selectParameters } from './select.js';

export interface FineTuningOptions extends Selection {
  /** Classes of a new last layer. */
  readonly newHead?: number;
  /** Rank of low-rank adapters on the dense layers. A new head, and what `train` names, are trained in full beside them. */
  readonly lora?: number;
  /** Seeds new weights. */
  readonly seed: number;
}

const keys: OptionKeys<FineTuningOptions> = { train: true, freeze: true, newHead: true, lora: true, seed: true };

/**
 * Return the model with the edits that the options name. With adapters, `freeze` names weights that get none.
 * @throws OptionError for unknown options, for globs that match nothing, or if nothing is left to train; UnsupportedError
 *   as `replaceHead` and `addLora` do
 * @example
 * const model = fineTuned(await loadModel('encoder.onnx'), { newHead: 5, lora: 8, seed: 1 });
 */
export function fineTuned(model: Model, options: FineTuningOptions): Model {
  checkModel('fineTuned', model);
  const tuned = edited(model, options);
  return options.newHead === undefined ? tuned : { ...tuned, hasNewHead: true };
}

function edited(model: Model, options: FineTuningOptions): Model {
  checkKeys('fineTuned', options, keys);
  const train = checkedTexts('train', options.train);
  const freeze = checkedTexts('freeze', options.freeze) ?? [];
  const { newHead, lora } = options;
  const seed = checkedSeed(options.seed);
  const headed = newHead === undefined ? model : replaceHead(model, newHead, seed);
  if (lora === undefined) {
    return train || freeze.length > 0 ? selectParameters(headed, { ...(train && { train }), freeze }) : headed;
  }
  const full = matching(headed, train ?? []);
  if (newHead !== undefined) for (const name of headOf(headed)) full.add(name);
  const frozen = matching(headed, freeze, 'held fixed too');
  for (const name of frozen) full.delete(name);
  return addLora(headed, { rank: lora, train: [...full], except: [...full, ...frozen], seed });
}
