// How many examples a step takes, and how many of them it computes at once.

export interface BatchOptions {
  /**
   * Most examples that are computed at once, 128 by default; a step takes `accumulate` times as many. The examples of an epoch are
   * divided into as few steps as there must be, all of one size.
   */
  readonly batchSize?: number;
  /**
   * Number of micro-batches of a step, which are computed one after the other: 1 by default. The step is that of one batch of
   * `accumulate · batchSize` examples, in the memory of one micro-batch.
   */
  readonly accumulate?: number;
}

export const usualBatchSize = 128;
