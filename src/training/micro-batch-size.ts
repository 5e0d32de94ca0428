// How many examples a step computes at once.
import { OptionError } from '../errors.js';

export interface BatchOptions {
  /**
   * Examples that are computed at once; a step takes `accumulate` times as many. 128 by default, or fewer if the training set has
   * not enough for a step.
   */
  readonly batchSize?: number;
  /**
   * Number of micro-batches of a step, which are computed one after the other: 1 by default. The step is that of one batch of
   * `accumulate · batchSize` examples, in the memory of one micro-batch.
   */
  readonly accumulate?: number;
}

/**
 * Return the examples that a step computes at once, of those of a training set.
 * @throws OptionError if the set has fewer examples than a step has micro-batches
 */
export function microBatchSize(examples: number, { batchSize = 128, accumulate = 1 }: BatchOptions): number {
  if (accumulate === 1 || accumulate <= examples) return Math.min(batchSize, Math.floor(examples / accumulate));
  throw new OptionError(
    `accumulate is ${accumulate}, and the training set has ${examples} examples: a step takes at least one for each micro-batch`,
  );
}
