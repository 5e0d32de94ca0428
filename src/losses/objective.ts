// A model with its loss on one batch, inside a builder: what optimizers differentiate and evaluate again at other points.
import { GraphError } from '../errors.js';
import { intAttribute, neededNodes, type Shape, type Value } from '../graph/graph.js';
import { inline, type Rewrite } from '../graph/inline.js';
import { type Inputs, isUnnamed, listInputs, mapInputs } from '../graph/inputs.js';
import type { DataType } from '../graph/tensor.js';
import { asDeclared } from '../model/channels.js';
import { targetTailOf } from '../model/edit/target-normalization.js';
import type { Model } from '../model/model.js';
import type { Builder } from '../ops/builder.js';
import { normalizeAxis, sameShape } from '../ops/shapes/shapes.js';
import { traitsOf } from '../ops/table.js';
import type { Loss } from './loss.js';

/** One evaluation of the network in the program. */
export interface Forward {
  /** The parameters it was evaluated at, by name. */
  readonly parameters: ReadonlyMap<string, Value>;
  /**
   * What the loss sees: logits, where the network ends in the activation that the loss contains; and standardized
   * predictions, where it ends in a normalization of targets.
   */
  readonly output: Value;
  /** The model's own first output, in the units of the data. */
  readonly prediction: Value;
  /** What the loss compares the output with: standardized as the output is. */
  readonly targets: Value;
  /** The mean loss that is differentiated, a scalar. */
  readonly loss: Value;
  /** The mean loss that a person sees: that of the prediction, in the units of the data. A scalar, perhaps float64. */
  readonly reported: Value;
  /** Examples in it. */
  readonly rows: number;
}

/** The value whose sigmoid a network ends in, arranged as its end is: a sigmoid before it is the sigmoid after it. */
export function beforeSigmoid(b: Builder, { producer }: Value): Value | undefined {
  const [data, ...others] = producer?.inputs ?? [];
  if (!producer || !data || producer.domain !== '') return undefined;
  if (producer.op === 'Sigmoid') return data;
  const before = traitsOf(producer).arranges ? beforeSigmoid(b, data) : undefined;
  return before && b.node(producer.op, [before, ...others], producer.attributes)[0];
}

export class Objective {
  readonly b: Builder;
  readonly model: Model;
  readonly loss: Loss;
  readonly #inputs: Inputs<Value>;
  readonly #targets: Value;
  readonly #rewrite: Rewrite | undefined;

  /**
   * @param inputs the model's one input, or its inputs by name
   * @param rewrite what nodes become while training: see TrainingMode
   */
  constructor(b: Builder, model: Model, loss: Loss, inputs: Inputs<Value>, targets: Value, rewrite?: Rewrite) {
    this.b = b;
    this.model = model;
    this.loss = loss;
    this.#inputs = inputs;
    this.#targets = targets;
    this.#rewrite = rewrite;
  }

  /** The same objective inside another builder: the body of a branch. */
  static within(objective: Objective, b: Builder): Objective {
    return new Objective(b, objective.model, objective.loss, objective.#inputs, objective.#targets, objective.#rewrite);
  }

  /** Examples in the batch. */
  get batchSize(): number {
    return this.#targets.dims[0] ?? 1;
  }

  /** The network at the given parameters, on the first `rows` examples of the batch (all by default). */
  evaluate(parameters: ReadonlyMap<string, Value>, rows: number = this.batchSize): Forward {
    const { b } = this;
    const inputs = mapInputs(this.#inputs, (input) => b.slice(input, 0, 0, rows));
    const given = b.slice(this.#targets, 0, 0, rows);
    const tail = this.loss.name === 'mean-squared-error' ? targetTailOf(this.model) : undefined;
    const { prediction, inner } = appliedModel(b, this.model, parameters, inputs, this.#rewrite, tail?.standardized);
    if (!tail || !inner) {
      const output = logitsOf(b, this.loss, prediction, given.shape);
      const targets = asDeclared(b, given, output.shape);
      const loss = this.loss.value(b, output, targets);
      return { parameters, output, prediction, targets, loss, reported: loss, rows };
    }
    const [mean, deviation] = [tail.mean, tail.deviation].map((value) => parameters.get(value.name) ?? value) as [
      Value,
      Value,
    ];
    const targets = b.div(b.sub(asDeclared(b, given, inner.shape), mean), deviation);
    const loss = this.loss.value(b, inner, targets);
    const reported = squaredErrorInUnits(b, inner, targets, deviation);
    return { parameters, output: inner, prediction, targets, loss, reported, rows };
  }
}

/**
 * The squared error of predictions that are `deviation` times as large: Σ_k deviation_k²·(its mean in column k) over the
 * number of columns. In float64, where also the squares of 1e-30 and 1e30 are numbers.
 * @param deviation of all, [1], or of each column, which is the last axis
 */
function squaredErrorInUnits(b: Builder, output: Value, targets: Value, deviation: Value): Value {
  const squares = b.square(b.sub(output, targets));
  const rows = Array.from({ length: output.rank - 1 }, (_, axis) => axis);
  const errors = deviation.dims[0] === 1 ? b.mean(squares) : b.mean(squares, rows);
  return b.mean(b.mul(b.cast(errors, 'float64'), b.square(b.cast(deviation, 'float64'))));
}

/**
 * The model's first output on its input (or inputs by name), pictures in the model's own order of axes.
 * @param parameters new values of parameters and running averages by name; others keep their elements
 */
export function applyModel(
  b: Builder,
  model: Model,
  parameters: ReadonlyMap<string, Value>,
  inputs: Inputs<Value>,
): Value {
  return appliedModel(b, model, parameters, inputs).prediction;
}

/** @param wanted a value that the model computes on the way to its first output */
function appliedModel(
  b: Builder,
  model: Model,
  parameters: ReadonlyMap<string, Value>,
  inputs: Inputs<Value>,
  rewrite?: Rewrite,
  wanted?: Value,
): { readonly prediction: Value; readonly inner: Value | undefined } {
  const { inputs: declarations } = model.graph;
  if (isUnnamed(inputs) && declarations.length !== 1) {
    throw new GraphError(
      `model '${model.name}' has ${declarations.length} inputs (${declarations.map(({ name }) => name).join(', ')}): give each a value by its name`,
    );
  }
  const given = new Map(listInputs(inputs));
  const bindings = new Map<Value, Value>();
  for (const declared of declarations) {
    const bound = given.get(isUnnamed(inputs) ? undefined : declared.name);
    if (!bound) continue;
    const isOther = bound.dtype !== declared.dtype && takesNumbersOf(declared.dtype, bound.dtype);
    bindings.set(declared, asDeclared(b, isOther ? b.cast(bound, declared.dtype) : bound, declared.shape));
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
  const copy = inline(b, { ...model.graph, outputs, nodes }, bindings, rewrite);
  const [prediction] = copy.outputs.values();
  if (!prediction) throw new GraphError(`model '${model.name}' has no output`);
  return { prediction, inner: wanted && copy.values.get(wanted) };
}

const isInteger = (dtype: DataType): boolean => /^u?int/.test(dtype);

/** Whether numbers of a type can be given to an input of another: data have int64 where a model may declare int32. */
export const takesNumbersOf = (declared: DataType, given: DataType): boolean =>
  declared === given || (isInteger(declared) && isInteger(given));

/**
 * What a loss is computed from: the model's output without the activation that the loss contains, a softmax over the
 * classes or a sigmoid; for softmax
 * cross-entropy with the classes on the last axis. They are on the second, as PyTorch's loss has them, where only so
 * the targets fit: `[batch, classes, height, width]` and `[batch, height, width]`.
 */
export function logitsOf(b: Builder, loss: Loss, prediction: Value, targets?: Shape): Value {
  if (loss.name === 'sigmoid-cross-entropy') return beforeSigmoid(b, prediction) ?? prediction;
  if (loss.name === 'mean-squared-error') return prediction;
  const last = prediction.rank - 1;
  const classes = targets && areClassesSecond(prediction.shape, targets) ? 1 : last;
  const { producer } = prediction;
  const isContained =
    producer !== undefined &&
    ['Softmax', 'LogSoftmax'].includes(producer.op) &&
    normalizeAxis(intAttribute(producer, 'axis', -1), last + 1) === classes;
  const output = (isContained ? producer.inputs[0] : undefined) ?? prediction;
  const positions = Array.from({ length: last + 1 }, (_, axis) => axis);
  return classes === last ? output : b.transpose(output, [0, ...positions.slice(2), 1]);
}

/** Whether labels belong to logits with the classes on the second axis, and not to the same with the classes on the last. */
export const areClassesSecond = (logits: Shape, labels: Shape): boolean =>
  logits.length > 2 &&
  !sameShape(logits.slice(0, -1), labels) &&
  sameShape([...logits.slice(0, 1), ...logits.slice(2)], labels);
