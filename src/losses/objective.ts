// A model with its loss on one batch, inside a builder: what optimizers differentiate and evaluate again at other points.
import { GraphError } from '../errors.js';
import { neededNodes, Value } from '../graph/graph.js';
import { inline, type Rewrite } from '../graph/inline.js';
import type { Model } from '../graph/model.js';
import type { Builder } from '../ops/builder.js';
import type { Loss } from './loss.js';

/** One evaluation of the network in the program. */
export interface Forward {
  /** The parameters it was evaluated at, by name. */
  readonly parameters: ReadonlyMap<string, Value>;
  /** What the loss sees: logits, where the network ends in the activation that the loss contains. */
  readonly output: Value;
  /** The model's own first output. */
  readonly prediction: Value;
  readonly targets: Value;
  /** The mean loss, a scalar. */
  readonly loss: Value;
  /** Examples in it. */
  readonly rows: number;
}

/** The activation that a loss contains: it is cut off the network, and the loss is computed from its input. */
const containedActivations: Readonly<Record<Loss['name'], readonly string[]>> = {
  'softmax-cross-entropy': ['Softmax', 'LogSoftmax'],
  'sigmoid-cross-entropy': ['Sigmoid'],
  'mean-squared-error': [],
};

export class Objective {
  readonly b: Builder;
  readonly model: Model;
  readonly loss: Loss;
  readonly #input: Value;
  readonly #targets: Value;
  readonly #rewrite: Rewrite | undefined;

  /** @param rewrite what nodes become while training: see TrainingMode */
  constructor(b: Builder, model: Model, loss: Loss, input: Value, targets: Value, rewrite?: Rewrite) {
    this.b = b;
    this.model = model;
    this.loss = loss;
    this.#input = input;
    this.#targets = targets;
    this.#rewrite = rewrite;
  }

  /** The same objective inside another builder: the body of a branch. */
  static within(objective: Objective, b: Builder): Objective {
    return new Objective(b, objective.model, objective.loss, objective.#input, objective.#targets, objective.#rewrite);
  }

  /** Examples in the batch. */
  get batchSize(): number {
    return this.#input.dims[0] ?? 1;
  }

  /** The network at the given parameters, on the first `rows` examples of the batch (all by default). */
  evaluate(parameters: ReadonlyMap<string, Value>, rows: number = this.batchSize): Forward {
    const { b } = this;
    const input = b.slice(this.#input, 0, 0, rows);
    const targets = b.slice(this.#targets, 0, 0, rows);
    const { output, prediction } = applyModel(b, this.model, this.loss, parameters, input, this.#rewrite);
    return { parameters, output, prediction, targets, loss: this.loss.value(b, output, targets), rows };
  }
}

/**
 * The model's first output on its input (or inputs by name), and the value its loss is computed from.
 * @param parameters new values of parameters and running averages by name; others keep their elements
 */
export function applyModel(
  b: Builder,
  model: Model,
  loss: Loss,
  parameters: ReadonlyMap<string, Value>,
  input: Value | ReadonlyMap<string, Value>,
  rewrite?: Rewrite,
): { readonly output: Value; readonly prediction: Value } {
  const { inputs } = model.graph;
  if (input instanceof Value && inputs.length !== 1) {
    throw new GraphError(
      `model '${model.name}' has ${inputs.length} inputs (${inputs.map(({ name }) => name).join(', ')}); training takes models with one`,
    );
  }
  const bindings = new Map<Value, Value>();
  for (const declared of inputs) {
    const bound = input instanceof Value ? input : input.get(declared.name);
    if (bound) bindings.set(declared, bound);
  }
  for (const [name, value] of [...model.parameters, ...model.statistics]) {
    const bound = parameters.get(name);
    if (bound) bindings.set(value, bound);
  }
  // Other outputs may come from operators that cgfac does not know.
  const outputs = model.graph.outputs.slice(0, 1);
  const nodes = neededNodes(
    model.graph.nodes,
    outputs.map(({ value }) => value),
  );
  const [prediction] = inline(b, { ...model.graph, outputs, nodes }, bindings, rewrite).outputs.values();
  if (!prediction) throw new GraphError(`model '${model.name}' has no output`);
  const last = prediction.producer;
  const contained = last && containedActivations[loss.name].includes(last.op) ? last.inputs[0] : undefined;
  return { prediction, output: contained ?? prediction };
}
