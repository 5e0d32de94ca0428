// Training for users: the trainer with data by name and a default engine.
import type { DataSplits } from '../data/dataset.js';
import { loadData } from '../data/spec.js';
import type { Engine } from '../engine/engine.js';
import { OptionError } from '../errors.js';
import { checkModel, type Model } from '../model/model.js';
import { checkKeys, type OptionKeys } from '../options.js';
import { trainKeys } from '../training/train-options.js';
import { type TrainOptions as TrainerOptions, type TrainingResult, train as trainOn } from '../training/trainer.js';
import { withEngine } from './default-engine.js';

export interface TrainOptions extends Omit<TrainerOptions, 'engine' | 'data'> {
  /** The data, or a specification for `loadData`: `digits`, `mnist:FOLDER`, … */
  readonly data: DataSplits | string;
  /**
   * The engine that computes; by default a new one, which is closed afterwards: `nodeEngine()` in Node,
   * `webEngine({ provider: 'wasm' })` elsewhere. Several trainings can share an engine: each has a separate store.
   */
  readonly engine?: Engine;
  /** Number of threads of the default engine; by default all cores. */
  readonly threads?: number;
}

const keys: OptionKeys<TrainOptions> = { ...trainKeys, threads: true };

/**
 * Train a model and return the trained one, which can be trained further; the given model does not change. For tables the
 * trained model standardizes its input, and the targets of a regression (see `normalize`); losses and metrics are still in
 * the units of the data.
 * @throws OptionError if options do not fit together or the data do not fit the model; FileError if data cannot be read;
 *   TrainingError if the loss stops being finite, which names the first tensor that did
 * @example
 * const options = { data: 'digits', optimizer: cgfac(), batchSize: 500, steps: 150 };
 * const { model, record } = await train(autoencoder({ seed: 1 }), options);
 * console.log(record.test.loss);
 * await saveModel(model, 'model.onnx');
 */
export async function train(model: Model, options: TrainOptions): Promise<TrainingResult> {
  checkModel('train', model);
  checkKeys('train', options, keys);
  const { data: given, threads, engine: shared, ...rest } = options;
  if (shared !== undefined && threads !== undefined)
    throw new OptionError('threads are those of the engine that is given: leave one out');
  const { seed } = rest;
  const modelInputs = model.graph.inputs.map(({ name }) => name);
  const data =
    typeof given === 'string' ? await loadData(given, { modelInputs, ...(seed !== undefined && { seed }) }) : given;
  if (shared !== undefined) return await trainOn(model, { ...rest, data, engine: shared });
  return await withEngine(undefined, (engine) => trainOn(model, { ...rest, data, engine }), {
    worker: true,
    ...(threads !== undefined && { threads }),
  });
}
