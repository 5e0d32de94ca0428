// The loss and the metrics of a model on a data set.
import { type Dataset, dataset } from '../data/dataset.js';
import type { Engine } from '../engine/engine.js';
import { OptionError } from '../errors.js';
import { checkModel, type Model } from '../model/model.js';
import { checkKeys, described, isRecord, type OptionKeys } from '../options.js';
import { type EvaluatedModel, type EvaluationRequest, evaluateModel } from '../training/evaluation/evaluation.js';
import { withEngine } from './default-engine.js';

export interface EvaluateOptions extends EvaluationRequest {
  /** The engine that computes; by default a new one, which is closed afterwards: see `train`. */
  readonly engine?: Engine;
}

const keys: OptionKeys<EvaluateOptions> = { loss: true, metrics: true, batchSize: true, engine: true };

/**
 * Return the mean loss of a model on a data set, and metrics by their names: exact over the whole set for any batch size. The
 * model is evaluated as in use: without dropout, and normalized by running averages.
 * The file of a model does not hold the loss that it was trained with: give it as `loss`. The result has the name of the
 * loss, and `warnings` if labels of the data are left aside.
 * @param data one set: `test` of what `loadData` returns, or one of your own, made by `dataset`
 * @throws OptionError if the data do not fit the model, or a metric does not fit the data
 * @example
 * const { test } = await loadData('digits?train=200&test=50');
 * const model = mlp({ seed: 1 });
 * const { values } = await evaluate(model, test, { metrics: ['accuracy'] });
 * console.log(values.loss, values.accuracy);
 */
export async function evaluate(model: Model, data: Dataset, options: EvaluateOptions = {}): Promise<EvaluatedModel> {
  checkModel('evaluate', model);
  checkKeys('evaluate', options, keys);
  const given: unknown = data;
  if (!isRecord(given) || 'train' in given || 'test' in given) {
    throw new OptionError(
      `the data given to evaluate are ${described(given)}; give one set, such as \`test\` of what loadData returns`,
    );
  }
  const { name, size } = dataset(data);
  if (size === 0) throw new OptionError(`the data set '${name}' given to evaluate has no examples`);
  const { engine, ...request } = options;
  return await withEngine(engine, (own) => evaluateModel(own, model, data, request));
}
