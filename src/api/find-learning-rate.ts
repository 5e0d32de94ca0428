// The learning-rate finder for users: with data by name and a default engine.
import type { DataSplits } from '../data/dataset.js';
import { loadData } from '../data/spec.js';
import type { Engine } from '../engine/engine.js';
import { OptionError } from '../errors.js';
import { checkModel, type Model } from '../model/model.js';
import type { Optimizer } from '../optimizers/optimizer.js';
import { checkKeys, type OptionKeys } from '../options.js';
import { type RateSearch, type RateSweep, searchRate } from '../training/rate-search.js';
import { type StandardizationOptions, standardizedTask } from '../training/task/standardization.js';
import { checkTrainOptions } from '../training/train-options.js';
import { withEngine } from './default-engine.js';

export interface FindLearningRateOptions extends RateSweep, StandardizationOptions {
  /** The data, or a specification for `loadData`: `digits`, `mnist:FOLDER`, … */
  readonly data: DataSplits | string;
  /** An optimizer with a learning rate, which is replaced during the search. */
  readonly optimizer: Optimizer;
  /** Examples of each step; 128 by default, or all of a smaller training set: that of the run for which the rate is. */
  readonly batchSize?: number;
  /** Seed of the order of the examples and of the random numbers of the optimizer; 0 by default. */
  readonly seed?: number;
  /** The engine that computes; by default a new one, which is closed afterwards. */
  readonly engine?: Engine;
  /** Number of threads of the default engine; by default all cores. */
  readonly threads?: number;
}

const keys: OptionKeys<FindLearningRateOptions> = {
  ...{ data: true, optimizer: true, batchSize: true, seed: true, engine: true, threads: true },
  ...{ from: true, to: true, steps: true, loss: true, normalize: true },
};

/**
 * Find a learning rate: take about a hundred steps with rates that grow from 10⁻⁷ to 10, and look where the loss falls most
 * steeply. The given model does not change.
 * @throws OptionError for unknown options and numbers out of range, and for an optimizer without a learning rate
 * @example
 * const { suggestion, points } = await findLearningRate(mlp({ seed: 1 }), { data: 'digits', optimizer: adam() });
 * console.log(suggestion, points.length);
 */
export async function findLearningRate(model: Model, options: FindLearningRateOptions): Promise<RateSearch> {
  checkModel('findLearningRate', model);
  checkKeys('findLearningRate', options, keys);
  const { data: given, threads, engine: shared, from, to, steps, loss, normalize, ...rest } = options;
  if (shared !== undefined && threads !== undefined) {
    throw new OptionError('threads are those of the engine that is given: leave one out');
  }
  const { seed } = rest;
  const modelInputs = model.graph.inputs.map(({ name }) => name);
  const data =
    typeof given === 'string' ? await loadData(given, { modelInputs, ...(seed !== undefined && { seed }) }) : given;
  const sweep = {
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(steps !== undefined && { steps }),
  };
  const standard = { ...(loss !== undefined && { loss }), ...(normalize !== undefined && { normalize }) };
  return await withEngine(
    shared,
    async (engine) => {
      checkTrainOptions(model, { ...rest, ...standard, data, engine });
      const { model: fitted, task } = standardizedTask(model, data, standard);
      return await searchRate(fitted, task, { ...rest, engine }, sweep);
    },
    { worker: true, ...(threads !== undefined && { threads }) },
  );
}
