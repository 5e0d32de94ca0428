// Trains a drawn problem and says how it ended, also where training throws.
import type { Engine } from '../../src/engine/engine.js';
import { adam } from '../../src/optimizers/adam.js';
import type { Optimizer } from '../../src/optimizers/optimizer.js';
import { train } from '../../src/training/trainer.js';
import type { DrawnProblem } from './drawn-problems.js';

/** Final losses of the whole sets; null where not finite, or where the run ended in an error. */
export interface FinalLosses {
  readonly train: number | null;
  readonly test: number | null;
  readonly error?: string;
}

/** Evaluated only at the end, on all examples. */
export async function trainProblem(
  engine: Engine,
  { model, data, batchSize, normalize }: DrawnProblem,
  optimizer: Optimizer,
  steps: number,
): Promise<FinalLosses> {
  const finite = (value: number) => (Number.isFinite(value) ? value : null);
  const normalization = normalize === false ? { normalize } : {};
  try {
    const { record } = await train(model, {
      engine,
      data,
      optimizer,
      batchSize,
      steps,
      seed: 1,
      evaluateEvery: steps,
      evaluationExamples: 1,
      ...normalization,
    });
    return { train: finite(record.train.loss), test: finite(record.test.loss) };
  } catch (error) {
    return { train: null, test: null, error: error instanceof Error ? error.message : String(error) };
  }
}

/** Losses of the model as training finds it: after a step that moves nothing. */
export const firstLosses = (engine: Engine, problem: DrawnProblem): Promise<FinalLosses> =>
  trainProblem(engine, problem, adam({ learningRate: 1e-12 }), 1);

/** Whether training ended above where it began, by more than the rounding of a sum. */
export const isAbove = (final: FinalLosses, first: FinalLosses): boolean =>
  final.train !== null && first.train !== null && final.train > first.train * (1 + 1e-5);
