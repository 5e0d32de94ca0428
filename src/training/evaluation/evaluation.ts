// Evaluates a model on a data set: mean loss and metric, with the parameters that the engine's store holds now.
import { type Batch, gatherBatch } from '../../data/batches.js';
import type { Dataset } from '../../data/dataset.js';
import type { Engine, Program } from '../../engine/engine.js';
import { listInputs, mapInputs } from '../../graph/inputs.js';
import type { TensorData } from '../../graph/tensor.js';
import type { Loss } from '../../losses/loss.js';
import { Objective } from '../../losses/objective.js';
import type { Model } from '../../model/model.js';
import { Builder } from '../../ops/builder.js';
import type { Evaluation } from '../run-record.js';
import { batchFeeds, inputKey, targetKey } from '../step-program.js';
import type { Metric } from './metrics.js';

export interface Evaluator {
  /** Means over all examples of the set, or over those given. */
  evaluate(set: Dataset, indices?: Uint32Array): Promise<Evaluation>;
  /** What the model makes of the examples, batch by batch; by default of all of them. */
  predict(set: Dataset, indices?: Uint32Array): AsyncGenerator<Predictions>;
}

/** A batch of examples with the model's answers. */
interface Predictions {
  /** The examples' numbers in the set. */
  readonly indices: Uint32Array;
  readonly batch: Batch;
  /** Reconstructions in the range of the data, predictions in their units, or logits. */
  readonly prediction: TensorData;
}

const largestBatch = 500;

/** All examples in order, or those given, in batches. */
function* batchesOf(set: Dataset, indices: Uint32Array = Uint32Array.from({ length: set.size }, (_, i) => i)) {
  for (let start = 0; start < indices.length; start += largestBatch) {
    const some = indices.slice(start, start + largestBatch);
    yield { indices: some, batch: gatherBatch(set, some), share: some.length / indices.length };
  }
}

/**
 * The network is evaluated as it is used: without dropout, normalized by the running averages.
 * @param engine whose closing frees the programs
 * @param keys where the engine's store holds each parameter and each running average
 */
export function evaluator(
  engine: Engine,
  model: Model,
  loss: Loss,
  metric: Metric,
  keys: ReadonlyMap<string, string>,
): Evaluator {
  // One program for each batch size that occurs: the full one and a set's remainder.
  const programs = new Map<string, Program>();
  const programFor = async ({ inputs, target }: Batch): Promise<Program> => {
    const key = [...listInputs(inputs).map(([, input]) => input), target].map(({ dims }) => dims.join()).join('|');
    const known = programs.get(key);
    if (known) return known;
    const program = await engine.compile(evaluationGraph(model, loss, metric, keys, { inputs, target }));
    programs.set(key, program);
    return program;
  };
  const run = async (batch: Batch) => (await programFor(batch)).run(batchFeeds(batch));
  return {
    async evaluate(set, chosen) {
      const totals = { loss: 0, metric: 0 };
      for (const { batch, share } of batchesOf(set, chosen)) {
        const result = await run(batch);
        totals.loss += share * Number(result.loss?.data[0]);
        totals.metric += share * Number(result.metric?.data[0]);
      }
      return { loss: totals.loss, [metric.name]: totals.metric };
    },
    async *predict(set, chosen) {
      for (const { indices, batch } of batchesOf(set, chosen)) {
        const { prediction } = await run(batch);
        if (!prediction) throw new Error('an evaluation program has the output prediction');
        yield { indices, batch, prediction };
      }
    },
  };
}

function evaluationGraph(
  model: Model,
  loss: Loss,
  metric: Metric,
  keys: ReadonlyMap<string, string>,
  { inputs, target }: Batch,
) {
  const b = new Builder();
  const objective = new Objective(
    b,
    model,
    loss,
    mapInputs(inputs, ({ dtype, dims }, name) => b.input(inputKey(name), dtype, dims)),
    b.input(targetKey, target.dtype, target.dims),
  );
  const parameters = new Map(
    [...model.parameters, ...model.statistics].flatMap(([name, { dtype, dims }]) => {
      const key = keys.get(name);
      return key === undefined ? [] : [[name, b.input(key, dtype, dims)]];
    }),
  );
  const forward = objective.evaluate(parameters);
  const outputs = { loss: forward.reported, metric: metric.value(b, forward), prediction: metric.shown(b, forward) };
  return b.build(`evaluation of ${model.name}`, outputs);
}
