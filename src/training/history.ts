// The records of a run's steps in memory: all of a short run, and of a long one so many that memory does not grow with its length.
import { isEvaluated, type StepRecord } from './run-record.js';
import type { Json, Remembered } from './run-state.js';

/** Most records in memory: if there are more, half of them are dropped, those of evaluations last. */
const mostRecords = 10_000;
/** Durations of which the quantiles are taken: those of the last steps. */
const mostDurations = 4096;

/** Of a long run, the first record, the last one, those of evaluations, and each `every`-th other. */
export class History implements Remembered {
  readonly name = 'records';
  #records: StepRecord[] = [];
  /** Steps between the records that are kept, and between those of evaluations. */
  #every = 1;
  #evaluatedEvery = 1;
  #done = 0;
  #last: StepRecord | undefined;
  /** Milliseconds of the last steps, without the first, which includes the setup of the runtime. */
  #durations: number[] = [];
  #rejected: number | undefined;

  /** Number of steps taken. */
  get done(): number {
    return this.#done;
  }

  /** The loss of the first batch; NaN before it. */
  get firstLoss(): number {
    return this.#records[0]?.loss ?? Number.NaN;
  }

  /** Number of steps that were taken back; undefined if the optimizer takes none back and none was. */
  get rejected(): number | undefined {
    return this.#rejected;
  }

  get records(): readonly StepRecord[] {
    const last = this.#records.at(-1);
    return this.#last === undefined || last === this.#last ? this.#records : [...this.#records, this.#last];
  }

  add(record: StepRecord, milliseconds: number): void {
    this.#done = record.step;
    this.#last = record;
    const { accepted } = record.optimizer;
    if (accepted !== undefined) this.#rejected = (this.#rejected ?? 0) + Number(accepted === 0);
    if (this.#isKept(record)) this.#records.push(record);
    this.#thin();
    if (record.step > 1) this.#durations.push(milliseconds);
    if (this.#durations.length >= 2 * mostDurations) this.#durations = this.#durations.slice(-mostDurations);
  }

  /** Quantiles of the milliseconds of the last steps. */
  stepMilliseconds(): { readonly median: number; readonly p10: number; readonly p90: number } {
    const sorted = this.#durations.slice(-mostDurations).sort((x, y) => x - y);
    const quantile = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
    return { median: quantile(0.5), p10: quantile(0.1), p90: quantile(0.9) };
  }

  snapshot(): Json {
    return {
      records: [...this.records] as unknown as Json,
      every: this.#every,
      evaluatedEvery: this.#evaluatedEvery,
      done: this.#done,
      rejected: this.#rejected,
      durations: this.#durations.slice(-mostDurations),
    };
  }

  restore(snapshot: Json): void {
    const { records, every, evaluatedEvery, done, rejected, durations } = snapshot as unknown as {
      readonly records: readonly StepRecord[];
      readonly every: number;
      readonly evaluatedEvery: number;
      readonly done: number;
      readonly rejected?: number;
      readonly durations: readonly number[];
    };
    this.#every = every;
    this.#evaluatedEvery = evaluatedEvery;
    this.#records = records.filter((record) => this.#isKept(record));
    this.#last = records.at(-1);
    this.#done = done;
    this.#rejected = rejected;
    this.#durations = [...durations];
  }

  #thin(): void {
    while (this.#records.length > mostRecords) {
      if (this.#records.filter(isEvaluated).length > mostRecords / 2) this.#evaluatedEvery *= 2;
      this.#every *= 2;
      this.#records = this.#records.filter((record) => this.#isKept(record));
    }
  }

  #isKept(record: StepRecord): boolean {
    const { step } = record;
    return step === 1 || step % (isEvaluated(record) ? this.#evaluatedEvery : this.#every) === 0;
  }
}
