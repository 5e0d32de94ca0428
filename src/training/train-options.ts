// Checks of all options of `train` before anything is computed.
import { checkSplits } from '../data/dataset.js';
import { checkNormalizationOf } from '../data/normalization.js';
import type { Engine } from '../engine/engine.js';
import { OptionError } from '../errors.js';
import { firstNotFinite } from '../graph/tensor.js';
import { lossOf } from '../losses/index.js';
import { metricsOf } from '../metrics/index.js';
import { checkModel, type Model } from '../model/model.js';
import type { Optimizer } from '../optimizers/optimizer.js';
import {
  checkedCount,
  checkedFlag,
  checkedNumber,
  checkedSeed,
  checkKeys,
  described,
  isRecord,
  mostSteps,
  type OptionKeys,
} from '../options.js';
import { callbacksOf } from './callbacks.js';
import { checkMonitorOptions } from './monitor.js';
import type { RunOptions, TrainOptions } from './trainer.js';

const runKeys: OptionKeys<RunOptions> = {
  engine: true,
  optimizer: true,
  batchSize: true,
  steps: true,
  epochs: true,
  augment: true,
  seed: true,
  signal: true,
  maxTime: true,
  callbacks: true,
  monitor: true,
  earlyStopping: true,
  evaluateEvery: true,
  evaluationExamples: true,
  target: true,
  metrics: true,
};

export const trainKeys: OptionKeys<TrainOptions> = {
  ...runKeys,
  data: true,
  loss: true,
  normalize: true,
  validation: true,
};

/** @throws OptionError for options that `train` cannot use */
export function checkTrainOptions(model: Model, options: TrainOptions): void {
  checkModel('train', model);
  checkKeys('train', options, trainKeys);
  checkEngine(options.engine);
  checkSplits(options.data);
  if (options.loss !== undefined) lossOf(options.loss);
  checkNormalize(options);
  checkRunOptions(options);
}

function checkRunOptions(options: RunOptions): void {
  checkOptimizer(options.optimizer);
  const { batchSize, steps, epochs, seed, evaluateEvery, evaluationExamples } = options;
  if (batchSize !== undefined) checkedCount('batchSize', batchSize);
  if (steps !== undefined) checkedCount('steps', steps, mostSteps);
  if (epochs !== undefined) checkedNumber('epochs', epochs, { above: 0 });
  if (seed !== undefined) checkedSeed(seed);
  if (evaluateEvery !== undefined) checkedCount('evaluateEvery', evaluateEvery);
  if (evaluationExamples !== undefined) checkedCount('evaluationExamples', evaluationExamples);
  if (options.metrics !== undefined) metricsOf(options.metrics);
  checkTarget(options.target);
  checkSignal(options.signal);
  if (options.maxTime !== undefined) checkedNumber('maxTime', options.maxTime, { above: 0 });
  checkMonitorOptions(options);
  callbacksOf(options.callbacks);
}

/** @throws OptionError for anything but an engine */
function checkEngine(engine: Engine): void {
  const given: unknown = engine;
  if (isRecord(given) && typeof given.open === 'function' && typeof given.compile === 'function') return;
  throw new OptionError(
    `engine is ${described(given)}; give one, as by await nodeEngine(), or import train from 'cgfac/node', which makes its own`,
  );
}

function checkOptimizer(optimizer: Optimizer): void {
  const given: unknown = optimizer;
  if (isRecord(given) && typeof given.build === 'function' && typeof given.name === 'string') return;
  const name = typeof given === 'string' ? given : typeof given === 'function' ? given.name : '';
  const call = /^[a-z]+$/i.test(name) ? `call it: ${name}()` : 'give one, as cgfac() makes it';
  throw new OptionError(`optimizer is ${described(given)}; ${call}`);
}

function checkTarget(target: RunOptions['target']): void {
  if (target === undefined) return;
  checkKeys('target', target, { metric: true, value: true });
  if (typeof target.metric === 'string') return;
  throw new OptionError(`metric of target is ${described(target.metric)}; give a name such as 'accuracy'`);
}

/** Also accepts a signal of another realm or of a polyfill. */
function checkSignal(signal: AbortSignal | undefined): void {
  const given: unknown = signal;
  if (given === undefined || (isRecord(given) && typeof given.aborted === 'boolean')) return;
  const hint = isRecord(given) && isRecord(given.signal) ? 'give its .signal' : 'give the signal of an AbortController';
  throw new OptionError(`signal is ${described(given)}; ${hint}`);
}

function checkNormalize({ normalize, data }: TrainOptions): void {
  if (typeof normalize === 'object' && normalize !== null) checkNormalizationOf(data.train, normalize);
  else checkedFlag('normalize', normalize);
}

/**
 * Check that a model has parameters, and that they are finite.
 * @throws OptionError that names the model, or the parameter and its element
 */
export function checkParameters(model: Model): void {
  if (model.parameters.size === 0) {
    throw new OptionError(`model '${model.name}' has nothing to train: it has no parameters`);
  }
  for (const [name, { constant }] of [...model.parameters, ...model.statistics]) {
    const at = constant === undefined ? -1 : firstNotFinite(constant);
    if (constant === undefined || at < 0) continue;
    throw new OptionError(
      `'${name}' of model '${model.name}' holds ${Number(constant.data[at])} (element ${at} of ${constant.data.length}) before the first step: ` +
        'export the model again from weights that are finite',
    );
  }
}
