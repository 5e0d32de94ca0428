// How long a run is, and the batches of its steps.
import { variation } from '../data/augment.js';
import { type Batches, trainingBatches } from '../data/batches.js';
import { exampleCount } from '../data/dataset.js';
import { streamedBatches } from '../data/stream-batches.js';
import { OptionError } from '../errors.js';
import { checkedNumber, mostSteps } from '../options.js';
import { type BatchOptions, usualBatchSize } from './batch-options.js';
import { mixedTargets } from './task/mixed-targets.js';
import type { LearningTask } from './task/task.js';
import type { RunOptions } from './trainer.js';

/** How long a run is. */
export interface PlannedRun {
  readonly steps: number;
  /** Rows of each step's batch, at most the wanted ones. */
  readonly batchSize: number;
  readonly stepsPerEpoch: number;
  /** Training examples. */
  readonly examples: number;
}

/**
 * Return how long a run will be.
 * @throws OptionError unless exactly one of steps and epochs is given
 */
export function plannedRun(task: LearningTask, options: Omit<RunOptions, 'engine' | 'optimizer'>): PlannedRun {
  const { batchSize, stepsPerEpoch } = batchesFor(task, options);
  const examples = exampleCount(task.data.train);
  return { steps: stepsOf(options, stepsPerEpoch), batchSize, stepsPerEpoch, examples };
}

export function batchesFor(
  task: LearningTask,
  options: Pick<RunOptions, keyof BatchOptions | 'seed' | 'augment' | 'sampling'>,
): Batches {
  const { batchSize = usualBatchSize, accumulate = 1, seed = 0, augment, sampling } = options;
  const { train } = task.data;
  if (train.parts && sampling) {
    throw new OptionError(
      `'${train.name}' is streamed: its parts decide the order of its examples; leave sampling out`,
    );
  }
  const layout = { batchSize: accumulate * batchSize, multiple: accumulate, seed };
  const batches = train.parts
    ? streamedBatches(train.name, train.parts, layout)
    : trainingBatches(train, { ...layout, ...(sampling && { sampling }) });
  if (!augment) return batches;
  const vary = variation(train, augment, seed, () => mixedTargets(task));
  const { batchSize: rows, stepsPerEpoch } = batches;
  return { batchSize: rows, stepsPerEpoch, at: async (step) => vary(await batches.at(step), step) };
}

export function stepsOf({ steps, epochs }: Pick<RunOptions, 'steps' | 'epochs'>, stepsPerEpoch: number): number {
  if ((steps === undefined) === (epochs === undefined)) throw new OptionError('give either steps or epochs');
  if (steps !== undefined) return checkedNumber('steps', steps, { atLeast: 1, atMost: mostSteps, integer: true });
  const most = Math.floor(mostSteps / stepsPerEpoch);
  return Math.ceil(checkedNumber('epochs', epochs ?? 1, { above: 0, atMost: most }) * stepsPerEpoch);
}
