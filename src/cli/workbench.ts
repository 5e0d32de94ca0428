// Runs optimizers on a plan one after another: progress, metrics files and models on the way, a report at the end.
import { availableParallelism } from 'node:os';
import { saveModel } from '../api/load-save.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { writeFileAtomically } from '../files/write.js';
import { mostThreads } from '../options.js';
import { openMetricsFile } from '../reporting/metrics-file.js';
import { createProgress, type Progress } from '../reporting/progress.js';
import { DivergedError } from '../training/run.js';
import type { Experiment, RunRecord } from '../training/run-record.js';
import { runMetrics, runTask } from '../training/trainer.js';
import { describeEnvironment, typedCommand } from './environment.js';
import type { Plan } from './experiment.js';
import { type Interruption, interruption } from './interruption.js';
import { LastingMetrics, saveWithRoom } from './lasting-metrics.js';
import type { ChosenOptimizer } from './optimizers.js';
import { fileNames, RunFolder, type RunFolderOptions, type RunState } from './run-folder.js';
import { stoppingOptions } from './stopping-flags.js';

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

export class Workbench {
  readonly progress: Progress;
  readonly #folder: RunFolder;
  readonly #threads: number;
  readonly #interruption: Interruption;
  #engine: Engine | undefined;
  #diverged = false;

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
    where: Omit<RunFolderOptions, 'command'>,
    threads: number | undefined,
    use: (bench: Workbench) => Promise<void>,
  ): Promise<void> {
    const folder = await RunFolder.open({ ...where, command: typedCommand() });
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
    if (this.interrupted) return 'interrupted';
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

  /**
   * Train with one optimizer; the folder, or the one of that name in it, gets metrics.jsonl and model.onnx. Return undefined if the
   * run was interrupted before its first step.
   */
  async run(
    { model, task, batchSize, total, flags }: Plan,
    chosen: ChosenOptimizer,
    ...name: readonly string[]
  ): Promise<Outcome | undefined> {
    if (this.interrupted) return undefined;
    const metrics = new LastingMetrics(
      () => this.#folder.write([...name, fileNames.metrics], openMetricsFile),
      (line) => this.progress.print(line),
    );
    this.progress.begin(chosen.label, total, runMetrics(task, flags)[0]?.name);
    const save = async (trained: Plan['model']) => {
      metrics.close();
      const write = async (path: string) => {
        await saveModel(trained, path);
        return path;
      };
      return await saveWithRoom(
        () => this.#folder.write([...name, fileNames.model], write),
        async () => {
          await this.#folder.discard(...name, fileNames.metrics);
          this.progress.print(
            `Warning: the disk is full; ${fileNames.metrics} was removed to make room for the model.`,
          );
        },
      );
    };
    try {
      this.#engine ??= await nodeEngine({ threads: this.#threads });
      const {
        model: trained,
        record: made,
        warnings,
      } = await runTask(model, task, {
        engine: this.#engine,
        optimizer: chosen.optimizer,
        batchSize,
        steps: total,
        seed: flags.seed,
        signal: this.#interruption.signal,
        ...(flags.augment && { augment: flags.augment }),
        ...(flags.metrics && { metrics: flags.metrics }),
        ...(flags.target && { target: flags.target }),
        ...stoppingOptions(flags),
        ...(flags.evaluateEvery !== undefined && { evaluateEvery: flags.evaluateEvery }),
        ...(flags.evaluationExamples !== undefined && { evaluationExamples: flags.evaluationExamples }),
        callbacks: {
          onStep: async (step) => {
            if (!this.#begun()) return;
            await metrics.append(step);
            this.progress.update(step);
          },
        },
      });
      if (made.steps.length === 0) return undefined;
      const record = { ...made, name: chosen.label };
      const path = await save(trained);
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

  /** Write report.html and return its path. */
  async report(title: string, experiments: readonly Experiment[]): Promise<string> {
    const environment = await describeEnvironment(this.#threads);
    const { renderReport } = await import('../reporting/report/index.js');
    const content = renderReport({ title, command: typedCommand(), environment, experiments });
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
