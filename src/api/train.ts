// Training for users: the trainer, with data by name and an engine of its own where none is given.
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
  /** The data, or what `loadData` takes: `digits`, `mnist:FOLDER`, … */
  readonly data: DataSplits | string;
  /**
   * Where to compute; by default an engine of its own, which is closed again: `nodeEngine()` in Node,
   * `webEngine({ provider: 'wasm' })` elsewhere. Several trainings may share an engine: each has a store of its own.
   */
  readonly engine?: Engine;
  /** Threads of an engine of its own; by default all cores. */
  readonly threads?: number;
}

const keys: OptionKeys<TrainOptions> = { ...trainKeys, threads: true };

/**
 * Train a model. The model given is not changed: the trained one is returned. Training it again goes on.
 * For tables that is a model which standardizes its input, and the targets of a regression (see `normalize`); losses
 * and metrics are in the units of the data all the same.
 * @throws OptionError if options do not fit together or the data do not fit the model; FileError if data cannot
 *   be read; TrainingError if the loss stops being finite, naming the first tensor that did
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
