// How large a batch may be: steps of growing batches on the machine at hand, until one fails, needs too much memory or gains nothing.
import { OptionError } from '../errors.js';
import type { Model } from '../model/model.js';
import type { Optimizer } from '../optimizers/optimizer.js';
import type { LearningTask } from './task/task.js';
import { type RunOptions, runTask } from './trainer.js';

/** One size that was tried. */
export interface BatchTrial {
  readonly batchSize: number;
  /** Examples a second of the fastest step; 0 if it failed. */
  readonly throughput: number;
  /** Bytes of the process after its steps. */
  readonly bytes: number;
}

/** A batch size with the reason why it is no larger. */
export interface BatchChoice extends BatchTrial {
  readonly reason: string;
  readonly trials: readonly BatchTrial[];
}

/** What the machine says; tests give their own. */
export interface Machine {
  /** Take a few steps with batches of a size. @throws if there is no memory for it */
  trial(batchSize: number): Promise<BatchTrial>;
  /** Bytes that the process may have. */
  readonly mostBytes: number;
  /** Whether larger batches are worth their memory only if they are faster an example, as on processors. */
  readonly needsThroughput: boolean;
}

const smallest = 16;

/** A larger batch that is not faster by this share gains nothing; the search ends after so many in a row: timings are noisy. */
const [leastGain, mostMisses] = [0.05, 2];

/**
 * Return the largest power of two that fits into memory, and on processors the one beyond which batches are no faster an example.
 * @param examples of the training set: no batch is larger
 * @throws OptionError if not even the smallest batch fits
 */
export async function largestBatch(machine: Machine, examples: number): Promise<BatchChoice> {
  const trials: BatchTrial[] = [];
  let best: BatchTrial | undefined;
  let misses = 0;
  let reason = `the training set has ${examples} examples`;
  const start = 2 ** Math.floor(Math.log2(Math.min(smallest, examples)));
  for (let batchSize = start; batchSize <= examples; batchSize *= 2) {
    const [before, last] = trials.slice(-2);
    // What a larger batch adds doubles, too.
    const grows = before && last ? last.bytes - before.bytes : 0;
    if (last && last.bytes + 2 * Math.max(0, grows) > machine.mostBytes) {
      reason = `one of ${batchSize} would need more memory than there is`;
      break;
    }
    let trial: BatchTrial;
    try {
      trial = await machine.trial(batchSize);
    } catch (error) {
      if (error instanceof OptionError || !last) throw error;
      reason = `one of ${batchSize} failed (${error instanceof Error ? error.message.split('\n')[0] : String(error)})`;
      break;
    }
    trials.push(trial);
    const gains = !best || !machine.needsThroughput || trial.throughput >= (1 + leastGain) * best.throughput;
    if (gains) best = trial;
    misses = gains ? 0 : misses + 1;
    if (misses === mostMisses) {
      reason = 'larger ones are no faster an example';
      break;
    }
    if (trial.bytes > machine.mostBytes) {
      reason = 'it takes the memory that there is';
      break;
    }
  }
  if (!best) throw new OptionError('no batch size was tried: the training set is empty');
  return { ...best, reason, trials };
}

/** Ends a run without its final evaluations. */
class TrialEnded extends Error {}

/** Steps of a trial; the first one includes the setup of the runtime. */
const trialSteps = 4;

/**
 * Take a few steps with batches of a size. The given model does not change.
 * @param bytes the memory of the process
 */
export async function trialOf(
  model: Model,
  task: LearningTask,
  {
    optimizer,
    ...options
  }: Omit<RunOptions, 'steps' | 'epochs' | 'batchSize' | 'callbacks' | 'target'> & { readonly optimizer: Optimizer },
  batchSize: number,
  bytes: () => number,
): Promise<BatchTrial> {
  const seconds: number[] = [];
  const onStep = (record: { readonly seconds: number }) => {
    seconds.push(record.seconds);
    if (seconds.length >= trialSteps) throw new TrialEnded();
  };
  try {
    const steps = trialSteps + 1;
    await runTask(model, task, {
      ...options,
      optimizer,
      batchSize,
      steps,
      evaluateEvery: steps,
      callbacks: { onStep },
    });
  } catch (error) {
    if (!(error instanceof TrialEnded)) throw error;
  }
  const each = seconds.slice(1).map((end, i) => end - (seconds[i] ?? 0));
  return { batchSize, throughput: batchSize / Math.max(1e-9, Math.min(...each)), bytes: bytes() };
}
