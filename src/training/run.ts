// One training run: its loop over steps, its clock, and the record that it leaves.
import type { BatchSequence } from '../data/batches.js';
import type { Engine, Program } from '../engine/engine.js';
import { TrainingError } from '../errors.js';
import { elementCount, type TensorData } from '../graph/tensor.js';
import { Accumulation } from '../metrics/accumulate.js';
import type { Metric } from '../metrics/metric.js';
import type { Model } from '../model/model.js';
import type { Optimizer, Setting } from '../optimizers/optimizer.js';
import { type Random, random } from '../random.js';
import { diagnose, isFiniteBatch } from './diagnosis.js';
import type { EvaluationSchedule } from './evaluation/schedule.js';
import type { IterateAverage } from './iterate-average.js';
import type { Evaluation, RunRecord, StepRecord } from './run-record.js';
import {
  acceptedKey,
  batchFeeds,
  type NoiseInput,
  objectiveKey,
  type StepProgram,
  scalarFeeds,
} from './step-program.js';

export interface RunParts {
  readonly engine: Engine;
  readonly step: StepProgram;
  readonly program: Program;
  readonly averages: IterateAverage | undefined;
  readonly optimizer: Optimizer;
  readonly setting: Setting;
  /** The first one is the main metric. */
  readonly metrics: readonly Metric[];
  readonly schedule: EvaluationSchedule;
  readonly batches: BatchSequence;
  /** Steps to take. */
  readonly total: number;
  readonly seed: number;
  readonly signal: AbortSignal | undefined;
  readonly onStep: ((record: StepRecord) => void | Promise<void>) | undefined;
}

/** The results of a run that diverged. */
export interface Remains {
  readonly record: RunRecord;
  /** The model with these parameters, e.g. for `saveModel`. */
  readonly model: Model;
  /** The last parameters with a finite loss, or their average if iterates are averaged, and running averages. */
  readonly parameters: ReadonlyMap<string, TensorData>;
}

/** Thrown if training stops because the loss is no longer finite; it has the results until then. */
export class DivergedError extends TrainingError implements Remains {
  readonly record: RunRecord;
  readonly model: Model;
  readonly parameters: ReadonlyMap<string, TensorData>;

  constructor(cause: TrainingError, { record, model, parameters }: Remains) {
    super(cause.message, { cause });
    this.record = record;
    this.model = model;
    this.parameters = parameters;
  }
}

/** Most consecutive steps without a finite loss before the run ends. */
const mostFailures = 10;

export class Run {
  readonly #parts: RunParts;
  readonly #records: StepRecord[] = [];
  readonly #milliseconds: number[] = [];
  #seconds = 0;
  /** Consecutive steps without a finite loss. */
  #failures = 0;
  /** Whether the last kept step can be taken back. */
  #committed = false;
  /** Number of steps that were kept. */
  #kept = 0;

  constructor(parts: RunParts) {
    this.#parts = parts;
  }

  /** The loss of the first batch; NaN before it. */
  get firstLoss(): number {
    return this.#records[0]?.loss ?? Number.NaN;
  }

  /** Whether the optimizer takes back steps that make the loss worse. */
  get recovers(): boolean {
    return this.#parts.step.steering.some(({ recovers }) => recovers === true);
  }

  /** Number of steps taken. */
  get done(): number {
    return this.#records.length;
  }

  /**
   * Take all steps, or those until the signal.
   * @throws TrainingError if the loss is not finite and cannot become finite again: the store then holds the last good state
   */
  async go(): Promise<void> {
    const { program, averages, total, signal } = this.#parts;
    let feeds = this.#feeds(0);
    for (let k = 0; k < total && !signal?.aborted; k++) {
      const given = { ...feeds, ...scalarFeeds(this.#parts.step, k, this.#kept) };
      const started = performance.now();
      const running = program.run(given);
      // The next batch is gathered while this step computes.
      if (k + 1 < total) feeds = this.#feeds(k + 1);
      const results = await running;
      const numbers = scalarOutputs(results);
      if (numbers[acceptedKey] !== 0) {
        this.#committed = true;
        this.#kept += 1;
      }
      // An iterate whose loss is not finite will be taken back.
      if (Number.isFinite(numbers.loss)) await averages?.after(k + 1, k + 1 === total || signal?.aborted === true);
      const elapsed = performance.now() - started;
      this.#milliseconds.push(elapsed);
      this.#seconds += elapsed / 1000;
      await this.#log(k, numbers, this.#metricOf(results), given);
    }
  }

  async #log(
    k: number,
    numbers: Readonly<Record<string, number>>,
    metrics: Readonly<Record<string, number>>,
    given: Readonly<Record<string, TensorData>>,
  ): Promise<void> {
    const { step, schedule, batches, total, onStep } = this.#parts;
    const loss = numbers.loss ?? Number.NaN;
    const accepted = numbers[acceptedKey] === 0 ? 0 : 1;
    const sound = Number.isFinite(loss);
    // NaN means not measured at this step.
    const measured = step.diagnostics.flatMap((name) => {
      const value = numbers[`diagnostic.${name}`] ?? Number.NaN;
      return Number.isNaN(value) ? [] : [[name, value] as const];
    });
    // A step that was taken back is recorded for every optimizer.
    const isRecorded = this.recovers || accepted === 0;
    const optimizer = { ...Object.fromEntries(measured), ...(isRecorded && { accepted }) };
    const fatal = sound ? undefined : await this.#failure(k, loss, given);
    const observed = { ...optimizer, loss: numbers[objectiveKey] ?? loss, accepted };
    for (const steering of step.steering) steering.observe(k, observed);
    const evaluated = fatal ? {} : await schedule.after(k + 1, this.#seconds, k + 1 === total);
    const record: StepRecord = {
      step: k + 1,
      epoch: (k + 1) / batches.stepsPerEpoch,
      loss,
      metrics: { ...metrics, ...evaluated },
      seconds: this.#seconds,
      optimizer,
    };
    this.#records.push(record);
    await onStep?.(record);
    if (fatal) throw fatal;
    if (sound) this.#failures = 0;
  }

  /** The main metric of the batch, by its name; empty if it needs a whole set. */
  #metricOf(results: Readonly<Record<string, TensorData>>): Record<string, number> {
    const { step, metrics } = this.#parts;
    const [metric] = metrics;
    if (!metric || !step.metric) return {};
    const sums = new Accumulation();
    sums.add(step.metric, results);
    return { [metric.name]: metric.value(sums.numbers) };
  }

  /**
   * The error for a loss that is not finite; undefined if the run can go on from the step before the last, which is restored.
   * It cannot if the data or the initial model are the reason, nor if the optimizer would repeat the step.
   */
  async #failure(
    k: number,
    loss: number,
    given: Readonly<Record<string, TensorData>>,
  ): Promise<TrainingError | undefined> {
    const { engine, step, optimizer } = this.#parts;
    const remedy = optimizer.remedy?.(this.#parts.setting);
    const cause = () => diagnose(engine, step, given, k + 1, loss, remedy);
    this.#failures += 1;
    if (k === 0 || !isFiniteBatch(given)) return cause();
    const last = !this.recovers || this.#failures > mostFailures;
    const error = last ? await cause() : undefined;
    // This step's updates were refused; those of the step before, which led here, are taken back.
    if (this.#failures === 1) await this.takeBack();
    return error;
  }

  /** Take back the last kept step, if that is possible: its loss is not finite. */
  async takeBack(): Promise<void> {
    if (!this.#committed) return;
    await this.#parts.program.undo();
    await this.#parts.averages?.undo(this.done);
    this.#committed = false;
    this.#kept -= 1;
  }

  record(train: Evaluation, test: Evaluation): RunRecord {
    const { step, averages, optimizer, metrics, schedule, batches, total } = this.#parts;
    const [metric, ...others] = metrics.map(({ name, lowerIsBetter }) => ({ name, lowerIsBetter }));
    if (!metric) throw new Error('a run has no metric');
    const toTarget = schedule.concluded(this.done, this.#seconds, train, test);
    return {
      name: optimizer.name,
      steps: this.#records,
      seconds: this.#seconds,
      planned: total,
      train,
      test,
      batchSize: batches.batchSize,
      stateBytes: step.stateBytes + (averages?.bytes ?? 0),
      stepMilliseconds: quantiles(this.#milliseconds),
      metric,
      ...(others.length > 0 && { otherMetrics: others }),
      ...(schedule.sampled && { sampled: schedule.sampled }),
      ...(toTarget !== undefined && { toTarget }),
    };
  }

  #feeds(k: number): Record<string, TensorData> {
    const { batches, step, seed } = this.#parts;
    const source = random(seed, 'step', k);
    return {
      ...batchFeeds(batches.at(k)),
      ...Object.fromEntries(step.noise.map((noise) => [noise.name, drawn(noise, source)])),
    };
  }
}

/** The quantiles without the first step, which includes the setup of the runtime. */
function quantiles(milliseconds: readonly number[]): RunRecord['stepMilliseconds'] {
  const sorted = milliseconds.slice(milliseconds.length > 1 ? 1 : 0).sort((x, y) => x - y);
  const quantile = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
  return { median: quantile(0.5), p10: quantile(0.1), p90: quantile(0.9) };
}

const scalarOutputs = (result: Readonly<Record<string, TensorData>>): Record<string, number> =>
  Object.fromEntries(Object.entries(result).map(([name, { data }]) => [name, Number(data[0])]));

function drawn({ dims, distribution }: NoiseInput, source: Random): TensorData {
  const data = new Float32Array(elementCount(dims));
  if (distribution === 'uniform') source.fillUniform(data);
  else if (distribution === 'normal') source.fillNormal(data);
  else source.fillSigns(data);
  return { dtype: 'float32', dims, data };
}
