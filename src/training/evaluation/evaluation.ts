// Evaluates a model on a data set: mean loss and metrics, exact however the set is cut into batches.
import { type Batch, gatherBatch } from '../../data/batches.js';
import type { Dataset } from '../../data/dataset.js';
import type { Engine, Program } from '../../engine/engine.js';
import type { Graph, Value } from '../../graph/graph.js';
import { listInputs, mapInputs } from '../../graph/inputs.js';
import type { TensorData } from '../../graph/tensor.js';
import type { LossWord } from '../../losses/index.js';
import type { Loss } from '../../losses/loss.js';
import { Objective } from '../../losses/objective.js';
import { Accumulation, type MetricParts, metricParts } from '../../metrics/accumulate.js';
import { type MetricWord, metricsOf } from '../../metrics/index.js';
import type { Metric } from '../../metrics/metric.js';
import type { Model } from '../../model/model.js';
import { Builder } from '../../ops/builder.js';
import { checkedCount } from '../../options.js';
import type { Evaluation } from '../run-record.js';
import { batchFeeds, inputKey, targetKey, weightsKey } from '../step-program.js';
import { learningTask } from '../task/task.js';

export interface EvaluationRequest {
  /** By default what model and data suggest; see `learningTask`. */
  readonly loss?: Loss | LossWord;
  /** By default the loss's own. */
  readonly metrics?: readonly (Metric | MetricWord)[];
  /** Examples that are computed at once; 500 by default. The result does not depend on it. */
  readonly batchSize?: number;
}

export interface ModelEvaluation {
  /** The loss, and each metric by its name. */
  readonly values: Evaluation;
  /** By the names of those metrics that have one: the counts of a confusion matrix. */
  readonly tables: Readonly<Record<string, readonly (readonly number[])[]>>;
}

/**
 * A model on a whole set with the parameters that it holds: mean loss and metrics.
 * @param engine where to compute; it stays open
 * @throws OptionError where the data do not fit the model, or a metric does not fit the data
 * @example
 * const { values } = await evaluateModel(engine, model, test, { metrics: [accuracy()] });
 */
export async function evaluateModel(
  engine: Engine,
  model: Model,
  set: Dataset,
  { loss: given, metrics, batchSize = largestBatch }: EvaluationRequest = {},
): Promise<ModelEvaluation> {
  checkedCount('batchSize', batchSize);
  const { loss, data } = learningTask(model, { train: set, test: set }, given);
  const own = engine.open();
  try {
    const evaluator = new ModelEvaluator(
      own,
      model,
      loss,
      metrics ? metricsOf(metrics) : [loss.metric],
      new Map(),
      batchSize,
    );
    return await evaluator.measure(data.test);
  } finally {
    await own.close();
  }
}

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

/** A program for batches of one size, and what it computes. */
interface Compiled {
  readonly program: Program;
  readonly metrics: readonly MetricParts[];
}

/**
 * Judges a model with the parameters that the engine's store holds now. The network is evaluated as it is used: without
 * dropout, normalized by the running averages.
 */
export class ModelEvaluator implements Evaluator {
  readonly #engine: Engine;
  readonly #model: Model;
  readonly #loss: Loss;
  readonly #metrics: readonly Metric[];
  readonly #keys: ReadonlyMap<string, string>;
  readonly #batchSize: number;
  /** One program for each batch size that occurs: the full one and a set's remainder. */
  readonly #programs = new Map<string, Compiled>();

  /**
   * @param engine whose closing frees the programs
   * @param keys where the engine's store holds each parameter and each running average; others are as the model has them
   */
  constructor(
    engine: Engine,
    model: Model,
    loss: Loss,
    metrics: readonly Metric[],
    keys: ReadonlyMap<string, string>,
    batchSize: number = largestBatch,
  ) {
    this.#engine = engine;
    this.#model = model;
    this.#loss = loss;
    this.#metrics = metrics;
    this.#keys = keys;
    this.#batchSize = batchSize;
  }

  async evaluate(set: Dataset, indices?: Uint32Array): Promise<Evaluation> {
    return (await this.measure(set, indices)).values;
  }

  /**
   * Checks that the metrics fit the targets, before a run is long.
   * @throws OptionError naming the metric that does not
   */
  check(set: Dataset): void {
    this.#graph(gatherBatch(set, [0]));
  }

  async measure(set: Dataset, indices?: Uint32Array): Promise<ModelEvaluation> {
    const totals = this.#metrics.map(() => new Accumulation());
    let [loss, mass] = [0, 0];
    for (const { batch } of this.#batches(set, indices)) {
      const { program, metrics } = await this.#programFor(batch);
      const results = await program.run(batchFeeds(batch));
      const share = Number(results.mass?.data[0] ?? batch.target.dims[0]);
      // A batch that does not count may have no loss.
      if (share !== 0) loss += share * Number(results.loss?.data[0]);
      mass += share;
      for (const [i, parts] of metrics.entries()) totals[i]?.add(parts, results);
    }
    const found = this.#metrics.map((metric, i) => ({ metric, numbers: totals[i]?.numbers ?? {} }));
    return {
      values: {
        loss: loss / mass,
        ...Object.fromEntries(found.map(({ metric, numbers }) => [metric.name, metric.value(numbers)])),
      },
      tables: Object.fromEntries(
        found.flatMap(({ metric, numbers }) => (metric.table ? [[metric.name, metric.table(numbers)]] : [])),
      ),
    };
  }

  async *predict(set: Dataset, chosen?: Uint32Array): AsyncGenerator<Predictions> {
    for (const { indices, batch } of this.#batches(set, chosen)) {
      const { program } = await this.#programFor(batch);
      const { prediction } = await program.run(batchFeeds(batch));
      if (!prediction) throw new Error('an evaluation program has the output prediction');
      yield { indices, batch, prediction };
    }
  }

  /** All examples in order, or those given, in batches. */
  *#batches(set: Dataset, indices: Uint32Array = Uint32Array.from({ length: set.size }, (_, i) => i)) {
    for (let start = 0; start < indices.length; start += this.#batchSize) {
      const some = indices.slice(start, start + this.#batchSize);
      yield { indices: some, batch: gatherBatch(set, some) };
    }
  }

  async #programFor(batch: Batch): Promise<Compiled> {
    const columns = [...listInputs(batch.inputs).map(([, input]) => input), batch.target];
    const key = columns.map(({ dims }) => dims.join()).join('|');
    const known = this.#programs.get(key);
    if (known) return known;
    const { graph, metrics } = this.#graph(batch);
    const compiled = { program: await this.#engine.compile(graph), metrics };
    this.#programs.set(key, compiled);
    return compiled;
  }

  #graph({ inputs, target, weights }: Batch): { readonly graph: Graph; readonly metrics: readonly MetricParts[] } {
    const b = new Builder();
    const model = this.#model;
    const objective = new Objective(
      b,
      model,
      this.#loss,
      mapInputs(inputs, ({ dtype, dims }, name) => b.input(inputKey(name), dtype, dims)),
      b.input(targetKey, target.dtype, target.dims),
      undefined,
      weights && b.input(weightsKey, weights.dtype, weights.dims),
    );
    const parameters = new Map(
      [...model.parameters, ...model.statistics].flatMap(([name, { dtype, dims }]) => {
        const key = this.#keys.get(name);
        return key === undefined ? [] : [[name, b.input(key, dtype, dims)]];
      }),
    );
    const forward = objective.evaluate(parameters);
    const { output, expected, targets, reported: loss, weights: own } = forward;
    const mass = this.#loss.mass?.(b, output, targets, own) ?? (own && b.sum(own));
    const metrics = this.#metrics.map((metric, i) => metricParts(b, metric, forward, `metric${i}`));
    const outputs: Record<string, Value> = {
      loss,
      ...(mass && { mass }),
      prediction: forward.kind === 'labels' ? output : expected,
      ...Object.assign({}, ...metrics.map((parts) => parts.outputs)),
    };
    return { graph: b.build(`evaluation of ${model.name}`, outputs), metrics };
  }
}
