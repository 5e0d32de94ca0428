// Runs optimizers on a plan one after another: progress, metrics files and models on the way, a report in the end.
import { rmdir, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { ensureWritableFolder, writeFileAtomically } from '../files.js';
import { saveModel } from '../model.js';
import { type MetricsFile, openMetricsFile } from '../reporting/metrics-file.js';
import { createProgress, type Progress } from '../reporting/progress.js';
import type { Experiment, RunRecord } from '../reporting/run-record.js';
import { metricFor } from '../training/metrics.js';
import { DivergedError } from '../training/run.js';
import { runTask } from '../training/trainer.js';
import { describeEnvironment, typedCommand } from './environment.js';
import type { Plan } from './experiment.js';
import { type Interruption, interruption } from './interruption.js';
import type { ChosenOptimizer } from './optimizers.js';

/** How a run ended. */
export interface Outcome {
  readonly record: RunRecord;
  /** What a person should know of the run, a sentence each; printed already. */
  readonly warnings: readonly string[];
  /** The loss stopped being finite: there is no model. */
  readonly diverged?: DivergedError;
}

export class Workbench {
  readonly progress: Progress;
  readonly #engine: Engine;
  readonly #threads: number;
  readonly #interruption: Interruption;

  private constructor(engine: Engine, threads: number) {
    this.#engine = engine;
    this.#threads = threads;
    this.progress = createProgress();
    this.#interruption = interruption((line) => this.progress.print(line));
  }

  /**
   * Opens a workbench whose files go to `folder`, uses it, and closes it. A folder that was made for nothing is removed.
   * @throws OptionError, FileError where the folder cannot be written; and what `use` throws
   */
  static async use<T>(folder: string, threads: number | undefined, use: (bench: Workbench) => Promise<T>): Promise<T> {
    const existed = await stat(folder).catch(() => undefined);
    await ensureWritableFolder(folder);
    const used = threads ?? availableParallelism();
    const engine = await nodeEngine({ threads: used });
    const bench = new Workbench(engine, used);
    try {
      return await use(bench);
    } finally {
      bench.#interruption.dispose();
      await engine.close();
      if (!existed) await rmdir(folder).catch(() => undefined); // not empty: there is something to keep
    }
  }

  get interrupted(): boolean {
    return this.#interruption.signal.aborted;
  }

  warn(warnings: readonly string[]): void {
    for (const warning of warnings) this.progress.print(`Warning: ${warning}`);
  }

  /** Trains with one optimizer; `folder` gets metrics.jsonl and model.onnx. Undefined where it was interrupted before its first step. */
  async run(
    { model, task, batchSize, total, flags }: Plan,
    chosen: ChosenOptimizer,
    folder: string,
  ): Promise<Outcome | undefined> {
    if (this.interrupted) return undefined;
    let metrics: MetricsFile | undefined;
    this.progress.begin(chosen.label, total, metricFor(task.loss).name);
    try {
      const { parameters, record, warnings } = await runTask(model, task, {
        engine: this.#engine,
        optimizer: chosen.optimizer,
        batchSize,
        steps: total,
        seed: flags.seed,
        signal: this.#interruption.signal,
        ...(flags.augment && { augment: flags.augment }),
        ...(flags.target && { target: flags.target }),
        ...(flags.evaluateEvery !== undefined && { evaluateEvery: flags.evaluateEvery }),
        ...(flags.evaluationExamples !== undefined && { evaluationExamples: flags.evaluationExamples }),
        onStep: async (step) => {
          metrics ??= await openEmpty(folder);
          metrics.append(step);
          this.progress.update(step);
        },
      });
      if (record.steps.length === 0) return undefined;
      await saveModel(model, parameters, join(folder, 'model.onnx'));
      const named = { ...record, name: chosen.label };
      this.progress.finish(named);
      this.warn(warnings);
      return { record: named, warnings };
    } catch (error) {
      this.progress.finish();
      if (!(error instanceof DivergedError)) throw error;
      return { record: { ...error.record, name: chosen.label }, warnings: [], diverged: error };
    } finally {
      metrics?.close();
    }
  }

  /** Writes report.html and returns its path. */
  async report(folder: string, title: string, experiments: readonly Experiment[]): Promise<string> {
    const path = join(folder, 'report.html');
    const environment = await describeEnvironment(this.#threads);
    const { renderReport } = await import('../reporting/report.js');
    await writeFileAtomically(path, renderReport({ title, command: typedCommand(), environment, experiments }));
    return path;
  }
}

async function openEmpty(folder: string): Promise<MetricsFile> {
  await ensureWritableFolder(folder);
  return openMetricsFile(join(folder, 'metrics.jsonl'));
}
