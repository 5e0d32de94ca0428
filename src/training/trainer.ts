// Trains a model: fits the data to it, compiles and runs the step, and evaluates the result.
import { type Augmentation, augmentedBatches } from '../data/augment.js';
import { type BatchSequence, trainingBatches } from '../data/batches.js';
import type { DataSplits, Dataset } from '../data/dataset.js';
import type { Engine } from '../engine/engine.js';
import { OptionError, TrainingError } from '../errors.js';
import { isUnnamed, mapInputs } from '../graph/inputs.js';
import type { TensorData } from '../graph/tensor.js';
import { type MetricWord, metricsOf } from '../metrics/index.js';
import type { Metric } from '../metrics/metric.js';
import type { Model } from '../model/model.js';
import type { Optimizer, Setting } from '../optimizers/optimizer.js';
import { checkedNumber, mostSteps } from '../options.js';
import { ModelEvaluator } from './evaluation/evaluation.js';
import { evaluatedExamples } from './evaluation/examples.js';
import { picturesOf } from './evaluation/pictures.js';
import { type EvaluationOptions, EvaluationSchedule } from './evaluation/schedule.js';
import { IterateAverage } from './iterate-average.js';
import { settle } from './outcome.js';
import { DivergedError, Run } from './run.js';
import type { RunRecord, StepRecord } from './run-record.js';
import { acceptedKey, buildStep, parameterKey, type StepProgram, statisticKey } from './step-program.js';
import { mixedTargets } from './task/mixed-targets.js';
import { type StandardizationOptions, standardizedTask } from './task/standardization.js';
import type { LearningTask } from './task/task.js';
import { checkParameters, checkTrainOptions } from './train-options.js';
import { warningsOf } from './warnings.js';

export interface RunOptions extends EvaluationOptions {
  /** The engine that computes. Several trainings can share it: each has a separate store. */
  readonly engine: Engine;
  readonly optimizer: Optimizer;
  /** Examples of each step; 128 by default, or all of a smaller training set. */
  readonly batchSize?: number;
  /** Number of optimizer steps. Give either `steps` or `epochs`. */
  readonly steps?: number;
  /** Number of passes over the training set, which may be fractional. */
  readonly epochs?: number;
  /** Flips and crops the pictures of training batches, but not those that are evaluated; none by default. */
  readonly augment?: Augmentation;
  /** Seed of the order of the examples, of their augmentation and of the random numbers of the optimizer; 0 by default. */
  readonly seed?: number;
  /** Ends training after the current step; the model trained until then is returned. */
  readonly signal?: AbortSignal;
  /**
   * The metrics of evaluations of both sets: objects, or their names. The first one is the main metric, which is also measured
   * on each batch if that is possible; by default the metric of the loss.
   */
  readonly metrics?: readonly (Metric | MetricWord)[];
  /** Called after each step, and awaited. */
  readonly onStep?: (record: StepRecord) => void | Promise<void>;
}

export interface TrainOptions extends RunOptions, StandardizationOptions {
  readonly data: DataSplits;
}

export interface TrainingResult {
  /** The trained model: `saveModel`, `predict` and `train` take it. */
  readonly model: Model;
  /** Its parameters and the running averages of batch normalization, by name. */
  readonly parameters: ReadonlyMap<string, TensorData>;
  readonly record: RunRecord;
  /** Whether the signal ended it before its last step. */
  readonly interrupted: boolean;
  /** Sentences that a user should read about the data and the run. */
  readonly warnings: readonly string[];
}

/**
 * Train a model and return the trained one; the given model does not change. For tables the trained model standardizes its
 * input, and the targets of a regression (see `normalize`); losses and metrics are still in the units of the data.
 * @throws OptionError if options do not fit together or the data do not fit the model
 * @throws TrainingError if the loss stops being finite; it names the first tensor that did
 */
export async function train(given: Model, options: TrainOptions): Promise<TrainingResult> {
  checkTrainOptions(given, options);
  const { model, task, warnings } = standardizedTask(given, options.data, options);
  const result = await runTask(model, task, options);
  return { ...result, warnings: [...warnings, ...result.warnings] };
}

/**
 * Return the number of steps of a run.
 * @throws OptionError unless exactly one of steps and epochs is given
 */
export function plannedSteps(task: LearningTask, options: Omit<RunOptions, 'engine' | 'optimizer'>): number {
  return stepsOf(options, batchesFor(task, options).stepsPerEpoch);
}

function batchesFor(
  task: LearningTask,
  { batchSize = 128, seed = 0, augment }: Pick<RunOptions, 'batchSize' | 'seed' | 'augment'>,
): BatchSequence {
  const { train } = task.data;
  const batches = trainingBatches(train, { batchSize, seed });
  return augment ? augmentedBatches(batches, train, augment, seed, () => mixedTargets(task)) : batches;
}

function stepsOf({ steps, epochs }: Pick<RunOptions, 'steps' | 'epochs'>, stepsPerEpoch: number): number {
  if ((steps === undefined) === (epochs === undefined)) throw new OptionError('give either steps or epochs');
  if (steps !== undefined) return checkedNumber('steps', steps, { atLeast: 1, atMost: mostSteps, integer: true });
  const most = Math.floor(mostSteps / stepsPerEpoch);
  return Math.ceil(checkedNumber('epochs', epochs ?? 1, { above: 0, atMost: most }) * stepsPerEpoch);
}

/**
 * Train a model on a known task.
 * @throws OptionError if options do not fit together
 * @throws TrainingError if the loss stops being finite; it names the first tensor that did
 */
export async function runTask(model: Model, task: LearningTask, options: RunOptions): Promise<TrainingResult> {
  checkParameters(model);
  const { optimizer, signal, onStep, seed = 0 } = options;
  const { data } = task;
  const batches = batchesFor(task, options);
  const total = stepsOf(options, batches.stepsPerEpoch);
  const { loss } = task;
  const metrics = runMetrics(task, options);
  const { inputs, target, weights } = batches.at(0);
  const setting = settingOf(model, task, target.dims[0] ?? 1);
  const step = buildStep({
    model,
    loss,
    metric: metrics[0] ?? loss.metric,
    optimizer,
    setting,
    inputs: mapInputs(inputs, ({ dtype, dims }) => ({ dtype, shape: dims })),
    targets: { dtype: target.dtype, shape: target.dims },
    weights: weights && { dtype: weights.dtype, shape: weights.dims },
  });
  const { iterateAveraging } = optimizer;
  // A separate store: models may have parameters of equal names.
  const engine = options.engine.open();
  try {
    const averaged = new Map([...model.parameters].filter(([name]) => !step.evaluated.has(name)));
    const averages =
      iterateAveraging === undefined || averaged.size === 0
        ? undefined
        : await IterateAverage.of(engine, averaged, iterateAveraging);
    const keys = new Map([...step.parameters, ...(averages?.keys ?? []), ...step.evaluated, ...step.statistics]);
    const evaluated = new Set(keys.values());
    const evaluator = new ModelEvaluator(engine, model, loss, metrics, keys);
    evaluator.check(data.train);
    const schedule = new EvaluationSchedule(evaluator, metrics, data, total, options);
    const program = await engine.compile(step.graph, { updates: step.updates, accept: acceptedKey, undoable: true });
    const initial = initialTensors(model, step, keys);
    await engine.write({ ...step.initialState, ...initial });
    const run = new Run({
      engine,
      step,
      program,
      averages,
      optimizer,
      setting,
      metrics,
      schedule,
      batches,
      total,
      seed,
      signal,
      onStep,
    });
    const trained = async () => {
      const stored = await engine.read([...keys.values()]);
      return new Map([...keys].flatMap(([name, key]) => (stored[key] ? [[name, stored[key]] as const] : [])));
    };
    const diverged = async (cause: TrainingError) => {
      const record = run.record({ loss: Number.NaN }, { loss: Number.NaN });
      const parameters = await trained();
      return new DivergedError(cause, { record, model: model.with(parameters), parameters });
    };
    try {
      await run.go();
    } catch (error) {
      throw error instanceof TrainingError ? await diverged(error) : error;
    }
    const whole = (set: Dataset) => evaluator.evaluate(set, evaluatedExamples(set));
    const outcome = await settle({
      engine,
      evaluate: () => whole(data.train),
      begun: Object.fromEntries(Object.entries(initial).filter(([key]) => evaluated.has(key))),
      last: async () =>
        averages || step.evaluated.size > 0
          ? renamed(await engine.read([...step.parameters.values()]), step.parameters, keys)
          : undefined,
      ...(data.train.size > quickSet && { firstBatch: { loss: run.firstLoss, size: batches.batchSize } }),
      mayTakeBack: run.recovers,
    });
    const parameters = await trained();
    const [onTrain, onTest] = [outcome.train, await whole(data.test)];
    if (!Number.isFinite(onTrain.loss)) {
      // If the start was evaluated as well, no parameters have a finite loss.
      if (!outcome.start) await run.takeBack();
      throw await diverged(
        new TrainingError(
          `the loss on the training set is ${onTrain.loss} after the last step. ${optimizer.remedy?.(setting) ?? 'Take shorter steps'}`,
        ),
      );
    }
    const record = {
      ...run.record(onTrain, onTest),
      ...(outcome.start && { start: outcome.start }),
      ...(outcome.takenBack && { takenBack: true as const }),
      ...(await picturesOf(evaluator, task)),
    };
    const warnings = [
      ...(optimizer.warnings?.(setting) ?? []),
      ...warningsOf(record, optimizer.remedy?.(setting)),
      ...step.steering.flatMap((steering) => steering.warning?.() ?? []),
    ];
    return { model: model.with(parameters), parameters, record, interrupted: run.done < total, warnings };
  } finally {
    await engine.close();
  }
}

/** Return the metrics of a run: the given ones, or that of the loss. */
export const runMetrics = ({ loss }: LearningTask, { metrics }: Pick<RunOptions, 'metrics'>): readonly Metric[] =>
  metrics ? metricsOf(metrics) : [loss.metric];

/** Size up to which a set is quick to evaluate. */
const quickSet = 10_000;

/** Tensors of the store under the keys of another map for the same names. */
function renamed(
  stored: Readonly<Record<string, TensorData>>,
  from: ReadonlyMap<string, string>,
  to: ReadonlyMap<string, string>,
): Record<string, TensorData> {
  const pairs = [...from].map(([name, key]) => [to.get(name) ?? key, stored[key]] as const);
  return Object.fromEntries(pairs.filter((pair): pair is [string, TensorData] => pair[1] !== undefined));
}

/** Return the setting of a task for the optimizer. */
export function settingOf(model: Model, { loss, data: { train } }: LearningTask, batchSize: number): Setting {
  const { inputs, picture } = train;
  const isTable = !picture && isUnnamed(inputs) && inputs.dtype === 'float32' && inputs.shape.length === 1;
  return { loss, examples: train.size, batchSize, isTable, isPretrained: model.isPretrained };
}

/** @param keys of the parameters that are evaluated: an average begins at the initial parameters */
function initialTensors(
  model: Model,
  step: StepProgram,
  keys: ReadonlyMap<string, string>,
): Record<string, TensorData> {
  const initial: Record<string, TensorData> = {};
  const take = (names: Iterable<string>, tensors: Model['parameters'], key: (name: string) => string) => {
    for (const name of names) {
      const elements = tensors.get(name)?.constant;
      if (!elements) throw new OptionError(`'${name}' of model '${model.name}' has no initial elements`);
      initial[key(name)] = elements;
      initial[keys.get(name) ?? key(name)] = elements;
    }
  };
  take(step.parameters.keys(), model.parameters, parameterKey);
  take(step.statistics.keys(), model.statistics, statisticKey);
  return initial;
}
