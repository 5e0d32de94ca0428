// The loss of a model on a batch, as a function of the parameters in a graph.

import { vectorJacobianProduct } from '../autodiff/gradients.js';
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import type { Rewrite } from '../graph/inline.js';
import { type Inputs, mapInputs } from '../graph/inputs.js';
import { usesBefore } from '../graph/uses.js';
import type { EvaluatedBatch } from '../metrics/metric.js';
import { appliedModel, asDeclared } from '../model/apply.js';
import { type TargetTail, targetTailOf } from '../model/edit/target-normalization.js';
import type { Model } from '../model/model.js';
import type { Builder } from '../ops/builder.js';
import type { Loss } from './loss.js';
import { type Accumulated, type BatchValues, inMicroBatches, type MicroBatchEvaluation } from './micro-batches.js';

/** One evaluation of the network in the program. */
export interface Forward extends EvaluatedBatch {
  /** The parameters of this evaluation, by name. */
  readonly parameters: ReadonlyMap<string, Value>;
  /**
   * The input of the loss: logits if the network ends in the activation that the loss contains, standardized predictions if it
   * ends in a normalization of targets.
   */
  readonly output: Value;
  /** The targets of the loss, standardized as the output is. */
  readonly targets: Value;
  /** The mean loss that is differentiated, a scalar. */
  readonly loss: Value;
  /** Number of examples. */
  readonly rows: number;
  /**
   * The output of one of several micro-batches, in whose graph the layers are found; no node of the step may read it. Left out
   * if the graph of `output` has the layers.
   */
  readonly network?: Value;
  /**
   * Gradients of the loss by parameters, by name, if the evaluation has computed them: see `lossGradients`, which also
   * differentiates an evaluation that has not.
   */
  readonly gradients?: ReadonlyMap<string, Value>;
}

/** An evaluation with sums over the examples. */
export interface Measured {
  readonly forward: Forward;
  /** Return the sums by name. */
  sums(): Readonly<Record<string, Value>>;
}

export class Objective {
  readonly b: Builder;
  readonly model: Model;
  readonly loss: Loss;
  readonly #batch: BatchValues;
  readonly #rewrite: Rewrite | undefined;
  readonly #accumulated: Accumulated | undefined;
  #isChecked = false;

  /**
   * @param inputs the model's one input, or its inputs by name
   * @param rewrite of nodes in training: see `TrainingMode`
   * @param weights of the examples, `[batch]`
   * @param accumulated evaluates the whole batch in micro-batches; in one piece by default
   */
  constructor(
    b: Builder,
    model: Model,
    loss: Loss,
    inputs: Inputs<Value>,
    targets: Value,
    rewrite?: Rewrite,
    weights?: Value,
    accumulated?: Accumulated,
  ) {
    this.b = b;
    this.model = model;
    this.loss = loss;
    this.#batch = { inputs, targets, weights };
    this.#rewrite = rewrite;
    this.#accumulated = accumulated;
  }

  /** Return the same objective in another builder, that of the body of a branch. */
  static within(objective: Objective, b: Builder): Objective {
    const { model, loss } = objective;
    const { inputs, targets, weights } = objective.#batch;
    return new Objective(b, model, loss, inputs, targets, objective.#rewrite, weights, objective.#accumulated);
  }

  /** Number of examples in the batch. */
  get batchSize(): number {
    return this.#batch.targets.dims[0] ?? 1;
  }

  /**
   * Evaluate the network with the given parameters on the whole batch, in micro-batches if there are several; or, in one piece, on
   * its first `rows` examples.
   */
  evaluate(parameters: ReadonlyMap<string, Value>, rows?: number): Forward {
    if (rows === undefined && this.#accumulated) return this.#inMicroBatches(this.#accumulated, parameters).forward;
    const { b } = this;
    const first = rows ?? this.batchSize;
    this.#accumulated?.evaluates?.(first);
    const { inputs, targets, weights } = this.#batch;
    const some = {
      inputs: mapInputs(inputs, (input) => b.slice(input, 0, 0, first)),
      targets: b.slice(targets, 0, 0, first),
      weights: weights && b.slice(weights, 0, 0, first),
    };
    return this.#evaluated(b, parameters, some, this.#rewrite);
  }

  /**
   * Evaluate the network on the whole batch, which moves the running averages of batch normalization, together with sums over its
   * examples. Micro-batches give gradients of the loss on the way.
   * @param trained the parameters to differentiate by, by name
   * @param sums returns sums over the examples of an evaluation: those of micro-batches are added up
   */
  measure(
    parameters: ReadonlyMap<string, Value>,
    trained: ReadonlyMap<string, Value>,
    sums: (b: Builder, forward: Forward) => Readonly<Record<string, Value>>,
  ): Measured {
    if (this.#accumulated) return this.#inMicroBatches(this.#accumulated, parameters, { trained, sums });
    const forward = this.evaluate(parameters);
    return { forward, sums: () => sums(this.b, forward) };
  }

  /** The whole evaluation in one graph. */
  #evaluated(
    b: Builder,
    parameters: ReadonlyMap<string, Value>,
    { inputs, targets, weights }: BatchValues,
    rewrite: Rewrite | undefined,
  ): Forward {
    const { loss, model } = this;
    const tail = loss.inUnits && targetTailOf(model);
    const { prediction, inner } = appliedModel(b, model, parameters, inputs, rewrite, tail?.standardized);
    const output = tail && inner ? inner : (loss.contained?.(b, prediction, targets.shape) ?? prediction);
    return this.#ofOutput(b, parameters, { prediction, output }, { targets, weights }, inner && tail);
  }

  /** What follows from the outputs of the network. */
  #ofOutput(
    b: Builder,
    parameters: ReadonlyMap<string, Value>,
    { prediction, output }: Pick<Forward, 'prediction' | 'output'>,
    { targets, weights }: Omit<BatchValues, 'inputs'>,
    tail: TargetTail | undefined,
  ): Forward {
    const { loss } = this;
    const given = asDeclared(b, targets, output.shape);
    const rows = targets.dims[0] ?? 1;
    const named = { kind: loss.targets, ignored: loss.ignoredLabel };
    const common = { parameters, prediction, output, given, weights, rows, ...named };
    if (!tail || !loss.inUnits) {
      const value = loss.value(b, output, given, weights);
      this.#checkWeighted(value, weights);
      const expected = loss.expected?.(b, output) ?? output;
      return { ...common, expected, targets: given, loss: value, reported: value };
    }
    const [mean, deviation] = [tail.mean, tail.deviation].map((value) => parameters.get(value.name) ?? value) as [
      Value,
      Value,
    ];
    const standardized = b.div(b.sub(given, mean), deviation);
    const value = loss.value(b, output, standardized, weights);
    this.#checkWeighted(value, weights);
    return {
      ...common,
      expected: prediction,
      targets: standardized,
      loss: value,
      reported: loss.inUnits(b, output, standardized, deviation, weights),
    };
  }

  /** @throws OptionError if weights have no effect: examples would count that must not */
  #checkWeighted(value: Value, weights: Value | undefined): void {
    if (!weights || this.#isChecked) return;
    if (!usesBefore(value).has(weights)) {
      throw new OptionError(
        `the loss '${this.loss.name}' leaves the weights of examples aside, which the data have, or batches that lack an example: ` +
          'let its value use them, as by weightedMean(b, values, weights), or choose a batch size that divides the examples',
      );
    }
    this.#isChecked = true;
  }

  #inMicroBatches(
    accumulated: Accumulated,
    parameters: ReadonlyMap<string, Value>,
    wanted: Omit<MicroBatchEvaluation, 'evaluate'> = {},
  ): Measured {
    const { b, loss } = this;
    const tail = loss.inUnits && targetTailOf(this.model);
    const { outputs, sums, ...own } = inMicroBatches(b, loss, this.#batch, parameters, accumulated, {
      ...wanted,
      evaluate: (inner, batch, rewrite) => this.#evaluated(inner, parameters, batch, rewrite),
    });
    return { forward: { ...this.#ofOutput(b, parameters, outputs, this.#batch, tail), ...own }, sums: () => sums };
  }
}

/**
 * Return the gradients of an evaluation's loss by parameters, by name.
 * @param parameters by name: those of the evaluation
 * @param factor on the loss, a scalar: the first cotangent of the backward pass, which saves a pass over all parameters unless
 *   the evaluation has computed the gradients
 */
export function lossGradients(
  b: Builder,
  { loss, gradients: known }: Pick<Forward, 'loss' | 'gradients'>,
  parameters: ReadonlyMap<string, Value>,
  factor?: Value,
): ReadonlyMap<string, Value> {
  const names = [...parameters.keys()];
  const own = names.map((name) => known?.get(name));
  if (own.every((gradient) => gradient !== undefined)) {
    return new Map(names.map((name, i) => [name, factor ? b.mul(own[i] as Value, factor) : (own[i] as Value)]));
  }
  const seed = { value: loss, cotangent: factor ?? b.onesLike(loss) };
  const found = vectorJacobianProduct(b, [seed], [...parameters.values()]);
  return new Map(names.map((name, i) => [name, found[i] as Value])); // one gradient a parameter
}
