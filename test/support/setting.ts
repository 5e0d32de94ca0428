// What a run is about, for tests of optimizers: so many examples that no prior is added, and batches without extra damping.
import type { LossName } from '../../src/losses/loss.js';
import type { Setting } from '../../src/optimizers/optimizer.js';

export const manyExamples = (loss: LossName): Setting => ({
  loss,
  examples: 1e6,
  batchSize: 1000,
  isTable: false,
  isPretrained: false,
});
