// The training loop: batches in, one program run a step, metrics out; stops cleanly and keeps what was done.

import { trainingBatches } from '../data/batches.js';
import type { DataSplits } from '../data/dataset.js';
import { type Random, random } from '../data/random.js';
import type { Engine, Program } from '../engine/engine.js';
import { OptionError } from '../errors.js';
import type { Model } from '../graph/model.js';
import type { TensorData } from '../graph/tensor.js';
import { lossNamed } from '../losses/index.js';
import type { LossName } from '../losses/loss.js';
import type { Controller, Optimizer } from '../optimizers/optimizer.js';
import { checked } from '../optimizers/options.js';
import type { Evaluation, RunRecord, StepRecord } from '../reporting/run-record.js';
import { diagnose } from './diagnosis.js';
import { type Evaluator, evaluator } from './evaluation.js';
import { type Metric, metricFor } from './metrics.js';
import { buildStep, type NoiseInput, type StepProgram, scalarKey } from './step-program.js';

export interface TrainOptions {
  readonly engine: Engine;
  readonly data: DataSplits;
  readonly optimizer: Optimizer;
  readonly loss: LossName;
  readonly batchSize: number;
  /** How long: optimizer steps, or passes over the training set. */
  readonly steps?: number;
  readonly epochs?: number;
  /** Seeds the order of the examples and the random numbers of the optimizer. */
  readonly seed: number;
  /** Evaluate on the test set every so many steps; by default about ten times a run. */
  readonly evaluateEvery?: number;
  /** Stop the clock when a metric of an evaluation reaches this value. */
  readonly target?: { readonly metric: string; readonly value: number };
  /** Ends training after the running step; what was trained until then is kept and returned. */
  readonly signal?: AbortSignal;
  /** Called after each step. */
  readonly onStep?: (record: StepRecord, total: number) => void;
}

export interface TrainingResult {
  /** Trained parameters by name. */
  readonly parameters: ReadonlyMap<string, TensorData>;
  readonly record: RunRecord;
  /** True where the signal ended it before its last step. */
  readonly interrupted: boolean;
}

/**
 * Trains a model.
 * @throws OptionError where options do not fit together or the data do not fit the model
 * @throws TrainingError where the loss stops being finite, naming the first tensor that did
 * @example
 * const { parameters } = await train(mlp({ seed: 1 }), { engine, data, optimizer: cgfac(), loss: 'softmax-cross-entropy', batchSize: 128, epochs: 5, seed: 1 });
 */
export async function train(model: Model, options: TrainOptions): Promise<TrainingResult> {
  const { engine, data, optimizer, seed } = options;
  const loss = lossNamed(options.loss);
  const metric = metricFor(loss.name);
  const batches = trainingBatches(data.train, { batchSize: options.batchSize, seed });
  const total = stepsOf(options, batches.stepsPerEpoch);
  const first = batches.at(0);
  const step = buildStep({
    model,
    loss,
    metric,
    optimizer,
    input: { dtype: first.input.dtype, shape: first.input.dims },
    targets: { dtype: first.target.dtype, shape: first.target.dims },
  });
  const program = await engine.compile(step.graph, { updates: step.updates });
  const judge = evaluator(engine, model, loss, metric);
  try {
    await engine.write({ ...initialParameters(model, step), ...step.initialState });
    const run = new Run(step, program, judge, options, metric, total);
    return await run.go(batches.stepsPerEpoch, (k) => batches.at(k), model);
  } finally {
    await judge.release();
    await program.release();
    await engine.forget([...step.parameters.values(), ...Object.keys(step.initialState)]);
  }
}

function stepsOf({ steps, epochs }: TrainOptions, stepsPerEpoch: number): number {
  if ((steps === undefined) === (epochs === undefined)) throw new OptionError('give either steps or epochs');
  if (steps !== undefined) return checked('steps', steps, { atLeast: 1, integer: true });
  return Math.ceil(checked('epochs', epochs ?? 1, { above: 0 }) * stepsPerEpoch);
}

function initialParameters(model: Model, step: StepProgram): Record<string, TensorData> {
  const initial: Record<string, TensorData> = {};
  for (const [name, key] of step.parameters) {
    const elements = model.parameters.get(name)?.constant;
    if (!elements) throw new OptionError(`parameter '${name}' of '${model.name}' has no initial elements`);
    initial[key] = elements;
  }
  return initial;
}

/** One run's bookkeeping. */
class Run {
  readonly #step: StepProgram;
  readonly #program: Program;
  readonly #judge: Evaluator;
  readonly #options: TrainOptions;
  readonly #metric: Metric;
  readonly #total: number;
  readonly #controller: Controller;
  readonly #records: StepRecord[] = [];
  readonly #milliseconds: number[] = [];
  #seconds = 0;
  #toTarget: { steps: number; seconds: number } | null = null;

  constructor(
    step: StepProgram,
    program: Program,
    judge: Evaluator,
    options: TrainOptions,
    metric: Metric,
    total: number,
  ) {
    this.#step = step;
    this.#program = program;
    this.#judge = judge;
    this.#options = options;
    this.#metric = metric;
    this.#total = total;
    this.#controller = options.optimizer.controller();
  }

  async go(
    stepsPerEpoch: number,
    batchAt: (step: number) => { input: TensorData; target: TensorData },
    model: Model,
  ): Promise<TrainingResult> {
    const { engine, data, optimizer, signal } = this.#options;
    const evaluateEvery = this.#options.evaluateEvery ?? Math.max(1, Math.ceil(this.#total / 10));
    let feeds = this.#inputs(0, batchAt(0));
    let done = 0;
    for (let k = 0; k < this.#total && !signal?.aborted; k++) {
      const started = performance.now();
      const running = this.#program.run({ ...feeds, ...this.#scalars(k) });
      const used = feeds;
      // The next batch is gathered while this step computes.
      if (k + 1 < this.#total) feeds = this.#inputs(k + 1, batchAt(k + 1));
      const result = await running;
      const elapsed = performance.now() - started;
      this.#milliseconds.push(elapsed);
      this.#seconds += elapsed / 1000;
      done = k + 1;
      const numbers = scalarOutputs(result);
      if (!Number.isFinite(numbers.loss)) {
        throw await diagnose(engine, this.#step, { ...used, ...this.#scalars(k) }, done, numbers.loss);
      }
      const diagnostics = this.#diagnostics(numbers);
      this.#controller.observe(k, diagnostics);
      const metrics: Record<string, number> = { [this.#metric.name]: numbers.metric };
      if (done % evaluateEvery === 0 || done === this.#total) await this.#evaluate(metrics, done);
      const record = {
        step: done,
        epoch: done / stepsPerEpoch,
        loss: numbers.loss,
        metrics,
        seconds: this.#seconds,
        optimizer: diagnostics,
      };
      this.#records.push(record);
      this.#options.onStep?.(record, this.#total);
    }
    const stored = await engine.read([...this.#step.parameters.values()]);
    const parameters = new Map([...this.#step.parameters].map(([name, key]) => [name, stored[key] as TensorData]));
    const [train, test] = [await this.#judge.evaluate(data.train), await this.#judge.evaluate(data.test)];
    return { parameters, record: this.#record(optimizer.name, train, test, model), interrupted: done < this.#total };
  }

  #inputs(k: number, { input, target }: { input: TensorData; target: TensorData }): Record<string, TensorData> {
    const source = random(this.#options.seed, 'step', k);
    return {
      input,
      target,
      ...Object.fromEntries(this.#step.noise.map((noise) => [noise.name, drawn(noise, source)])),
    };
  }

  #scalars(k: number): Record<string, TensorData> {
    const numbers = this.#controller.scalars(k);
    return Object.fromEntries(
      this.#step.scalars.map((name) => {
        const value = numbers[name];
        if (value === undefined)
          throw new Error(`the controller of ${this.#options.optimizer.name} does not set ${name}`);
        return [scalarKey(name), { dtype: 'float32', dims: [], data: Float32Array.of(value) }];
      }),
    );
  }

  #diagnostics(numbers: Readonly<Record<string, number>>): Record<string, number> {
    return Object.fromEntries(
      this.#step.diagnostics.map((name) => [name, numbers[`diagnostic.${name}`] ?? Number.NaN]),
    );
  }

  async #evaluate(metrics: Record<string, number>, step: number): Promise<void> {
    const { data, target } = this.#options;
    const judged = await this.#judge.evaluate(data.test);
    for (const [name, value] of Object.entries(judged))
      metrics[`test${name[0]?.toUpperCase()}${name.slice(1)}`] = value;
    const reached = target && metrics[target.metric];
    if (!target || reached === undefined || this.#toTarget) return;
    const good =
      this.#metric.lowerIsBetter || target.metric.toLowerCase().includes('loss')
        ? reached <= target.value
        : reached >= target.value;
    if (good) this.#toTarget = { steps: step, seconds: this.#seconds };
  }

  #record(name: string, train: Evaluation, test: Evaluation, _model: Model): RunRecord {
    const sorted = [...this.#milliseconds].sort((x, y) => x - y);
    const quantile = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
    return {
      name,
      steps: this.#records,
      seconds: this.#seconds,
      train,
      test,
      stateBytes: this.#step.stateBytes,
      stepMilliseconds: { median: quantile(0.5), p10: quantile(0.1), p90: quantile(0.9) },
      metric: { name: this.#metric.name, lowerIsBetter: this.#metric.lowerIsBetter },
      ...(this.#options.target ? { toTarget: this.#toTarget } : {}),
    };
  }
}

function scalarOutputs(
  result: Readonly<Record<string, TensorData>>,
): Record<string, number> & { loss: number; metric: number } {
  const numbers = Object.fromEntries(Object.entries(result).map(([name, { data }]) => [name, Number(data[0])]));
  return { ...numbers, loss: numbers.loss ?? Number.NaN, metric: numbers.metric ?? Number.NaN };
}

function drawn({ dims, distribution }: NoiseInput, source: Random): TensorData {
  const data = new Float32Array(dims.reduce((product, size) => product * size, 1));
  if (distribution === 'uniform') source.fillUniform(data);
  else if (distribution === 'normal') source.fillNormal(data);
  else source.fillSigns(data);
  return { dtype: 'float32', dims, data };
}
