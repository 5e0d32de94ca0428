// Whether a model's weights are trained for a task already: its loss before the first step beside that of a constant output.
import { gatherBatch } from '../data/batches.js';
import type { Dataset } from '../data/dataset.js';
import type { Engine } from '../engine/engine.js';
import { mapInputs } from '../graph/inputs.js';
import type { Loss } from '../losses/loss.js';
import { Objective } from '../losses/objective.js';
import type { Model } from '../model/model.js';
import { Builder } from '../ops/builder.js';
import { sampledExamples } from './evaluation/examples.js';
import { batchFeeds, inputKey, targetKey, weightsKey } from './step-program.js';

export interface Start {
  /** The loss of the model on a sample of the training set, in the units of its targets or in standardized ones. */
  readonly loss: number;
  /** The loss there of the mean of the model's outputs: what it would be if the model did not look at its inputs. */
  readonly chance: number;
  /** Examples of the sample. */
  readonly examples: number;
}

/** Most examples of the sample: the error of a few hundred matters little to a ratio of two losses of the same examples. */
const mostExamples = 500;

/** Weights look trained if the loss is below this share of that of chance: random outputs differ from their mean by less. */
const trainedShare = 0.9;

/**
 * Return the start of a model. The mean output needs no knowledge of the loss: of logits it is nearly the base rates, of
 * predicted numbers their mean.
 * @param engine whose store does not change
 */
export async function startOf(engine: Engine, model: Model, loss: Loss, train: Dataset): Promise<Start> {
  const batch = gatherBatch(train, sampledExamples(train, mostExamples));
  const { inputs, target, weights } = batch;
  const b = new Builder();
  const objective = new Objective(
    b,
    model,
    loss,
    mapInputs(inputs, ({ dtype, dims }, name) => b.input(inputKey(name), dtype, dims)),
    b.input(targetKey, target.dtype, target.dims),
    undefined,
    weights && b.input(weightsKey, weights.dtype, weights.dims),
  );
  const { output, targets, weights: own, loss: value } = objective.evaluate(new Map());
  const mean = b.expandLike(b.mean(output, [0], true), output);
  const graph = b.build(`start of ${model.name}`, { loss: value, chance: loss.value(b, mean, targets, own) });
  const store = engine.open();
  try {
    const program = await store.compile(graph);
    const results = await program.run(batchFeeds(batch));
    const [found, chance] = [results.loss, results.chance].map((result) => Number(result?.data[0]));
    return { loss: found ?? Number.NaN, chance: chance ?? Number.NaN, examples: target.dims[0] ?? 1 };
  } finally {
    await store.close();
  }
}

/**
 * Return the loss over that of chance, from 0 to 1; 1 if the weights do not look trained. A loss that may be negative is a negative
 * log-likelihood, or measured as one: its ratio is that of the likelihoods.
 */
export function startLossOf({ loss, chance }: Start, { mayBeNegative }: Pick<Loss, 'mayBeNegative'>): number {
  const ratio = mayBeNegative ? Math.exp(loss - chance) : loss / chance;
  return ratio < trainedShare ? ratio : 1;
}
