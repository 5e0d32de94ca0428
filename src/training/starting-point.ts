// Whether a model's weights are trained for a task already: its loss before the first step beside that of a constant output.
import { gatherBatch } from '../data/batches.js';
import type { Dataset } from '../data/dataset.js';
import type { Engine } from '../engine/engine.js';
import { mapInputs } from '../graph/inputs.js';
import type { TensorData } from '../graph/tensor.js';
import type { Loss } from '../losses/loss.js';
import { Objective } from '../losses/objective.js';
import type { Model } from '../model/model.js';
import { Builder } from '../ops/builder.js';
import { sampledExamples } from './evaluation/examples.js';
import { batchFeeds, inputKey, targetKey, weightsKey } from './step-program.js';

/** How good the weights of a model from a file, or from training, are at the task before the first step. */
export interface StartingPoint {
  /** The loss of the model on a sample of the training set, in the units of its targets or in standardized ones. */
  readonly loss: number;
  /** The loss there of the mean of the model's outputs: what it would be if the model did not look at its inputs. */
  readonly chance: number;
  /** Examples of the sample. */
  readonly examples: number;
  /** The loss over that of chance, from 0 to 1; 1 if the weights do not look trained. */
  readonly share: number;
}

/** Most examples of the sample: the error of a few hundred matters little to a ratio of two losses of the same examples. */
const mostExamples = 500;

/** Weights look trained if the loss is below this share of that of chance: random outputs differ from their mean by less. */
const trainedShare = 0.75;

/**
 * Return the starting point of a model. The mean output needs no knowledge of the loss: of logits it is nearly the base rates, of
 * predicted numbers their mean.
 * @param engine whose store does not change
 */
export async function startingPoint(engine: Engine, model: Model, loss: Loss, train: Dataset): Promise<StartingPoint> {
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
  const { output, targets, weights: counts, loss: value } = objective.evaluate(new Map());
  const mean = b.expandLike(b.mean(output, [0], true), output);
  const graph = b.build(`starting point of ${model.name}`, {
    loss: value,
    chance: loss.value(b, mean, targets, counts),
  });
  const store = engine.open();
  try {
    const program = await store.compile(graph);
    const results = await program.run(batchFeeds(batch));
    const own = { loss: numberOf(results.loss), chance: numberOf(results.chance) };
    return { ...own, examples: target.dims[0] ?? 1, share: shareOf(own, loss) };
  } finally {
    await store.close();
  }
}

const numberOf = (scalar: TensorData | undefined): number => Number(scalar?.data[0]);

/**
 * Return the loss over that of chance; 1 if the weights do not look trained. A loss that may be negative counts as a negative
 * log-likelihood: the share is that of the likelihoods.
 */
function shareOf(
  { loss, chance }: Pick<StartingPoint, 'loss' | 'chance'>,
  { mayBeNegative }: Pick<Loss, 'mayBeNegative'>,
): number {
  const share = mayBeNegative ? Math.exp(loss - chance) : loss / chance;
  return share < trainedShare ? share : 1;
}
