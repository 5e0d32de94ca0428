// Training for users: the trainer with data by name and a default engine.
import type { DataSplits } from '../data/dataset.js';
import { loadData } from '../data/spec.js';
import type { Engine } from '../engine/engine.js';
import { OptionError } from '../errors.js';
import { checkModel, type Model } from '../model/model.js';
import { checkKeys, type OptionKeys } from '../options.js';
import { trainKeys } from '../training/train-options.js';
import { type TrainOptions as TrainerOptions, type TrainingResult, train as trainOn } from '../training/trainer.js';
import type { CheckpointOptions, ResumeOptions } from './checkpointing.js';
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
  /**
   * Keep the state of the run in a folder of Node's file system, now and then, while it goes on. A checkpoint that cannot be written
   * is a warning, and the ones before it stay. None by default.
   */
  readonly checkpoint?: CheckpointOptions;
  /**
   * Go on from the newest whole checkpoint in a folder. With the same model, data, options, threads and version of cgfac the run
   * ends with the same bits as one that was never stopped; `steps` or `epochs` may be raised.
   */
  readonly resumeFrom?: string | ResumeOptions;
}

const keys: OptionKeys<TrainOptions> = { ...trainKeys, threads: true, checkpoint: true, resumeFrom: true };

/**
 * Train a model and return the trained one, which can be trained further; the given model does not change. For tables the
 * trained model standardizes its input, and the targets of a regression (see `normalize`); losses and metrics are still in
 * the units of the data.
 * @throws OptionError if options do not fit together or the data do not fit the model; FileError if data cannot be read, or there is
 *   no whole checkpoint; TrainingError if the loss stops being finite, which names the first tensor that did
 * @example
 * const options = { data: 'digits', optimizer: cgfac(), batchSize: 500, steps: 150 };
 * const { model, record } = await train(autoencoder({ seed: 1 }), options);
 * console.log(record.test.loss);
 * await saveModel(model, 'model.onnx');
 * @example
 * const options = { data: 'digits', optimizer: cgfac(), checkpoint: { dir: 'checkpoints', every: 20, keep: 2 } };
 * await train(mlp({ seed: 1 }), { ...options, steps: 50 });
 * const { record } = await train(mlp({ seed: 1 }), { ...options, steps: 80, resumeFrom: 'checkpoints' });
 * console.log(record.steps.length); // 80: the first ones are those of the run before
 */
export async function train(model: Model, options: TrainOptions): Promise<TrainingResult> {
  checkModel('train', model);
  checkKeys('train', options, keys);
  const { data: given, threads, engine: shared, checkpoint, resumeFrom, ...rest } = options;
  if (shared !== undefined && threads !== undefined)
    throw new OptionError('threads are those of the engine that is given: leave one out');
  const { seed } = rest;
  const modelInputs = model.graph.inputs.map(({ name }) => name);
  const data =
    typeof given === 'string' ? await loadData(given, { modelInputs, ...(seed !== undefined && { seed }) }) : given;
  const run = async (engine: Engine): Promise<TrainingResult> => {
    const all = { ...rest, data, engine };
    if (checkpoint === undefined && resumeFrom === undefined) return await trainOn(model, all);
    const { trainWithCheckpoints } = await import('./train-with-checkpoints.js');
    return await trainWithCheckpoints(model, all, { checkpoint, resumeFrom, threads });
  };
  if (shared !== undefined) return await run(shared);
  return await withEngine(undefined, run, { worker: true, ...(threads !== undefined && { threads }) });
}
