// `cgfac train --dry-run`: a few steps, an evaluation, a checkpoint that is read back; then what the whole run will cost.
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileCheckpointing } from '../api/checkpointing.js';
import { nodeEngine } from '../engine/node.js';
import { FileError } from '../errors.js';
import { CheckpointFolder, newestCheckpoint } from '../files/checkpoints.js';
import { formatBytes, formatCount, formatSeconds } from '../format.js';
import { cadence } from '../training/cadence.js';
import { runTask } from '../training/trainer.js';
import { type Plan, runOptionsOf } from './experiment.js';
import type { ChosenOptimizer } from './optimizers.js';
import { aligned } from './output.js';

/** What a run of a few steps says of the whole one. */
export interface Forecast {
  readonly steps: number;
  readonly examplesPerStep: number;
  readonly secondsPerStep: number;
  /** Of the first step, which sets up the runtime. */
  readonly firstStepSeconds: number;
  readonly evaluations: number;
  readonly secondsPerEvaluation: number;
  readonly finalEvaluationSeconds: number;
  readonly checkpointBytes: number;
  readonly stateBytes: number;
  /** Of this process so far. */
  readonly residentBytes: number;
  /** Of the whole run, in all. */
  readonly seconds: number;
}

/** Steps of a dry run: the first sets up the runtime. */
const dryRunSteps = 6;

/** Take the steps in a folder that is removed afterwards. @throws what training throws, and FileError for a checkpoint that fails */
export async function dryRun(plan: Plan, chosen: ChosenOptimizer, threads: number): Promise<Forecast> {
  const folder = await mkdtemp(join(tmpdir(), 'cgfac-dry-run-'));
  const engine = await nodeEngine({ threads });
  const ends: number[] = [];
  const steps = Math.min(plan.total, dryRunSteps);
  const every = plan.flags.evaluateEvery ?? Math.ceil(plan.total / 10);
  try {
    const failed: string[] = [];
    const checkpointing = new FileCheckpointing(() => CheckpointFolder.open(folder, 1), {
      every: cadence('every', 1),
      origin: {},
      warn: (line) => failed.push(line),
    });
    const { record } = await runTask(
      plan.model,
      plan.task,
      {
        ...runOptionsOf(plan),
        engine,
        optimizer: chosen.optimizer,
        steps,
        evaluateEvery: steps,
        callbacks: { onStep: () => void ends.push(performance.now()) },
      },
      { checkpointing },
    );
    const ended = performance.now();
    if (failed[0] !== undefined) throw new FileError(failed[0]);
    const found = steps > 1 ? await newestCheckpoint(folder, (line) => failed.push(line)) : undefined;
    const durations = record.steps.map(({ seconds }, i) => seconds - (record.steps[i - 1]?.seconds ?? 0));
    const [first = 0, ...rest] = durations;
    const perStep = median(rest.length > 0 ? rest : durations);
    const [before = 0, last = 0] = ends.slice(-2);
    const perEvaluation = Math.max(0, (last - before) / 1000 - (durations.at(-1) ?? 0));
    const finalEvaluation = (ended - (ends.at(-1) ?? ended)) / 1000;
    const evaluations = Math.ceil(plan.total / every);
    return {
      steps: plan.total,
      examplesPerStep: plan.batchSize,
      secondsPerStep: perStep,
      firstStepSeconds: first,
      evaluations,
      secondsPerEvaluation: perEvaluation,
      finalEvaluationSeconds: finalEvaluation,
      checkpointBytes: found ? (await stat(found.path)).size : 0,
      stateBytes: record.stateBytes,
      residentBytes: process.memoryUsage().rss,
      seconds: first + perStep * (plan.total - 1) + perEvaluation * evaluations + finalEvaluation,
    };
  } finally {
    await engine.close();
    await rm(folder, { recursive: true, force: true });
  }
}

const median = (values: readonly number[]): number =>
  [...values].sort((x, y) => x - y)[Math.floor(values.length / 2)] ?? 0;

/** Return the forecast in lines. @param keep number of checkpoints that the run keeps; 0 for none */
export function forecastLines(forecast: Forecast, keep: number): string[] {
  const { steps, examplesPerStep, secondsPerStep, firstStepSeconds, evaluations, secondsPerEvaluation } = forecast;
  const { checkpointBytes, stateBytes, residentBytes, seconds, finalEvaluationSeconds } = forecast;
  const disk = formatBytes(checkpointBytes * keep);
  return [
    'Dry run: steps, an evaluation and a checkpoint work. Nothing was kept.',
    ...aligned(
      [
        ['steps', `${formatCount(steps)} of ${formatCount(examplesPerStep)} examples`],
        ['a step', `${formatSeconds(secondsPerStep)} (the first ${formatSeconds(firstStepSeconds)})`],
        [
          'evaluations',
          `${formatCount(evaluations)}, ${formatSeconds(secondsPerEvaluation)} each, at the end ${formatSeconds(finalEvaluationSeconds)}`,
        ],
        ...(keep > 0 && checkpointBytes > 0
          ? [['checkpoints', `${formatBytes(checkpointBytes)} each, ${disk} for ${keep}`]]
          : []),
        ['memory', `${formatBytes(stateBytes)} of optimizer state; this process ${formatBytes(residentBytes)}`],
        ['whole run', `about ${formatSeconds(seconds)}`],
      ],
      2,
    ).map((line) => `  ${line}`),
  ];
}
