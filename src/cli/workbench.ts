// Runs optimizers on a plan one after another: progress, metrics files and models on the way, a report at the end.
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { FileCheckpointing } from '../api/checkpointing.js';
import { saveModel } from '../api/load-save.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { FileError } from '../errors.js';
import { CheckpointFolder } from '../files/checkpoints.js';
import { writeFileAtomically } from '../files/write.js';
import { mostThreads } from '../options.js';
import { type MetricsFile, openMetricsFile } from '../reporting/metrics-file.js';
import { mayWriteCard } from '../reporting/own-card.js';
import { createProgress, type Progress } from '../reporting/progress.js';
import { runResults } from '../reporting/run-result.js';
import type { Cadence } from '../training/cadence.js';
import type { Callbacks } from '../training/callbacks.js';
import { DivergedError } from '../training/diverged-error.js';
import type { Experiment, RunRecord } from '../training/run-record.js';
import { runMetrics, runTask } from '../training/trainer.js';
import { describeEnvironment, typedCommand } from './environment.js';
import { hyperParametersOf, type Plan, runOptionsOf } from './experiment.js';
import { type Interruption, interruption } from './interruption.js';
import { LastingMetrics, saveWithRoom } from './lasting-metrics.js';
import { cardOf } from './model-card.js';
import type { ChosenOptimizer } from './optimizers.js';
import type { Resumption } from './resume.js';
import { originOf, type RunConfig } from './run-config.js';
import {
  cardName,
  checkpointsName,
  configName,
  fileNames,
  RunFolder,
  type RunFolderOptions,
  type RunState,
} from './run-folder.js';
import { logsOf } from './run-logs.js';
import { startingLine } from './starting-line.js';

/** The results of a run. */
export interface Outcome {
  readonly record: RunRecord;
  /** Warnings about the run's results, a sentence each. */
  readonly warnings: readonly string[];
  /** The path of the model; undefined if no step was good. */
  readonly model: string | undefined;
  /** If the loss stopped being finite: what happened, and what is left. */
  readonly diverged?: string;
}

/** How a run can go on later, and what it goes on from. */
export interface Continuation {
  readonly config: RunConfig;
  /** When checkpoints are written; undefined if none are. */
  readonly every: Cadence | undefined;
  /** Number of checkpoints to keep. */
  readonly keep: number;
  readonly resumption?: Resumption | undefined;
}

export class Workbench {
  readonly progress: Progress;
  readonly #folder: RunFolder;
  readonly #threads: number;
  readonly #interruption: Interruption;
  #engine: Engine | undefined;
  #diverged = false;
  /** Whether it ended before its time. */
  #isStopped = false;

  private constructor(folder: RunFolder, threads: number) {
    this.#folder = folder;
    this.#threads = threads;
    this.progress = createProgress();
    this.#interruption = interruption(
      (line) => this.progress.print(line),
      async () => {
        await folder.close('interrupted');
      },
    );
  }

  /**
   * Open a workbench on a folder of its own, use it, and close it. A folder that was made for nothing is removed.
   * @throws what `RunFolder.open` and `use` throw
   */
  static async use(
    where: Omit<RunFolderOptions, 'command'> & { readonly command?: string },
    threads: number | undefined,
    use: (bench: Workbench) => Promise<void>,
  ): Promise<void> {
    const folder = await RunFolder.open({ command: typedCommand(), ...where });
    const bench = new Workbench(folder, threads ?? Math.min(availableParallelism(), mostThreads));
    // Each part is closed whatever happens to the others; the first error is the one to report.
    const errors: unknown[] = [];
    const attempt = async (part: () => Promise<void>) => {
      try {
        await part();
      } catch (error) {
        errors.push(error);
      }
    };
    await attempt(() => use(bench));
    const state = bench.#state(errors.length === 0);
    await attempt(async () => bench.#engine?.close());
    await attempt(async () => {
      if (await folder.close(state))
        bench.progress.print(`No model was saved: '${folder.path}' holds the run again that it held before.`);
    });
    bench.#interruption.dispose();
    const { exitCode } = bench.#interruption;
    if (exitCode !== undefined) process.exitCode = exitCode;
    if (errors.length > 0) throw errors[0];
  }

  #state(isDone: boolean): RunState {
    if (this.interrupted || this.#isStopped) return 'interrupted';
    if (this.#diverged) return 'diverged';
    return isDone ? 'finished' : 'failed';
  }

  get interrupted(): boolean {
    return this.#interruption.signal.aborted;
  }

  /** Print warnings and notes before the first step. */
  announce({ warnings, notes }: Plan): void {
    for (const warning of warnings) this.progress.print(`Warning: ${warning}`);
    for (const note of notes) this.progress.print(note);
  }

  get folder(): string {
    return this.#folder.path;
  }

  /** Whether the run can go on from a checkpoint. */
  get isResumable(): Promise<boolean> {
    return this.#folder.isResumable;
  }

  get threads(): number {
    return this.#threads;
  }

  warn(line: string): void {
    this.progress.print(`Warning: ${line}`);
  }

  /** Whether the run ended before its time, by a signal or its own limit. */
  get isStopped(): boolean {
    return this.interrupted || this.#isStopped;
  }

  /**
   * Train with one optimizer; the folder, or the one of that name in it, gets metrics.jsonl and model.onnx. Return undefined if the
   * run was interrupted before its first step.
   * @param name of the folder in it; empty for itself
   * @param continuation if the run can go on later
   */
  async run(
    plan: Plan,
    chosen: ChosenOptimizer,
    name: readonly string[] = [],
    continuation?: Continuation,
  ): Promise<Outcome | undefined> {
    if (this.interrupted) return undefined;
    const { model, task, total, flags } = plan;
    const resumed = continuation?.resumption?.state;
    const taken = resumed?.step ?? 0;
    const metrics = new LastingMetrics(
      async () => {
        if (continuation) await this.#writeConfig(continuation.config);
        return await this.#folder.write([...name, fileNames.metrics], (path) => this.#metricsAfter(path, taken));
      },
      (line) => this.progress.print(line),
    );
    this.progress.begin(chosen.label, total, runMetrics(task, flags)[0]?.name, taken);
    const save = async (trained: Plan['model']) => {
      metrics.close();
      const write = async (path: string) => {
        await saveModel(trained, path);
        return path;
      };
      return await saveWithRoom(
        () => this.#folder.write([...name, fileNames.model], write),
        () => this.#makeRoom([...name, fileNames.metrics]),
      );
    };
    try {
      this.#engine ??= await nodeEngine({ threads: this.#threads });
      const {
        model: trained,
        record: made,
        warnings,
        stopped,
      } = await runTask(
        model,
        task,
        {
          engine: this.#engine,
          optimizer: chosen.optimizer,
          ...runOptionsOf(plan),
          signal: this.#interruption.signal,
          callbacks: [
            {
              onStart: ({ startingPoint }) => {
                if (startingPoint === undefined) return;
                this.progress.print(startingLine(startingPoint, chosen.optimizer, model.hasNewHead === true));
              },
              onStep: async (step) => {
                if (!this.#begun()) return;
                await metrics.append(step);
                this.progress.update(step);
              },
            },
            ...this.#logs(plan, chosen, name),
          ],
        },
        {
          ...(continuation?.every && { checkpointing: this.#checkpointing(continuation, continuation.every, metrics) }),
          ...(resumed && { resumeFrom: resumed }),
        },
      );
      this.#isStopped = stopped === 'time';
      if (made.steps.length === 0) return undefined;
      const record = { ...made, name: chosen.label };
      const path = await save(trained);
      await this.#card(plan, record, warnings, name);
      this.progress.finish(record);
      return { record, model: path, warnings };
    } catch (error) {
      this.progress.finish();
      if (!(error instanceof DivergedError)) throw error;
      this.#diverged = true;
      const record = { ...error.record, name: chosen.label };
      // The failed step is in the record, too.
      if (record.steps.length <= 1) return { record, model: undefined, warnings: [], diverged: error.message };
      const path = await save(error.model);
      const left = `The last good parameters are saved as ${path}.`;
      return { record, model: path, warnings: [], diverged: `${error.message}. ${left}` };
    } finally {
      metrics.close();
    }
  }

  /** The logs beside metrics.jsonl that the flags ask for. */
  #logs(plan: Plan, { label }: ChosenOptimizer, name: readonly string[]): Callbacks[] {
    const place = {
      write: (file: string, write: (path: string) => Promise<void>) => this.#folder.write([...name, file], write),
      path: join(this.folder, ...name),
      isBegun: () => !this.#folder.isEmpty,
      warn: (line: string) => this.progress.print(line),
    };
    return logsOf(plan.flags, place, hyperParametersOf(plan, label));
  }

  /** Write the model card, unless there is a README.md of the user's. */
  async #card(plan: Plan, record: RunRecord, warnings: readonly string[], name: readonly string[]): Promise<void> {
    if (!(await mayWriteCard(join(this.folder, ...name, cardName)))) return;
    const environment = await describeEnvironment(this.#threads);
    const text = cardOf(plan, record, { command: typedCommand(), environment, warnings });
    try {
      await this.#folder.write([...name, cardName], (path) => writeFileAtomically(path, text));
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      this.progress.print(`Warning: there is no model card: ${error.message}`); // the model is saved
    }
  }

  /** Remove what is worth less than the model: older checkpoints; the metrics, if the run could not be repeated with them. */
  async #makeRoom(metrics: readonly string[]): Promise<void> {
    if (await this.#folder.keepNewestCheckpoint()) {
      this.warn('the disk is full; all checkpoints but the newest were removed to make room for the model.');
    } else if (!(await this.#folder.isResumable)) {
      await this.#folder.discard(...metrics);
      this.warn(`the disk is full; ${fileNames.metrics} was removed to make room for the model.`);
    }
  }

  /** Open the metrics of a run that goes on after some steps. */
  async #metricsAfter(path: string, taken: number): Promise<MetricsFile> {
    const file = await openMetricsFile(path, taken);
    if (file.lines < taken) this.warn(`${path} has ${file.lines} of the ${taken} steps before: the others are lost`);
    return file;
  }

  #writeConfig(config: RunConfig): Promise<void> {
    return this.#folder.write([configName], (path) =>
      writeFileAtomically(path, `${JSON.stringify(config, undefined, 2)}\n`),
    );
  }

  #checkpointing({ config, keep }: Continuation, every: Cadence, metrics: LastingMetrics): FileCheckpointing {
    const folder = join(this.folder, checkpointsName);
    return new FileCheckpointing(() => CheckpointFolder.open(folder, keep), {
      every,
      origin: originOf(config),
      warn: (line) => this.warn(line),
      before: () => metrics.sync(),
    });
  }

  /** Write report.html and return its path. */
  async report(title: string, experiments: readonly Experiment[]): Promise<string> {
    const environment = await describeEnvironment(this.#threads);
    const { renderReport } = await import('../reporting/report/index.js');
    this.#folder.results = runResults(experiments);
    const content = renderReport({ title, command: this.#folder.command, environment, experiments });
    return await this.#folder.write([fileNames.report], async (path) => {
      await writeFileAtomically(path, content);
      return path;
    });
  }

  /** Note that there is something to save from the first step on. Return false if a signal came before. */
  #begun(): boolean {
    if (this.#folder.isEmpty && this.interrupted) return false;
    this.#interruption.begin();
    return true;
  }
}
