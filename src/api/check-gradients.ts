// Checks the gradients of a model against differences of its loss, parameter by parameter.
import { checkSlope, directionAlong, type SlopeCheck } from '../autodiff/check-slope.js';
import type { Engine } from '../engine/engine.js';
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import { allocate, type TensorData, tensor } from '../graph/tensor.js';
import { type LossWord, lossOf } from '../losses/index.js';
import type { Loss } from '../losses/loss.js';
import { applyModel } from '../model/apply.js';
import { targetNormalizationOf } from '../model/edit/target-normalization.js';
import type { Model } from '../model/model.js';
import { Builder } from '../ops/builder.js';
import { random } from '../random.js';
import { type BatchSizes, drawnInputs, drawnTargets, inUnitsOf } from './drawn-batch.js';
import { valueAndGradients } from './value-and-gradients.js';

export interface GradientCheck {
  readonly loss: Loss;
  /** The loss at the model's parameters. */
  readonly value: number;
  /** The check of each parameter's gradient. */
  readonly checks: ReadonlyMap<string, SlopeCheck>;
}

/**
 * Check the gradient of each parameter of a model on a drawn batch against differences of the loss.
 * @param differentiate computes the gradients to check
 * @throws UnsupportedError if an operator has no gradient
 */
export async function checkGradients(
  engine: Engine,
  model: Model,
  options: BatchSizes & { readonly loss?: Loss | LossWord; readonly seed: number },
  differentiate: typeof valueAndGradients = valueAndGradients,
): Promise<GradientCheck> {
  const { seed } = options;
  const inputs = drawnInputs(model, options, seed);
  const chosen = options.loss === undefined ? undefined : lossOf(options.loss);
  const { graph, targets, loss } = lossGraph(model, inputs, seed, chosen);
  const request = { loss, inputs: Object.fromEntries(inputs), targets, engine };
  const { loss: value, gradients } = await differentiate(model, request);
  const stored = new Map([...model.parameters].map(([name, parameter]) => [key(name), parameter.constant]));
  const own = engine.open();
  try {
    const program = await own.compile(graph);
    await own.write(
      Object.fromEntries([...stored].flatMap(([name, constant]) => (constant ? [[name, constant]] : []))),
    );
    const feeds = { ...Object.fromEntries([...inputs].map(([name, data]) => [`input.${name}`, data])), targets };
    const checks = new Map<string, SlopeCheck>();
    for (const [name, gradient] of gradients) {
      const start = stored.get(key(name));
      if (!start) throw new OptionError(`'${name}' of model '${model.name}' has no elements`);
      const elements = Array.from<number | bigint, number>(gradient.data, Number);
      for (let attempt = 0; attempt < attempts; attempt++) {
        const direction = directionAlong(elements, random(seed, 'direction', name, attempt));
        const lossAt = async (h: number): Promise<number> => {
          const result = await program.run({ ...feeds, [key(name)]: moved(start, direction, h) });
          return Number(result.loss?.data[0]);
        };
        const slope = direction.reduce((sum, x, i) => sum + x * (elements[i] ?? 0), 0);
        const check = await checkSlope(lossAt, slope, stepScale(start), precisionOf(start));
        checks.set(name, check);
        if (check.verdict !== 'differs') break;
      }
    }
    return { loss, value, checks };
  } finally {
    await own.close();
  }
}

/** Directions to try: a kink (of Relu, say) close to the start can spoil some, a wrong gradient spoils all. */
const attempts = 3;

const key = (name: string): string => `parameter.${name}`;
const precisionOf = ({ dtype }: TensorData): number => (dtype === 'float64' ? 2 ** -52 : 2 ** -23);

/** Return the norm of a parameter, at least that of elements of 0.01: new biases are zero. */
function stepScale({ data }: TensorData): number {
  const numbers = Array.from<number | bigint, number>(data, Number);
  return Math.max(Math.sqrt(numbers.reduce((sum, x) => sum + x * x, 0)), 0.01 * Math.sqrt(numbers.length));
}

function moved({ dtype, dims, data }: TensorData, direction: Float64Array, h: number): TensorData {
  const elements = allocate(dtype, direction.length);
  for (const [i, x] of direction.entries()) elements[i] = Number(data[i]) + h * x;
  return tensor(dtype, dims, elements);
}

/** Return the graph of the loss alone, with the parameters as inputs, and targets that fit it. */
function lossGraph(model: Model, inputs: ReadonlyMap<string, TensorData>, seed: number, chosen?: Loss) {
  const b = new Builder();
  const bound = Object.fromEntries(
    [...inputs].map(([name, { dtype, dims }]) => [name, b.input(`input.${name}`, dtype, dims)]),
  );
  const parameters = new Map(
    [...model.parameters].map(([name, { dtype, dims }]) => [name, b.input(key(name), dtype, dims)]),
  );
  const prediction = applyModel(b, model, parameters, bound);
  const normalization = targetNormalizationOf(model);
  const loss = chosen ?? lossOf(normalization ? 'mean-squared-error' : suggestedLoss(prediction));
  const output = loss.contained?.(b, prediction) ?? prediction;
  const drawn = drawnTargets(loss.targetType(output), output.dims.at(-1) ?? 1, seed);
  const targets = loss.inUnits ? inUnitsOf(normalization, drawn) : drawn;
  const value = loss.value(b, output, b.input('targets', targets.dtype, targets.dims));
  return { graph: b.build('loss', { loss: value }), targets, loss };
}

/** Return cross-entropy for classifiers, by their last axis or activation; squared error for others. */
function suggestedLoss(prediction: Value): LossWord {
  if (prediction.producer?.op === 'Sigmoid') return 'sigmoid-cross-entropy';
  return prediction.rank > 1 && (prediction.dims.at(-1) ?? 1) > 1 ? 'softmax-cross-entropy' : 'mean-squared-error';
}
