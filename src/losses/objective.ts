// The loss of a model on a batch, as a function of the parameters in a graph.
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import type { Rewrite } from '../graph/inline.js';
import { type Inputs, mapInputs } from '../graph/inputs.js';
import { usesBefore } from '../graph/uses.js';
import type { EvaluatedBatch } from '../metrics/metric.js';
import { appliedModel, asDeclared } from '../model/apply.js';
import { targetTailOf } from '../model/edit/target-normalization.js';
import type { Model } from '../model/model.js';
import type { Builder } from '../ops/builder.js';
import type { Loss } from './loss.js';

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
}

export class Objective {
  readonly b: Builder;
  readonly model: Model;
  readonly loss: Loss;
  readonly #inputs: Inputs<Value>;
  readonly #targets: Value;
  readonly #rewrite: Rewrite | undefined;
  readonly #weights: Value | undefined;
  #isChecked = false;

  /**
   * @param inputs the model's one input, or its inputs by name
   * @param rewrite of nodes in training: see `TrainingMode`
   * @param weights of the examples, `[batch]`
   */
  constructor(
    b: Builder,
    model: Model,
    loss: Loss,
    inputs: Inputs<Value>,
    targets: Value,
    rewrite?: Rewrite,
    weights?: Value,
  ) {
    this.b = b;
    this.model = model;
    this.loss = loss;
    this.#inputs = inputs;
    this.#targets = targets;
    this.#rewrite = rewrite;
    this.#weights = weights;
  }

  /** Return the same objective in another builder, that of the body of a branch. */
  static within(objective: Objective, b: Builder): Objective {
    const { model, loss } = objective;
    return new Objective(b, model, loss, objective.#inputs, objective.#targets, objective.#rewrite, objective.#weights);
  }

  /** Number of examples in the batch. */
  get batchSize(): number {
    return this.#targets.dims[0] ?? 1;
  }

  /** Evaluate the network with the given parameters on the first `rows` examples of the batch (all by default). */
  evaluate(parameters: ReadonlyMap<string, Value>, rows: number = this.batchSize): Forward {
    const { b, loss } = this;
    const inputs = mapInputs(this.#inputs, (input) => b.slice(input, 0, 0, rows));
    const targets = b.slice(this.#targets, 0, 0, rows);
    const weights = this.#weights && b.slice(this.#weights, 0, 0, rows);
    const tail = loss.inUnits && targetTailOf(this.model);
    const { prediction, inner } = appliedModel(b, this.model, parameters, inputs, this.#rewrite, tail?.standardized);
    const common = { parameters, prediction, weights, rows, kind: loss.targets, ignored: loss.ignoredLabel };
    if (!tail || !inner || !loss.inUnits) {
      const output = loss.contained?.(b, prediction, targets.shape) ?? prediction;
      const given = asDeclared(b, targets, output.shape);
      const value = loss.value(b, output, given, weights);
      this.#checkWeighted(value, weights);
      const expected = loss.expected?.(b, output) ?? output;
      return { ...common, output, expected, given, targets: given, loss: value, reported: value };
    }
    const [mean, deviation] = [tail.mean, tail.deviation].map((value) => parameters.get(value.name) ?? value) as [
      Value,
      Value,
    ];
    const given = asDeclared(b, targets, inner.shape);
    const standardized = b.div(b.sub(given, mean), deviation);
    const value = loss.value(b, inner, standardized, weights);
    this.#checkWeighted(value, weights);
    return {
      ...common,
      output: inner,
      expected: prediction,
      given,
      targets: standardized,
      loss: value,
      reported: loss.inUnits(b, inner, standardized, deviation, weights),
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
}
