// One training run: its loop over steps, its clock, and the record that it leaves.
import type { BatchSequence } from '../data/batches.js';
import { type Random, random } from '../data/random.js';
import type { Engine, Program } from '../engine/engine.js';
import { TrainingError } from '../errors.js';
import type { TensorData } from '../graph/tensor.js';
import type { LossName } from '../losses/loss.js';
import type { Controller, Optimizer } from '../optimizers/optimizer.js';
import type { Evaluation, RunRecord, StepRecord } from '../reporting/run-record.js';
import { diagnose } from './diagnosis.js';
import type { IterateAverage } from './iterate-average.js';
import type { Judging } from './judging.js';
import type { Metric } from './metrics.js';
import { batchFeeds, type NoiseInput, type StepProgram, scalarKey } from './step-program.js';

export interface RunParts {
  readonly engine: Engine;
  readonly step: StepProgram;
  readonly program: Program;
  readonly averages: IterateAverage | undefined;
  readonly optimizer: Optimizer;
  readonly loss: LossName;
  readonly metric: Metric;
  readonly judging: Judging;
  readonly batches: BatchSequence;
  /** Steps to take. */
  readonly total: number;
  readonly seed: number;
  readonly signal: AbortSignal | undefined;
  readonly onStep: ((record: StepRecord) => void | Promise<void>) | undefined;
}

/** Training that stopped because its loss was no longer finite, with what was done until then. */
export class DivergedError extends TrainingError {
  readonly record: RunRecord;

  constructor(cause: TrainingError, record: RunRecord) {
    super(cause.message, { cause });
    this.record = record;
  }
}

export class Run {
  readonly #parts: RunParts;
  readonly #controller: Controller;
  readonly #records: StepRecord[] = [];
  readonly #milliseconds: number[] = [];
  #seconds = 0;

  constructor(parts: RunParts) {
    this.#parts = parts;
    this.#controller = parts.optimizer.controller(parts.loss);
  }

  /** Steps taken. */
  get done(): number {
    return this.#records.length;
  }

  /** Takes all steps, or as many as there is time for before the signal. @throws DivergedError */
  async go(): Promise<void> {
    const { program, averages, total, signal } = this.#parts;
    let feeds = this.#feeds(0);
    for (let k = 0; k < total && !signal?.aborted; k++) {
      const given = { ...feeds, ...this.#scalars(k) };
      const started = performance.now();
      const running = program.run(given);
      // The next batch is gathered while this step computes.
      if (k + 1 < total) feeds = this.#feeds(k + 1);
      const numbers = scalarOutputs(await running);
      await averages?.after(k + 1, k + 1 === total || signal?.aborted === true);
      const elapsed = performance.now() - started;
      this.#milliseconds.push(elapsed);
      this.#seconds += elapsed / 1000;
      await this.#log(k, numbers, given);
    }
  }

  async #log(
    k: number,
    numbers: Readonly<Record<string, number>>,
    given: Readonly<Record<string, TensorData>>,
  ): Promise<void> {
    const { engine, step, metric, judging, batches, total, onStep } = this.#parts;
    const loss = numbers.loss ?? Number.NaN;
    const sound = Number.isFinite(loss);
    const optimizer = Object.fromEntries(
      step.diagnostics.map((name) => [name, numbers[`diagnostic.${name}`] ?? Number.NaN]),
    );
    if (sound) this.#controller.observe(k, optimizer);
    const judged = sound ? await judging.after(k + 1, this.#seconds, k + 1 === total) : {};
    const record: StepRecord = {
      step: k + 1,
      epoch: (k + 1) / batches.stepsPerEpoch,
      loss,
      metrics: { [metric.name]: numbers.metric ?? Number.NaN, ...judged },
      seconds: this.#seconds,
      optimizer,
    };
    this.#records.push(record);
    await onStep?.(record);
    if (!sound) throw this.diverged(await diagnose(engine, step, given, k + 1, loss));
  }

  diverged(cause: TrainingError): DivergedError {
    return new DivergedError(cause, this.record({ loss: Number.NaN }, { loss: Number.NaN }));
  }

  record(train: Evaluation, test: Evaluation): RunRecord {
    const { step, averages, optimizer, metric, judging, batches } = this.#parts;
    const { toTarget } = judging;
    return {
      name: optimizer.name,
      steps: this.#records,
      seconds: this.#seconds,
      train,
      test,
      batchSize: batches.batchSize,
      stateBytes: step.stateBytes + (averages?.bytes ?? 0),
      stepMilliseconds: quantiles(this.#milliseconds),
      metric: { name: metric.name, lowerIsBetter: metric.lowerIsBetter },
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

  #scalars(k: number): Record<string, TensorData> {
    const { step, optimizer } = this.#parts;
    const numbers = this.#controller.scalars(k);
    return Object.fromEntries(
      step.scalars.map((name) => {
        const value = numbers[name];
        if (value === undefined) throw new Error(`the controller of ${optimizer.name} does not set ${name}`);
        return [scalarKey(name), { dtype: 'float32', dims: [], data: Float32Array.of(value) }];
      }),
    );
  }
}

/** The first step also sets the runtime up: it does not count. */
function quantiles(milliseconds: readonly number[]): RunRecord['stepMilliseconds'] {
  const sorted = milliseconds.slice(milliseconds.length > 1 ? 1 : 0).sort((x, y) => x - y);
  const quantile = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
  return { median: quantile(0.5), p10: quantile(0.1), p90: quantile(0.9) };
}

const scalarOutputs = (result: Readonly<Record<string, TensorData>>): Record<string, number> =>
  Object.fromEntries(Object.entries(result).map(([name, { data }]) => [name, Number(data[0])]));

function drawn({ dims, distribution }: NoiseInput, source: Random): TensorData {
  const data = new Float32Array(dims.reduce((product, size) => product * size, 1));
  if (distribution === 'uniform') source.fillUniform(data);
  else if (distribution === 'normal') source.fillNormal(data);
  else source.fillSigns(data);
  return { dtype: 'float32', dims, data };
}
