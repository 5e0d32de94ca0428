// Trains a model: fits the data to it, compiles and runs the step, and evaluates the result.
import type { Augmentation } from '../data/augment.js';
import type { Batches } from '../data/batches.js';
import type { ClassWeights } from '../data/class-weights.js';
import { type DataSplits, type Dataset, exampleCount } from '../data/dataset.js';
import type { Sampling } from '../data/sampling.js';
import { withValidation } from '../data/split.js';
import type { Engine } from '../engine/engine.js';
import { OptionError, TrainingError } from '../errors.js';
import { formatType } from '../graph/graph.js';
import { isUnnamed, mapInputs } from '../graph/inputs.js';
import type { TensorData } from '../graph/tensor.js';
import { type MetricWord, metricsOf } from '../metrics/index.js';
import type { Metric } from '../metrics/metric.js';
import type { Model } from '../model/model.js';
import { headStart } from '../optimizers/head-start.js';
import type { Optimizer, Setting } from '../optimizers/optimizer.js';
import type { BatchOptions } from './batch-options.js';
import { type Callbacks, callbacksOf, type StopReason } from './callbacks.js';
import { DivergedError } from './diverged-error.js';
import { ModelEvaluator } from './evaluation/evaluation.js';
import { examined } from './evaluation/examination.js';
import { evaluatedExamples } from './evaluation/examples.js';
import { firstReconstructions } from './evaluation/pictures.js';
import { type EvaluationOptions, EvaluationSchedule } from './evaluation/schedule.js';
import { GradientProgram } from './gradient-program.js';
import { IterateAverage } from './iterate-average.js';
import { Monitor, type MonitorOptions, monitoredEvery, monitoredValue } from './monitor.js';
import { settle } from './outcome.js';
import { batchesFor, stepsOf } from './planned-run.js';
import { Run, type RunViews } from './run.js';
import type { RunRecord } from './run-record.js';
import { type Checkpointing, ofAnotherRun, type RunState } from './run-state.js';
import { type StartingPoint, startingPoint } from './starting-point.js';
import { acceptedKey, buildStep, parameterKey, type StepProgram, statisticKey } from './step-program.js';
import { weightedByClass } from './task/class-weights.js';
import { type StandardizationOptions, standardizedTask } from './task/standardization.js';
import type { LearningTask } from './task/task.js';
import { checkParameters, checkTrainOptions } from './train-options.js';
import { warningsOf } from './warnings.js';
import { iterateAverage, lastIterate, type WeightAverage } from './weight-average.js';

export interface RunOptions extends BatchOptions, EvaluationOptions, MonitorOptions {
  /** The engine that computes. Several trainings can share it: each has a separate store. */
  readonly engine: Engine;
  readonly optimizer: Optimizer;
  /** Number of optimizer steps. Give either `steps` or `epochs`. */
  readonly steps?: number;
  /** Number of passes over the training set, which may be fractional. */
  readonly epochs?: number;
  /** Seconds after which the run ends, evaluations and earlier parts of a resumed run included; no end by default. */
  readonly maxTime?: number;
  /** What is evaluated and kept of the weights; by default what the optimizer averages, or the last iterate. */
  readonly average?: WeightAverage;
  /** Varies the examples of training batches, but not those that are evaluated; nothing by default. */
  readonly augment?: Augmentation;
  /** Which examples make an epoch, such as `oversampled()`; each once, shuffled, by default. */
  readonly sampling?: Sampling;
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
  /** How much the training examples of each class count; equally by default. Sets that are evaluated keep their weights. */
  readonly classWeights?: ClassWeights;
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
  const { seed = 0, validation, classWeights } = options;
  const data = validation === undefined ? options.data : withValidation(options.data, { share: validation, seed });
  const { model, task, warnings } = standardizedTask(given, data, options);
  const result = await runTask(model, weightedByClass(task, classWeights), options, persistence);
  return { ...result, warnings: [...warnings, ...result.warnings] };
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
  const setup = await stepFor(model, task, options);
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
  readonly batches: Batches;
  readonly total: number;
  /** Of a pretrained model. */
  readonly start: StartingPoint | undefined;
  readonly setting: Setting;
  readonly step: StepProgram;
}

async function stepFor(model: Model, task: LearningTask, options: RunOptions): Promise<Setup> {
  const batches = batchesFor(task, options);
  const total = stepsOf(options, batches.stepsPerEpoch);
  const { loss } = task;
  const metrics = runMetrics(task, options);
  const { inputs, target, weights } = await batches.at(0);
  const start = model.isPretrained ? await startingPoint(options.engine, model, loss, task.data.train) : undefined;
  const setting = settingOf(model, task, target.dims[0] ?? 1, start);
  const step = buildStep({
    model,
    loss,
    metric: metrics[0] ?? loss.metric,
    optimizer: options.optimizer,
    setting,
    inputs: mapInputs(inputs, ({ dtype, dims }) => ({ dtype, shape: dims })),
    targets: { dtype: target.dtype, shape: target.dims },
    weights: weights && { dtype: weights.dtype, shape: weights.dims },
    accumulate: options.accumulate,
  });
  return { model, task, metrics, batches, total, start, setting, step };
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
    const { model, task, metrics, step, total, batches, start: startingPoint, setting } = this.#setup;
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
    const best = Object.fromEntries([...(monitor?.keys ?? [])].map(([key, kept]) => [kept, named(initial, key)]));
    const start = { ...step.initialState, ...initial, ...best };
    if (resumeFrom && resumeFrom.step >= total) {
      throw new OptionError(`the checkpoint is of step ${resumeFrom.step}, and the run has ${total}: raise its steps`);
    }
    await engine.write(resumeFrom ? sameTensors(resumeFrom, start) : start);
    const run = new Run({
      ...{ engine, step, program, averages, monitor, optimizer, setting, metrics, schedule, batches, total, seed },
      ...{ signal, maxTime, callbacks: callbacksOf(callbacks), checkpointing },
      startingPoint,
      stored: Object.keys(start),
      views: this.#views(keys, evaluator),
    });
    if (resumeFrom) run.resume(resumeFrom);
    try {
      await run.go();
    } catch (error) {
      throw error instanceof TrainingError ? await this.#diverged(run, keys, error) : error;
    }
    return await this.#conclude(run, evaluator, { keys, initial, averages, monitor });
  }

  #views(keys: ReadonlyMap<string, string>, evaluator: ModelEvaluator): RunViews {
    const { model, task, batches } = this.#setup;
    const { seed = 0 } = this.#options;
    const batchAt = (step: number) => batches.at(step);
    const gradients = new GradientProgram({ engine: this.#engine, model, loss: task.loss, batchAt, seed });
    return {
      model,
      parameters: () => this.#parameters(keys),
      gradients: (step) => gradients.at(step),
      reconstructions: () => firstReconstructions(evaluator, task),
      examine: () => examined(evaluator, task),
    };
  }

  async #averages(): Promise<IterateAverage | undefined> {
    const { model, step, setting } = this.#setup;
    const { optimizer, average } = this.#options;
    const { iterateAveraging } = optimizer;
    if (average && step.evaluated.size > 0) {
      throw new OptionError(
        `average is ${average.name}, and ${optimizer.name} keeps an average of its own: leave it out`,
      );
    }
    const averaged = new Map([...model.parameters].filter(([name]) => !step.evaluated.has(name)));
    const { rule } = average ?? (iterateAveraging === undefined ? lastIterate() : iterateAverage(iterateAveraging));
    if (!rule || averaged.size === 0) return undefined;
    return await IterateAverage.of(this.#engine, averaged, rule, headStart(setting));
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
    const whole = (set: Dataset) => evaluator.evaluate(set, set.parts ? undefined : evaluatedExamples(set));
    await monitor?.putBack();
    const outcome = await settle({
      engine,
      evaluate: () => whole(data.train),
      begun: Object.fromEntries(Object.entries(initial).filter(([key]) => evaluated.has(key))),
      last: async () =>
        monitor?.best === undefined && (averages || step.evaluated.size > 0)
          ? renamed(await engine.read([...step.parameters.values()]), step.parameters, keys)
          : undefined,
      ...(exampleCount(data.train) > quickSet && { firstBatch: { loss: run.firstLoss, size: batches.batchSize } }),
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
      ...(await examined(evaluator, task)),
    };
    const warnings = [
      ...(optimizer.warnings?.(setting) ?? []),
      ...warningsOf(record, optimizer.remedy?.(setting)),
      ...step.steering.flatMap((steering) => steering.warning?.() ?? []),
      ...memoryWarning(step, batches.batchSize / (this.#options.accumulate ?? 1)),
    ];
    const { stopped } = run;
    return { model: model.with(parameters), parameters, record, interrupted: run.step < total, stopped, warnings };
  }
}

/** A sentence about memory that micro-batches do not bound. */
const memoryWarning = ({ atOnce }: StepProgram, microBatch: number): string[] =>
  atOnce <= microBatch
    ? []
    : [
        `The optimizer computes ${atOnce} examples at once, more than a micro-batch of ${microBatch}: memory is that of ${atOnce}. Set curvatureRows to ${microBatch}, or take larger micro-batches.`,
      ];

/** The tensors of a state, if they are those of this run. @throws OptionError that names the first difference */
function sameTensors({ tensors }: RunState, start: Readonly<Record<string, TensorData>>): RunState['tensors'] {
  for (const name of new Set([...Object.keys(start), ...Object.keys(tensors)])) {
    const [wanted, found] = [start[name], tensors[name]].map(
      (each) => each && formatType({ dtype: each.dtype, shape: each.dims }),
    );
    if (wanted === found) continue;
    throw ofAnotherRun(`its tensor '${name}' is ${found ?? 'missing'}, and this run has ${wanted ?? 'none'}`);
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

/**
 * Return the setting of a task for the optimizer.
 * @param start of a pretrained model, if it was measured
 */
export function settingOf(
  model: Model,
  { loss, data: { train } }: LearningTask,
  batchSize: number,
  start?: StartingPoint,
): Setting {
  const { inputs, picture } = train;
  const isTable = !picture && isUnnamed(inputs) && inputs.dtype === 'float32' && inputs.shape.length === 1;
  const startLoss = start?.share ?? 1;
  // Behind a new head trained weights do no better than chance.
  const isPretrained = model.isPretrained && (!start || startLoss < 1 || model.hasNewHead === true);
  return { loss, examples: exampleCount(train), batchSize, isTable, isPretrained, startLoss };
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
