// The loss and the metrics of a model on a data set.
import { aligned } from '../data/align.js';
import { type Dataset, dataset } from '../data/dataset.js';
import { autoencoding } from '../data/views.js';
import type { Engine } from '../engine/engine.js';
import { OptionError } from '../errors.js';
import { isUnnamed } from '../graph/inputs.js';
import { meaningOf } from '../model/meaning.js';
import { checkModel, type Model } from '../model/model.js';
import { checkKeys, described, isRecord, type OptionKeys } from '../options.js';
import {
  type EvaluatedModel as Evaluated,
  type EvaluationRequest,
  evaluateModel,
} from '../training/evaluation/evaluation.js';
import { withEngine } from './default-engine.js';
import { lossIn } from './readout.js';

export interface EvaluateOptions extends EvaluationRequest {
  /** The engine that computes; by default a new one, which is closed afterwards: see `train`. */
  readonly engine?: Engine;
}

const keys: OptionKeys<EvaluateOptions> = { loss: true, metrics: true, batchSize: true, engine: true };

/** What a model comes to on a set, and by which loss. */
export interface EvaluatedModel extends Evaluated {
  /** Number of examples. */
  readonly examples: number;
  /** Names of the classes, which are the rows and columns of tables; left out if they have none. */
  readonly classes?: readonly string[];
}

/**
 * Return the mean loss of a model on a data set, and metrics by their names: exact over the whole set for any batch size. The
 * model is evaluated as in use: without dropout, and normalized by running averages. Columns, labels and characters of the
 * data are those of the model by their names (`meaningOf`). The loss is by default the one that the model was trained with,
 * if its file says so. The result has the name of the loss, and `warnings` if labels of the data are left aside.
 * @param data one set: `test` of what `loadData` returns, or one of your own, made by `dataset`; or parts of one in an array
 *   or an (async) iterable, which are read one after another and need not fit memory together
 * @throws OptionError if the data do not fit the model, or a metric does not fit the data
 * @example
 * const { test } = await loadData('digits?train=200&test=50');
 * const model = mlp({ seed: 1 });
 * const { values } = await evaluate(model, test, { metrics: ['accuracy'] });
 * console.log(values.loss, values.accuracy);
 */
export async function evaluate(
  model: Model,
  data: Dataset | Iterable<Dataset> | AsyncIterable<Dataset>,
  options: EvaluateOptions = {},
): Promise<EvaluatedModel> {
  checkModel('evaluate', model);
  checkKeys('evaluate', options, keys);
  const { engine, loss: chosen, ...request } = options;
  const loss = chosen ?? lossIn(model);
  const known = meaningOf(model);
  let examples = 0;
  let classes = known.classes;
  const parts = fittedParts(model, data, (set) => {
    examples += set.size;
    classes ??= set.targets.dtype === 'int64' ? set.classes : undefined;
  });
  const result = await withEngine(engine, (own) =>
    evaluateModel(own, model, parts, { ...request, ...(loss && { loss }) }),
  );
  const warnings = chosen === undefined && known.hasOwnLossOptions ? [usualOptions(result.loss)] : [];
  return { ...result, warnings: [...warnings, ...result.warnings], examples, ...(classes && { classes }) };
}

const usualOptions = (loss: string): string =>
  `The model was trained with options of the loss ${loss} that its file does not hold; this is the loss with its usual options. Give the loss itself for the other.`;

/** The sets as the model takes them. @param seen is called with each */
async function* fittedParts(
  model: Model,
  data: Dataset | Iterable<Dataset> | AsyncIterable<Dataset>,
  seen: (set: Dataset) => void,
): AsyncGenerator<Dataset> {
  const known = meaningOf(model);
  const all: unknown = data;
  const isStream = isRecord(all) && (Symbol.asyncIterator in all || Symbol.iterator in all);
  for await (const part of isStream || Array.isArray(all) ? (data as AsyncIterable<Dataset>) : [data as Dataset]) {
    const given: unknown = part;
    if (!isRecord(given) || 'train' in given || 'test' in given) {
      throw new OptionError(
        `the data given to evaluate are ${described(given)}; give one set, such as \`test\` of what loadData returns`,
      );
    }
    const { name, size } = dataset(part);
    if (size === 0) throw new OptionError(`the data set '${name}' given to evaluate has no examples`);
    const result = aligned(known, part);
    if ('misfit' in result) throw new OptionError(result.misfit);
    const { inputs } = result.set;
    const reproduces = known.task === 'autoencoding' && isUnnamed(inputs) && inputs.dtype === 'float32';
    const set = reproduces ? autoencoding(result.set) : result.set;
    seen(set);
    yield set;
  }
}
