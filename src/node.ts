// `cgfac/node`: all of `cgfac` with the native engine, which needs the package onnxruntime-node; and reports.
import type { DataSplits } from './data/dataset.js';
import { loadData } from './data/spec.js';
import type { Engine } from './engine/engine.js';
import { nodeEngine } from './engine/node.js';
import { OptionError } from './errors.js';
import { checkModel, type Model } from './model/model.js';
import { checkKeys, type OptionKeys } from './options.js';
import { trainKeys } from './training/train-options.js';
import { type TrainingResult, type TrainOptions, train as trainOn } from './training/trainer.js';

export { EngineError } from './engine/host/host.js';
export { nodeEngine } from './engine/node.js';
export {
  describeRuntime,
  type ExecutionProvider,
  type NodeEngineOptions,
  type RuntimeDescription,
} from './engine/node-runtime.js';
export * from './index.js';
export { createProgress, type Progress, type ProgressOptions } from './reporting/progress.js';
export { renderReport } from './reporting/report/index.js';
export { renderMarkdownTable, renderTable } from './reporting/table.js';

export interface NodeTrainOptions extends Omit<TrainOptions, 'engine' | 'data'> {
  /** The data, or what `loadData` takes: `digits`, `mnist:FOLDER`, … */
  readonly data: DataSplits | string;
  /** Where to compute; by default a native engine of its own, which is closed again. */
  readonly engine?: Engine;
  /** Threads of that engine; by default all cores. */
  readonly threads?: number;
}

const keys: OptionKeys<NodeTrainOptions> = { ...trainKeys, threads: true };

/**
 * Trains a model on the native engine. The model itself is not changed: `saveModel` writes the one that is returned with
 * the new parameters.
 * @throws OptionError where options do not fit together or the data do not fit the model; FileError where data cannot
 *   be read; TrainingError where the loss stops being finite, naming the first tensor that did
 * @example
 * const options = { data: 'digits', optimizer: cgfac(), batchSize: 500, steps: 150 };
 * const { model, parameters } = await train(autoencoder({ seed: 1 }), options);
 * await saveModel(model, parameters, 'model.onnx');
 */
export async function train(model: Model, options: NodeTrainOptions): Promise<TrainingResult> {
  checkModel('train', model);
  checkKeys('train', options, keys);
  const { data: given, threads, engine: shared, ...rest } = options;
  if (shared && threads !== undefined)
    throw new OptionError('threads are those of the engine that is given: leave one out');
  const { seed } = rest;
  const modelInputs = model.graph.inputs.map(({ name }) => name);
  const data =
    typeof given === 'string' ? await loadData(given, { modelInputs, ...(seed !== undefined && { seed }) }) : given;
  const engine = shared ?? (await nodeEngine(threads === undefined ? {} : { threads }));
  try {
    return await trainOn(model, { ...rest, data, engine });
  } finally {
    if (!shared) await engine.close();
  }
}
