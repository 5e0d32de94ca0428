// Trains a model: fits the data to it, compiles and runs the step, and evaluates the result.
import { type Augmentation, augmentedBatches } from '../data/augment.js';
import { type BatchSequence, trainingBatches } from '../data/batches.js';
import type { DataSplits, Dataset } from '../data/dataset.js';
import { withValidation } from '../data/split.js';
import type { Engine } from '../engine/engine.js';
import { OptionError, TrainingError } from '../errors.js';
import { formatType } from '../graph/graph.js';
import { isUnnamed, mapInputs } from '../graph/inputs.js';
import type { TensorData } from '../graph/tensor.js';
import { type MetricWord, metricsOf } from '../metrics/index.js';
import type { Metric } from '../metrics/metric.js';
import type { Model } from '../model/model.js';
import type { Optimizer, Setting } from '../optimizers/optimizer.js';
import { checkedNumber, mostSteps } from '../options.js';
import { type Callbacks, callbacksOf, type StopReason } from './callbacks.js';
import { ModelEvaluator } from './evaluation/evaluation.js';
import { evaluatedExamples } from './evaluation/examples.js';
import { picturesOf } from './evaluation/pictures.js';
import { type EvaluationOptions, EvaluationSchedule } from './evaluation/schedule.js';
import { type EvaluatedValue, evaluatedValue, splitsOf } from './evaluation/splits.js';
import { IterateAverage } from './iterate-average.js';
import { Monitor, type MonitorOptions } from './monitor.js';
import { settle } from './outcome.js';
import { DivergedError, Run } from './run.js';
import type { RunRecord } from './run-record.js';
import type { Checkpointing, RunState } from './run-state.js';
import { acceptedKey, buildStep, parameterKey, type StepProgram, statisticKey } from './step-program.js';
import { type StandardizationOptions, standardizedTask } from './task/standardization.js';
import type { LearningTask } from './task/task.js';
import { checkParameters, checkTrainOptions } from './train-options.js';
import { warningsOf } from './warnings.js';

export interface RunOptions extends EvaluationOptions, MonitorOptions {
  /** The engine that computes. Several trainings can share it: each has a separate store. */
  readonly engine: Engine;
  readonly optimizer: Optimizer;
  /** Examples of each step; 128 by default, or all of a smaller training set. */
  readonly batchSize?: number;
  /** Number of optimizer steps. Give either `steps` or `epochs`. */
  readonly steps?: number;
  /** Number of passes over the training set, which may be fractional. */
  readonly epochs?: number;
  /** Seconds after which the run ends, evaluations and earlier parts of a resumed run included; no end by default. */
  readonly maxTime?: number;
  /** Flips and crops the pictures of training batches, but not those that are evaluated; none by default. */
  readonly augment?: Augmentation;
  /** Seed of the order of the examples, of their augmentation and of the random numbers of the optimizer; 0 by default. */
  readonly seed?: number;
  /** Ends training after the current step, or the next if checkpoints are written; the model trained until then is returned. */
  readonly signal?: AbortSignal;
  /**
   * The metrics of evaluations of all sets: objects, or their names. The first one is the main metric, which is also measured
   * on each batch if that is possible; by default the metric of the loss.
   */
  readonly metrics?: readonly (Metric | MetricWord)[];
  /** Functions to call at events of the run; several lists are called in order. */
  readonly callbacks?: Callbacks | readonly Callbacks[];
}

/** How a run goes on from an earlier one, and leaves its own state behind. */
export interface Persistence {
  readonly checkpointing?: Checkpointing;
  /** The state of an earlier run of the same model, data and options, which this one continues. */
  readonly resumeFrom?: RunState;
}

export interface TrainOptions extends RunOptions, StandardizationOptions {
  readonly data: DataSplits;
  /** A share of the training set to hold out for validation, of each class if there are classes; none by default. */
  readonly validation?: number;
}

export interface TrainingResult {
  /** The trained model: `saveModel`, `predict` and `train` take it. */
  readonly model: Model;
  /** Its parameters and the running averages of batch normalization, by name. */
  readonly parameters: ReadonlyMap<string, TensorData>;
  readonly record: RunRecord;
  /** Whether it ended before its last step. */
  readonly interrupted: boolean;
  /** Why it ended. */
  readonly stopped: StopReason;
  /** Sentences that a user should read about the data and the run. */
  readonly warnings: readonly string[];
}

/**
 * Train a model and return the trained one; the given model does not change. For tables the trained model standardizes its
 * input, and the targets of a regression (see `normalize`); losses and metrics are still in the units of the data.
 * @throws OptionError if options do not fit together or the data do not fit the model
 * @throws TrainingError if the loss stops being finite; it names the first tensor that did
 */
export async function train(
  given: Model,
  options: TrainOptions,
  persistence: Persistence = {},
): Promise<TrainingResult> {
  checkTrainOptions(given, options);
  const { seed = 0, validation } = options;
  const data = validation === undefined ? options.data : withValidation(options.data, { share: validation, seed });
  const { model, task, warnings } = standardizedTask(given, data, options);
  const result = await runTask(model, task, options, persistence);
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
  { data }: LearningTask,
  { batchSize = 128, seed = 0, augment }: Pick<RunOptions, 'batchSize' | 'seed' | 'augment'>,
): BatchSequence {
  const batches = trainingBatches(data.train, { batchSize, seed });
  return augment ? augmentedBatches(batches, data.train, augment, seed) : batches;
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
export async function runTask(
  model: Model,
  task: LearningTask,
  options: RunOptions,
  persistence: Persistence = {},
): Promise<TrainingResult> {
  checkParameters(model);
  const setup = stepFor(model, task, options);
  // A separate store: models may have parameters of equal names.
  const engine = options.engine.open();
  try {
    return await new Training(engine, setup, options).run(persistence);
  } finally {
    await engine.close();
  }
}

/** What a run computes: decided before anything is compiled. */
interface Setup {
  readonly model: Model;
  readonly task: LearningTask;
  readonly metrics: readonly Metric[];
  readonly batches: BatchSequence;
  readonly total: number;
  readonly setting: Setting;
  readonly step: StepProgram;
}

function stepFor(model: Model, task: LearningTask, options: RunOptions): Setup {
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
    optimizer: options.optimizer,
    setting,
    inputs: mapInputs(inputs, ({ dtype, dims }) => ({ dtype, shape: dims })),
    targets: { dtype: target.dtype, shape: target.dims },
    weights: weights && { dtype: weights.dtype, shape: weights.dims },
  });
  return { model, task, metrics, batches, total, setting, step };
}

/** One training on its own engine: compiles its programs, runs them, and evaluates what they leave. */
class Training {
  readonly #engine: Engine;
  readonly #setup: Setup;
  readonly #options: RunOptions;

  constructor(engine: Engine, setup: Setup, options: RunOptions) {
    this.#engine = engine;
    this.#setup = setup;
    this.#options = options;
  }

  async run({ checkpointing, resumeFrom }: Persistence): Promise<TrainingResult> {
    const { model, task, metrics, step, total, batches, setting } = this.#setup;
    const { data, loss } = task;
    const engine = this.#engine;
    const { optimizer, signal, maxTime, callbacks, seed = 0 } = this.#options;
    const averages = await this.#averages();
    const keys = new Map([...step.parameters, ...(averages?.keys ?? []), ...step.evaluated, ...step.statistics]);
    const evaluator = new ModelEvaluator(engine, model, loss, metrics, keys);
    evaluator.check(data.train);
    const initial = initialTensors(model, step, keys);
    const monitor = await this.#monitor(keys, initial);
    const schedule = new EvaluationSchedule(evaluator, metrics, data, total, {
      ...this.#options,
      ...(monitor && { evaluateEvery: this.#options.evaluateEvery ?? monitoredEvery(total, batches) }),
    });
    const program = await engine.compile(step.graph, { updates: step.updates, accept: acceptedKey, undoable: true });
    const best = Object.fromEntries(
      (monitor?.keys ?? []).map((key) => [key, named(initial, key.replace(/^best\./, ''))]),
    );
    const start = { ...step.initialState, ...initial, ...best };
    await engine.write(resumeFrom ? sameTensors(resumeFrom, start) : start);
    const run = new Run({
      ...{ engine, step, program, averages, monitor, optimizer, setting, metrics, schedule, batches, total, seed },
      ...{ signal, maxTime, callbacks: callbacksOf(callbacks), checkpointing },
      stored: Object.keys(start),
      parameters: () => this.#parameters(keys),
    });
    if (resumeFrom) run.resume(resumeFrom);
    try {
      await run.go();
    } catch (error) {
      throw error instanceof TrainingError ? await this.#diverged(run, keys, error) : error;
    }
    return await this.#conclude(run, evaluator, { keys, initial, averages, monitor });
  }

  async #averages(): Promise<IterateAverage | undefined> {
    const { model, step } = this.#setup;
    const { iterateAveraging } = this.#options.optimizer;
    const averaged = new Map([...model.parameters].filter(([name]) => !step.evaluated.has(name)));
    return iterateAveraging === undefined || averaged.size === 0
      ? undefined
      : await IterateAverage.of(this.#engine, averaged, iterateAveraging);
  }

  /** What watches the run's evaluations; undefined if no value is monitored. */
  async #monitor(
    keys: ReadonlyMap<string, string>,
    initial: Readonly<Record<string, TensorData>>,
  ): Promise<Monitor | undefined> {
    const { task, metrics } = this.#setup;
    const value = monitoredValue(task, metrics, this.#options);
    if (!value) return undefined;
    const types = new Map([...new Set(keys.values())].map((key) => [key, named(initial, key)]));
    return await Monitor.of(this.#engine, value, types, this.#options.earlyStopping);
  }

  async #parameters(keys: ReadonlyMap<string, string>): Promise<ReadonlyMap<string, TensorData>> {
    const stored = await this.#engine.read([...keys.values()]);
    return new Map([...keys].flatMap(([name, key]) => (stored[key] ? [[name, stored[key]] as const] : [])));
  }

  async #diverged(run: Run, keys: ReadonlyMap<string, string>, cause: TrainingError): Promise<DivergedError> {
    const record = run.record({ loss: Number.NaN }, { loss: Number.NaN });
    const parameters = await this.#parameters(keys);
    return new DivergedError(cause, { record, model: this.#setup.model.with(parameters), parameters });
  }

  /** Choose the parameters to keep, evaluate them on all sets, and say what came of the run. */
  async #conclude(
    run: Run,
    evaluator: ModelEvaluator,
    {
      keys,
      initial,
      averages,
      monitor,
    }: {
      readonly keys: ReadonlyMap<string, string>;
      readonly initial: Readonly<Record<string, TensorData>>;
      readonly averages: IterateAverage | undefined;
      readonly monitor: Monitor | undefined;
    },
  ): Promise<TrainingResult> {
    const { model, task, total, step, batches, setting } = this.#setup;
    const { data } = task;
    const { optimizer } = this.#options;
    const engine = this.#engine;
    const evaluated = new Set(keys.values());
    const whole = (set: Dataset) => evaluator.evaluate(set, evaluatedExamples(set));
    await monitor?.putBack();
    const outcome = await settle({
      engine,
      evaluate: () => whole(data.train),
      begun: Object.fromEntries(Object.entries(initial).filter(([key]) => evaluated.has(key))),
      last: async () =>
        monitor?.best === undefined && (averages || step.evaluated.size > 0)
          ? renamed(await engine.read([...step.parameters.values()]), step.parameters, keys)
          : undefined,
      ...(data.train.size > quickSet && { firstBatch: { loss: run.firstLoss, size: batches.batchSize } }),
      mayTakeBack: run.recovers,
    });
    const parameters = await this.#parameters(keys);
    const [onTrain, onTest] = [outcome.train, await whole(data.test)];
    const onValidation = data.validation && (await whole(data.validation));
    if (!Number.isFinite(onTrain.loss)) {
      // If the start was evaluated as well, no parameters have a finite loss.
      if (!outcome.start) await run.takeBack();
      const remedy = optimizer.remedy?.(setting) ?? 'Take shorter steps';
      const message = `the loss on the training set is ${onTrain.loss} after the last step. ${remedy}`;
      throw await this.#diverged(run, keys, new TrainingError(message));
    }
    const record = {
      ...run.record(onTrain, onTest, onValidation),
      ...(outcome.start && { start: outcome.start }),
      ...(outcome.takenBack && { takenBack: true as const }),
      ...(await picturesOf(evaluator, task)),
    };
    const warnings = [
      ...(optimizer.warnings?.(setting) ?? []),
      ...warningsOf(record, optimizer.remedy?.(setting)),
      ...step.steering.flatMap((steering) => steering.warning?.() ?? []),
    ];
    const { stopped } = run;
    return { model: model.with(parameters), parameters, record, interrupted: run.step < total, stopped, warnings };
  }
}

/**
 * Return the value whose best parameters a run keeps; undefined if it keeps the last ones.
 * @throws OptionError for an unknown value, and for early stopping without a value to watch
 */
export function monitoredValue(
  { data }: LearningTask,
  metrics: readonly Metric[],
  { monitor, earlyStopping }: MonitorOptions,
): EvaluatedValue | undefined {
  const splits = splitsOf(data);
  if (monitor !== undefined) return evaluatedValue('monitor', monitor, metrics, splits);
  if (data.validation) return evaluatedValue('monitor', 'validationLoss', metrics, splits);
  if (earlyStopping === undefined) return undefined;
  throw new OptionError(
    'early stopping needs a value to watch: hold out a part of the training set (validation: 0.1, on the command line --validation 0.1), or name one (monitor)',
  );
}

/** Steps between evaluations that choose the parameters: patience is counted in them. */
const monitoredEvery = (total: number, { stepsPerEpoch }: BatchSequence): number =>
  Math.max(1, Math.min(Math.ceil(total / 10), Math.ceil(stepsPerEpoch)));

/** The tensors of a state, if they are those of this run. @throws OptionError that names the first difference */
function sameTensors({ tensors }: RunState, start: Readonly<Record<string, TensorData>>): RunState['tensors'] {
  for (const name of new Set([...Object.keys(start), ...Object.keys(tensors)])) {
    const [wanted, found] = [start[name], tensors[name]].map(
      (each) => each && formatType({ dtype: each.dtype, shape: each.dims }),
    );
    if (wanted === found) continue;
    throw new OptionError(
      `the state to resume from is of another run: its tensor '${name}' is ${found ?? 'missing'}, and this run has ${wanted ?? 'none'}`,
    );
  }
  return tensors;
}

function named(tensors: Readonly<Record<string, TensorData>>, key: string): TensorData {
  const found = tensors[key];
  if (!found) throw new Error(`no tensor '${key}' at the start`);
  return found;
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
