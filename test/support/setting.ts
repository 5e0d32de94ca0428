// What a run is about, for tests of optimizers: so many examples that no prior is added, and batches without extra damping.
import { type LossWord, lossOf } from '../../src/losses/index.js';
import type { Loss } from '../../src/losses/loss.js';
import type { Setting } from '../../src/optimizers/optimizer.js';

export const manyExamples = (loss: Loss | LossWord): Setting => ({
  loss: lossOf(loss),
  examples: 1e6,
  batchSize: 1000,
  isTable: false,
  isPretrained: false,
});
