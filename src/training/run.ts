// One training run: its loop over steps, its clock, its checkpoints, and the record that it leaves.
import type { Batches } from '../data/batches.js';
import type { Engine, Program } from '../engine/engine.js';
import { TrainingError } from '../errors.js';
import type { TensorData } from '../graph/tensor.js';
import { Accumulation, figureOf } from '../metrics/accumulate.js';
import type { Metric } from '../metrics/metric.js';
import type { Model } from '../model/model.js';
import type { Optimizer, Setting } from '../optimizers/optimizer.js';
import type { Callbacks, RunControl, StopReason } from './callbacks.js';
import { CheckpointQueue } from './checkpoint-queue.js';
import { diagnose, isFiniteBatch } from './diagnosis.js';
import type { Examined } from './evaluation/examination.js';
import type { EvaluationSchedule } from './evaluation/schedule.js';
import { History } from './history.js';
import type { IterateAverage } from './iterate-average.js';
import type { Monitor } from './monitor.js';
import type { Evaluation, RunRecord, StepRecord } from './run-record.js';
import { type Checkpointing, type Json, ofAnotherRun, type Remembered, type RunState } from './run-state.js';
import type { StartingPoint } from './starting-point.js';
import { stepFeeds } from './step-feeds.js';
import { acceptedKey, objectiveKey, type StepProgram, scalarFeeds } from './step-program.js';

export interface RunParts {
  readonly engine: Engine;
  readonly step: StepProgram;
  readonly program: Program;
  readonly averages: IterateAverage | undefined;
  readonly monitor: Monitor | undefined;
  readonly optimizer: Optimizer;
  readonly setting: Setting;
  /** The first one is the main metric. */
  readonly metrics: readonly Metric[];
  readonly schedule: EvaluationSchedule;
  readonly batches: Batches;
  /** Steps to take. */
  readonly total: number;
  readonly seed: number;
  readonly signal: AbortSignal | undefined;
  /** Seconds after which the run ends, evaluations included. */
  readonly maxTime: number | undefined;
  readonly callbacks: readonly Callbacks[];
  readonly checkpointing: Checkpointing | undefined;
  /** Of a pretrained model. */
  readonly startingPoint: StartingPoint | undefined;
  /** The tensors of the store that the run remembers. */
  readonly stored: readonly string[];
  /** What callbacks may ask for. */
  readonly views: RunViews;
}

/** What a run shows of itself; gradients are those on the batch of a step. */
export interface RunViews extends Pick<RunControl, 'model' | 'parameters' | 'reconstructions' | 'examine'> {
  gradients(step: number): Promise<ReadonlyMap<string, TensorData>>;
}

/** Most consecutive steps without a finite loss before the run ends; and most further steps for a last checkpoint. */
const mostFailures = 10;

export class Run implements Remembered, RunControl {
  readonly name = 'run';
  readonly #parts: RunParts;
  readonly #history = new History();
  readonly #checkpoints: CheckpointQueue | undefined;
  /** Everything that remembers numbers. */
  readonly #remembered: readonly Remembered[];
  #seconds = 0;
  /** Seconds of the run, evaluations included, before this process; and when this one began. */
  #earlier = 0;
  #began = performance.now();
  /** Consecutive steps without a finite loss. */
  #failures = 0;
  /** Whether the last kept step can be taken back. */
  #committed = false;
  /** Number of steps that were kept. */
  #kept = 0;
  #stopped: StopReason | undefined;
  /** Whether callbacks are left out: one has thrown. */
  #isSilent = false;

  constructor(parts: RunParts) {
    this.#parts = parts;
    const { averages, schedule, monitor, checkpointing } = parts;
    this.#checkpoints = checkpointing && new CheckpointQueue(checkpointing);
    const steering = parts.step.steering.map(
      (each, i): Remembered => ({
        name: `steering ${i}`,
        snapshot: () => each.snapshot(),
        restore: (snapshot) => each.restore(snapshot as Readonly<Record<string, number>>),
      }),
    );
    this.#remembered = [
      this,
      this.#history,
      schedule,
      ...steering,
      ...(averages ? [averages] : []),
      ...(monitor ? [monitor] : []),
    ];
  }

  /** The loss of the first batch; NaN before it. */
  get firstLoss(): number {
    return this.#history.firstLoss;
  }

  /** Whether the optimizer takes back steps that make the loss worse. */
  get recovers(): boolean {
    return this.#parts.step.steering.some(({ recovers }) => recovers === true);
  }

  get step(): number {
    return this.#history.done;
  }

  get steps(): number {
    return this.#parts.total;
  }

  /** Why the run ended. */
  get stopped(): StopReason {
    return this.#stopped ?? 'finished';
  }

  stop(): void {
    this.#stopped ??= 'callback';
  }

  get model(): Model {
    return this.#parts.views.model;
  }

  parameters(): Promise<ReadonlyMap<string, TensorData>> {
    return this.#parts.views.parameters();
  }

  gradients(): Promise<ReadonlyMap<string, TensorData>> {
    return this.#parts.views.gradients(this.step);
  }

  reconstructions(): Promise<RunRecord['reconstructions']> {
    return this.#parts.views.reconstructions();
  }

  examine(): Promise<Examined> {
    return this.#parts.views.examine();
  }

  /**
   * Go on from a state, whose tensors are in the store.
   * @throws OptionError that names a part that only one of the two has
   */
  resume({ numbers }: RunState): void {
    const own = new Set(this.#remembered.map(({ name }) => name));
    const alien = Object.keys(numbers).find((name) => !own.has(name));
    if (alien !== undefined) throw ofAnotherRun(`it has the part '${alien}', and this run has none`);
    for (const each of this.#remembered) {
      const snapshot = numbers[each.name];
      if (snapshot === undefined) throw ofAnotherRun(`its part '${each.name}' is missing`);
      each.restore(snapshot);
    }
  }

  snapshot(): Json {
    const [seconds, elapsed, failures, kept] = [this.#seconds, this.#elapsed, this.#failures, this.#kept];
    return { seconds, elapsed, failures, kept };
  }

  restore(snapshot: Json): void {
    const { seconds, elapsed, failures, kept } = snapshot as Readonly<Record<string, number>>;
    this.#seconds = seconds ?? 0;
    this.#earlier = elapsed ?? 0;
    this.#failures = failures ?? 0;
    this.#kept = kept ?? 0;
  }

  /**
   * Take all steps, or those until something ends the run.
   * @throws TrainingError if the loss is not finite and cannot become finite again: the store then holds the last good state;
   *   and what a callback throws
   */
  async go(): Promise<void> {
    const { total, batches, startingPoint } = this.#parts;
    this.#began = performance.now();
    let failure: { readonly error: unknown } | undefined;
    try {
      const event = {
        ...{ steps: total, stepsPerEpoch: batches.stepsPerEpoch, resumedAt: this.step },
        ...(startingPoint && { startingPoint }),
      };
      await this.#call('onStart', event);
      await this.#steps();
    } catch (error) {
      failure = { error };
      this.#stopped = 'error';
      this.#isSilent = true;
      // After a loss that is not finite, an earlier checkpoint is the one to go back to.
      if (!(error instanceof TrainingError)) await this.#lastCheckpoint().catch(() => undefined);
      this.#isSilent = false;
      await this.#call('onError', error).catch(() => undefined); // the first error is the one to report
    }
    await this.#checkpoints?.written();
    try {
      await this.#announceCheckpoints();
      await this.#call('onStop', { step: this.step, reason: this.stopped });
    } catch (error) {
      failure ??= { error };
    }
    if (failure) throw failure.error;
  }

  async #steps(): Promise<void> {
    const { total } = this.#parts;
    let feeds = await this.#feeds(this.step);
    while (this.step < total) {
      this.#checkTime();
      if (this.#stopped !== undefined) {
        // The time of the end is no property of the run: what it resumes from must not depend on it.
        if (this.#stopped === 'time' || this.#stopped === 'interrupted') await this.#lastCheckpoint(feeds);
        return;
      }
      const k = this.step;
      const isLast = k + 1 === total;
      const state = this.#checkpoints && (isLast || this.#isDue(this.#checkpoints)) ? await this.#capture() : undefined;
      const next = k + 1 < total ? () => this.#feeds(k + 1) : async () => ({});
      const taken = await this.#step(feeds, next, isLast);
      feeds = taken.next;
      if (state && taken.kept) await this.#checkpoints?.save(state);
    }
  }

  #isDue(checkpoints: CheckpointQueue): boolean {
    const { step } = this;
    const epoch = step / this.#parts.batches.stepsPerEpoch;
    return step > 0 && checkpoints.due({ step, epoch, seconds: this.#elapsed });
  }

  /** Seconds since the start of the run, evaluations included. */
  get #elapsed(): number {
    return this.#earlier + (performance.now() - this.#began) / 1000;
  }

  #checkTime(): void {
    const { signal, maxTime } = this.#parts;
    if (signal?.aborted) this.#stopped ??= 'interrupted';
    else if (maxTime !== undefined && this.#elapsed >= maxTime) this.#stopped ??= 'time';
  }

  /**
   * A checkpoint is the state before a step that was kept: the steps before it can then no longer be taken back. So the last one
   * needs one more step.
   */
  async #lastCheckpoint(given?: Record<string, TensorData>): Promise<void> {
    const { total } = this.#parts;
    if (!this.#checkpoints || this.step === 0) return;
    let feeds = given;
    for (let attempt = 0; attempt < mostFailures && this.step < total; attempt++) {
      const state = await this.#capture();
      const k = this.step;
      const { kept, next } = await this.#step(feeds ?? (await this.#feeds(k)), () => this.#feeds(k + 1), true);
      feeds = next;
      if (kept) return await this.#checkpoints.save(state);
    }
  }

  async #capture(): Promise<RunState> {
    const { engine, stored } = this.#parts;
    const numbers = Object.fromEntries(this.#remembered.map((each) => [each.name, each.snapshot()]));
    return { step: this.step, numbers, tensors: await engine.read(stored) };
  }

  /** @throws the error of a checkpoint that could not be written */
  async #announceCheckpoints(): Promise<void> {
    for (const event of this.#checkpoints?.taken() ?? []) await this.#call('onCheckpoint', event);
  }

  #feeds(k: number): Promise<Record<string, TensorData>> {
    const { batches, step, seed } = this.#parts;
    return stepFeeds(batches, step.noise, seed, k);
  }

  async #step(
    feeds: Record<string, TensorData>,
    gather: () => Promise<Record<string, TensorData>>,
    isLast: boolean,
  ): Promise<{ readonly kept: boolean; readonly next: Record<string, TensorData> }> {
    const { program, averages, step, signal, checkpointing } = this.#parts;
    const k = this.step;
    const given = { ...feeds, ...scalarFeeds(step, k, this.#kept) };
    const started = performance.now();
    const running = program.run(given);
    // The next batch is gathered while this step computes.
    const [results, next] = await Promise.all([running, gather()]);
    const numbers = scalarOutputs(results);
    if (numbers[acceptedKey] !== 0) {
      this.#committed = true;
      this.#kept += 1;
    }
    // An iterate whose loss is not finite will be taken back.
    const kept = Number.isFinite(numbers.loss) && numbers[acceptedKey] !== 0;
    // What a checkpoint holds must not depend on when a signal comes.
    const ends = isLast || (!checkpointing && signal?.aborted === true);
    if (Number.isFinite(numbers.loss)) await averages?.after(k + 1, ends);
    const elapsed = performance.now() - started;
    this.#seconds += elapsed / 1000;
    await this.#log(k, numbers, this.#metricOf(results), given, elapsed);
    return { kept, next };
  }

  async #log(
    k: number,
    numbers: Readonly<Record<string, number>>,
    metrics: Readonly<Record<string, number>>,
    given: Readonly<Record<string, TensorData>>,
    milliseconds: number,
  ): Promise<void> {
    const { step, schedule, batches, total, monitor } = this.#parts;
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
    const values = fatal ? {} : await schedule.after(k + 1, this.#seconds, k + 1 === total);
    if (Object.keys(values).length > 0) for (const steering of step.steering) steering.evaluated?.(k, values);
    const epoch = (k + 1) / batches.stepsPerEpoch;
    const record = { step: k + 1, epoch, loss, metrics: { ...metrics, ...values }, seconds: this.#seconds, optimizer };
    this.#history.add(record, milliseconds);
    if (sound) this.#failures = 0;
    if ((await monitor?.after(k + 1, values)) === 'stop') this.#stopped ??= 'early stopping';
    await this.#tell(record, values);
    if (fatal) throw fatal;
  }

  async #tell(record: StepRecord, values: Readonly<Record<string, number>>): Promise<void> {
    const { step, epoch } = record;
    await this.#call('onStep', record);
    if (Object.keys(values).length > 0) await this.#call('onEvaluation', { step, epoch, values });
    if (Math.floor(epoch) > Math.floor((step - 1) / this.#parts.batches.stepsPerEpoch)) {
      await this.#call('onEpoch', { epoch: Math.floor(epoch), step });
    }
    await this.#announceCheckpoints();
  }

  async #call<Name extends keyof Callbacks>(
    name: Name,
    event: Parameters<NonNullable<Callbacks[Name]>>[0],
  ): Promise<void> {
    if (this.#isSilent) return;
    for (const callbacks of this.#parts.callbacks) {
      const callback = callbacks[name] as ((event: unknown, run: RunControl) => void | Promise<void>) | undefined;
      await callback?.call(callbacks, event, this);
    }
  }

  /** The main metric of the batch, by its name; empty if it needs a whole set. */
  #metricOf(results: Readonly<Record<string, TensorData>>): Record<string, number> {
    const { step, metrics } = this.#parts;
    const [metric] = metrics;
    if (!metric || !step.metric) return {};
    const sums = new Accumulation();
    sums.add(step.metric, results);
    return { [metric.name]: figureOf(metric, sums.numbers) };
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
    if (this.#failures === 1) await this.#takeBack(k);
    return error;
  }

  /** Take back the last kept step, if that is possible: its loss is not finite. */
  takeBack(): Promise<void> {
    return this.#takeBack(this.step);
  }

  /** @param done steps that are done, without one that is not recorded yet */
  async #takeBack(done: number): Promise<void> {
    if (!this.#committed) return;
    await this.#parts.program.undo();
    await this.#parts.averages?.undo(done);
    this.#committed = false;
    this.#kept -= 1;
  }

  record(train: Evaluation, test: Evaluation, validation?: Evaluation): RunRecord {
    const { step, averages, monitor, optimizer, metrics, schedule, batches, total } = this.#parts;
    const [metric, ...others] = metrics.map(({ name, lowerIsBetter }) => ({ name, lowerIsBetter }));
    if (!metric) throw new Error('a run has no metric');
    const toTarget = schedule.concluded(this.step, this.#seconds, { train, test, ...(validation && { validation }) });
    const { rejected } = this.#history;
    return {
      name: optimizer.name,
      steps: this.#history.records,
      ...(rejected !== undefined && { rejected }),
      seconds: this.#seconds,
      planned: total,
      ...(this.stopped !== 'finished' && { stopped: this.stopped }),
      ...(monitor?.best && { best: monitor.best }),
      train,
      test,
      ...(validation && { validation }),
      batchSize: batches.batchSize,
      stateBytes: step.stateBytes + (averages?.bytes ?? 0),
      stepMilliseconds: this.#history.stepMilliseconds(),
      metric,
      ...(others.length > 0 && { otherMetrics: others }),
      ...(schedule.sampled && { sampled: schedule.sampled }),
      ...(toTarget !== undefined && { toTarget }),
    };
  }
}

const scalarOutputs = (result: Readonly<Record<string, TensorData>>): Record<string, number> =>
  Object.fromEntries(Object.entries(result).map(([name, { data }]) => [name, Number(data[0])]));
