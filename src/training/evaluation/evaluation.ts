// Evaluates a model on a data set: mean loss and metrics, exact for any batches of the set.
import { type Batch, gatherBatch } from '../../data/batches.js';
import type { Dataset } from '../../data/dataset.js';
import type { Engine, Program } from '../../engine/engine.js';
import { OptionError } from '../../errors.js';
import type { Graph, Value } from '../../graph/graph.js';
import { listInputs, mapInputs } from '../../graph/inputs.js';
import type { TensorData } from '../../graph/tensor.js';
import type { LossWord } from '../../losses/index.js';
import type { Loss } from '../../losses/loss.js';
import { type Forward, Objective } from '../../losses/objective.js';
import { Accumulation, checkSums, figureOf, type MetricParts, metricParts, tableOf } from '../../metrics/accumulate.js';
import { type MetricWord, metricsOf } from '../../metrics/index.js';
import type { Metric } from '../../metrics/metric.js';
import type { Model } from '../../model/model.js';
import { Builder } from '../../ops/builder.js';
import { checkedCount } from '../../options.js';
import type { Evaluation } from '../run-record.js';
import { batchFeeds, inputKey, targetKey, weightsKey } from '../step-program.js';
import { learningTask } from '../task/task.js';
import { notFinite } from '../warnings.js';
import type { ConstantAnswer } from './constant-answer.js';
import { evaluatedExamples } from './examples.js';

export interface EvaluationRequest {
  /**
   * By default what model and data suggest (see `learningTask`), which need not be the loss that the model was trained with;
   * the result says which it was.
   */
  readonly loss?: Loss | LossWord;
  /** By default the metric of the loss. */
  readonly metrics?: readonly (Metric | MetricWord)[];
  /** Examples computed at once; 500 by default. The result does not depend on it. */
  readonly batchSize?: number;
}

export interface ModelEvaluation {
  /** The loss, and each metric by its name. */
  readonly values: Evaluation;
  /** Tables by the names of the metrics that have one, such as the counts of a confusion matrix. */
  readonly tables: Readonly<Record<string, readonly (readonly number[])[]>>;
}

/** What a model comes to on a set, and by which loss. */
export interface EvaluatedModel extends ModelEvaluation {
  /** The name of the loss that `values.loss` is of. */
  readonly loss: string;
  /** What a person should know, a sentence each: that labels of the data are left aside, that a value is not finite. */
  readonly warnings: readonly string[];
}

/** A set, or parts of one that follow each other, such as those of a set larger than memory. */
export type EvaluatedSets = Dataset | Iterable<Dataset> | AsyncIterable<Dataset>;

/**
 * Return the mean loss and the metrics of a model on a whole set, or on all parts of one together.
 * @param engine which stays open
 * @throws OptionError if the data do not fit the model or have no examples, or a metric does not fit the data
 * @example
 * const { values } = await evaluateModel(engine, model, test, { metrics: [accuracy()] });
 */
export async function evaluateModel(
  engine: Engine,
  model: Model,
  sets: EvaluatedSets,
  { loss, metrics, batchSize = largestBatch }: EvaluationRequest = {},
): Promise<EvaluatedModel> {
  checkedCount('batchSize', batchSize);
  const own = engine.open();
  try {
    let begun:
      | { readonly loss: Loss; readonly measurement: Measurement; readonly about: readonly string[] }
      | undefined;
    const names: string[] = [];
    for await (const set of partsOf(sets)) {
      if (set.size === 0) continue;
      const task = learningTask(model, { train: set, test: set }, begun?.loss ?? loss);
      const { test } = task.data;
      if (!begun) {
        const chosen = metrics ? metricsOf(metrics) : [task.loss.metric];
        const evaluator = new ModelEvaluator(own, model, task.loss, chosen, new Map(), batchSize);
        evaluator.check(test);
        begun = { loss: task.loss, measurement: evaluator.begin(), about: task.warnings };
      }
      await begun.measurement.add(test);
      names.push(set.name);
    }
    if (!begun) throw new OptionError('the data to evaluate a model on have no examples');
    const measured = begun.measurement.result();
    const warnings = [...begun.about, ...notFinite(measured.values, `the set '${names.join("', '")}'`)];
    return { ...measured, loss: begun.loss.name, warnings };
  } finally {
    await own.close();
  }
}

const partsOf = (sets: EvaluatedSets): Iterable<Dataset> | AsyncIterable<Dataset> =>
  Symbol.asyncIterator in sets || Symbol.iterator in sets ? sets : [sets];

/** The measuring of a set that comes in parts. */
interface Measurement {
  /** Add the examples of a set, or the given ones. */
  add(set: Dataset, indices?: Uint32Array): Promise<void>;
  /** Return loss and metrics of all that was added. */
  result(): ModelEvaluation;
}

export interface Evaluator {
  /** Return loss and metrics over all examples of the set, or over the given ones. */
  evaluate(set: Dataset, indices?: Uint32Array): Promise<Evaluation>;
  /** Return the model's predictions for all examples of the set, or for the given ones, batch by batch. */
  predict(set: Dataset, indices?: Uint32Array): AsyncGenerator<Predictions>;
  /** Return the metrics that one answer for all examples of the set comes to; undefined if it does not fit the model's output. */
  evaluateConstant(set: Dataset, answer: ConstantAnswer): Promise<Readonly<Record<string, number>> | undefined>;
}

/** A batch of examples with the model's predictions. */
export interface Predictions {
  /** The examples' numbers in the set. */
  readonly indices: Uint32Array;
  readonly batch: Batch;
  /** Reconstructions in the range of the data, predictions in their units, or logits. */
  readonly prediction: TensorData;
  /** The expected targets: probabilities of the classes along the last axis, probabilities of 1, or numbers. */
  readonly expected: TensorData;
}

const largestBatch = 500;

/** What a program for batches of one size computes: figures, what the model says, or the figures of a constant answer. */
type Purpose = 'figures' | 'predictions' | ConstantAnswer;

/** A program for batches of one size, and the metrics that it computes. */
interface Compiled {
  readonly program: Program;
  readonly metrics: readonly MetricParts[];
}

/**
 * Evaluates a model with the current parameters in the engine's store, as in use: without dropout, normalized by the running
 * averages.
 */
export class ModelEvaluator implements Evaluator {
  readonly #engine: Engine;
  readonly #model: Model;
  readonly #loss: Loss;
  readonly #metrics: readonly Metric[];
  readonly #keys: ReadonlyMap<string, string>;
  readonly #batchSize: number;
  /** One program for each purpose and batch size, with weights and without: the full one and a set's remainder. */
  readonly #programs = new Map<Purpose, Map<string, Compiled>>();

  /**
   * @param engine whose closing frees the programs
   * @param keys in the engine's store of parameters and running averages, by name; others are those of the model
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
   * Check that the metrics fit the targets.
   * @throws OptionError that names the metric that does not
   */
  check(set: Dataset): void {
    const [one, two] = [[0], [0, 0]].map((indices) => this.#graph(gatherBatch(set, indices), 'figures').metrics);
    for (const [i, metric] of this.#metrics.entries()) {
      const [first, second] = [one?.[i], two?.[i]];
      if (first && second) checkSums(metric, first, second);
    }
  }

  async evaluateConstant(set: Dataset, answer: ConstantAnswer) {
    const some = evaluatedExamples(set);
    const first = gatherBatch(set, some.slice(0, 1));
    if (some.length === 0 || !answer.fits(this.#output(first).dims)) return undefined;
    const { loss: _, ...metrics } = (await this.measure(set, some, answer)).values;
    return metrics;
  }

  async measure(set: Dataset, indices?: Uint32Array, purpose?: Purpose): Promise<ModelEvaluation> {
    const measurement = this.begin(purpose);
    await measurement.add(set, indices);
    return measurement.result();
  }

  /** Begin to measure a set that comes in parts. */
  begin(purpose: Purpose = 'figures'): Measurement {
    const totals = this.#metrics.map(() => new Accumulation());
    let [loss, mass] = [0, 0];
    const add = async (set: Dataset, indices?: Uint32Array) => {
      for await (const { batch } of this.#batches(set, indices)) {
        const { program, metrics } = await this.#programFor(batch, purpose);
        const results = await program.run(batchFeeds(batch));
        const share = Number(results.mass?.data[0] ?? batch.target.dims[0]);
        // A batch without weight may have no loss.
        if (share !== 0) loss += share * Number(results.loss?.data[0]);
        mass += share;
        for (const [i, parts] of metrics.entries()) totals[i]?.add(parts, results);
      }
    };
    const result = (): ModelEvaluation => {
      const found = this.#metrics.map((metric, i) => ({ metric, numbers: totals[i]?.numbers ?? {} }));
      return {
        values: {
          loss: loss / mass,
          ...Object.fromEntries(found.map(({ metric, numbers }) => [metric.name, figureOf(metric, numbers)])),
        },
        tables: Object.fromEntries(
          found.flatMap(({ metric, numbers }) => {
            const table = tableOf(metric, numbers);
            return table ? [[metric.name, table]] : [];
          }),
        ),
      };
    };
    return { add, result };
  }

  async *predict(set: Dataset, chosen?: Uint32Array): AsyncGenerator<Predictions> {
    for await (const { indices, batch } of this.#batches(set, chosen)) {
      const { program } = await this.#programFor(batch, 'predictions');
      const { prediction, expected } = await program.run(batchFeeds(batch));
      if (!prediction || !expected) throw new Error('a program of predictions has them as outputs');
      yield { indices, batch, prediction, expected };
    }
  }

  /** All examples in order, of a streamed set those of each part that represent it, or the given ones in memory; in batches. */
  async *#batches(set: Dataset, given?: Uint32Array): AsyncGenerator<Pick<Predictions, 'indices' | 'batch'>> {
    if (set.parts && !given) {
      for (const part of set.parts.sizes.keys()) {
        const read = await set.parts.read(part);
        yield* this.#batches(read, evaluatedExamples(read));
      }
      return;
    }
    const indices = given ?? Uint32Array.from({ length: set.size }, (_, i) => i);
    for (let start = 0; start < indices.length; start += this.#batchSize) {
      const some = indices.slice(start, start + this.#batchSize);
      yield { indices: some, batch: gatherBatch(set, some) };
    }
  }

  async #programFor(batch: Batch, purpose: Purpose): Promise<Compiled> {
    const columns = [...listInputs(batch.inputs).map(([, input]) => input), batch.target, batch.weights];
    const key = columns.map((column) => column?.dims.join() ?? 'none').join('|');
    const programs = this.#programs.get(purpose) ?? new Map<string, Compiled>();
    this.#programs.set(purpose, programs);
    const known = programs.get(key);
    if (known) return known;
    const { graph, metrics } = this.#graph(batch, purpose);
    const compiled = { program: await this.#engine.compile(graph), metrics };
    programs.set(key, compiled);
    return compiled;
  }

  /** The input of the loss for a batch. */
  #output(batch: Batch): Value {
    return this.#forward(new Builder(), batch).output;
  }

  #forward(b: Builder, { inputs, target, weights }: Batch): Forward {
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
    return objective.evaluate(parameters);
  }

  #graph(batch: Batch, purpose: Purpose): { readonly graph: Graph; readonly metrics: readonly MetricParts[] } {
    const b = new Builder();
    const name = `evaluation of ${this.#model.name}`;
    const forward = this.#forward(b, batch);
    if (purpose === 'predictions') {
      const { output, expected } = forward;
      const prediction = forward.kind === 'labels' ? output : expected;
      // One value cannot be two outputs.
      return { graph: b.build(name, { prediction, expected: b.op('Identity', [expected]) }), metrics: [] };
    }
    const judged = purpose === 'figures' ? forward : { ...forward, ...purpose.outputs(b, this.#loss, forward) };
    const { output, targets, reported: loss, weights: own } = judged;
    const mass = this.#loss.mass?.(b, output, targets, own) ?? (own && b.sum(own));
    const metrics = this.#metrics.map((metric, i) => metricParts(b, metric, judged, `metric${i}`, true));
    const outputs: Record<string, Value> = {
      loss,
      ...(mass && { mass }),
      ...Object.assign({}, ...metrics.map((parts) => parts.outputs)),
    };
    return { graph: b.build(name, outputs), metrics };
  }
}
