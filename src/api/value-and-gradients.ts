// The loss of a model on a batch and its gradients, by parameters and by inputs.
import { gradients } from '../autodiff/gradients.js';
import { GraphError, OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import { type DataType, isFloatingPoint, type TensorData } from '../graph/tensor.js';
import { isTensorLike, toTensorData } from '../graph/tensor-like.js';
import { checkedLoss } from '../losses/checked-loss.js';
import { type LossWord, lossOf } from '../losses/index.js';
import { labelError, probabilitiesError, wrongLabel, wrongProbabilities } from '../losses/labels.js';
import type { Loss } from '../losses/loss.js';
import { checkModel, type Model } from '../model/model.js';
import { checkedTexts, checkKeys, type OptionKeys } from '../options.js';
import { Computation, type Point } from './computation.js';
import { type ArrayLike, fittedArray, isOfIntegers, sizesOf } from './given.js';

/** The loss to differentiate, its variables, and the point of differentiation. */
export interface GradientRequest extends Point {
  /** A loss, such as `crossEntropy()`, or the word for one. */
  readonly loss: Loss | LossWord;
  /**
   * Integer labels 0, 1, … for losses of labels, in the logits' shape without the axis of the classes: the last, or
   * the second if only that fits (`[batch, classes, height, width]`). For cross-entropy also probabilities in the logits'
   * shape. Else numbers in the output's shape.
   */
  readonly targets: ArrayLike;
  /** Weights of the examples, `[batch]`, at least 0 and not all 0; all are 1 by default. */
  readonly weights?: ArrayLike;
  /** Names of the variables: parameters, and inputs of real numbers. By default all parameters. */
  readonly of?: readonly string[];
}

export interface ValueAndGradients {
  /** Mean over all rows of logits (softmax cross-entropy) or over all elements, as PyTorch's losses reduce by default. */
  readonly loss: number;
  /** By the name of the parameter or input, in its shape. Zeros if the loss does not depend on one. */
  readonly gradients: Map<string, TensorData>;
}

const requestKeys: OptionKeys<GradientRequest> = {
  loss: true,
  inputs: true,
  targets: true,
  weights: true,
  of: true,
  at: true,
  engine: true,
};

/**
 * Return the loss of a model on a batch, and its gradients.
 * @throws GraphError if inputs, targets or tensors of `at` do not fit the model; UnsupportedError that names the node if an
 *   operator between a variable and the loss has no gradient; OptionError for an unknown loss or name
 * @example
 * const model = mlp({ sizes: [2, 8, 3], seed: 1 });
 * const targets = { dtype: 'int64', dims: [2], data: BigInt64Array.of(0n, 2n) } as const;
 * const request = { loss: 'softmax-cross-entropy', inputs: [[1, 2], [3, 4]], targets } as const;
 * const { loss, gradients } = await valueAndGradients(model, request);
 * console.log(loss, gradients.get('fc1.weight')?.dims);
 * const byInput = await valueAndGradients(model, { ...request, of: ['input'] });
 * console.log(byInput.gradients.get('input')?.data);
 */
export async function valueAndGradients(model: Model, request: GradientRequest): Promise<ValueAndGradients> {
  checkModel('valueAndGradients', model);
  checkKeys('valueAndGradients', request, requestKeys);
  const loss = checkedLoss(lossOf(request.loss));
  const computation = new Computation(model, request);
  const { b } = computation;
  const names = checkedTexts('of', request.of) ?? [...model.parameters.keys()];
  const variables = names.map((name) => computation.variable(name));
  const prediction = firstOutput(computation);
  if (request.targets === undefined) {
    throw new OptionError('the targets are missing; give labels or numbers, in a tensor or an array');
  }
  const sizes = sizesOf(request.targets);
  const output = sizes && loss.contained ? loss.contained(b, prediction, sizes) : prediction;
  const declared = loss.targetType(output, targetDtype(request.targets, output, loss));
  const targets = fittedArray(request.targets, declared, 'what the loss compares with this output');
  if (loss.targets === 'labels') checkLabels(targets, output, loss);
  const weights = request.weights === undefined ? undefined : weightsOf(request.weights, output);
  const value = loss.value(
    b,
    output,
    computation.feed('cgfac/targets', targets),
    weights && computation.feed('cgfac/weights', weights),
  );
  const outputs: Record<string, Value> = { 'cgfac/loss': value };
  for (const [i, gradient] of gradients(b, value, variables).entries())
    outputs[`cgfac/gradient/${names[i]}`] = gradient;
  const results = await computation.run('gradients', outputs, request.engine);
  return {
    loss: Number(results['cgfac/loss']?.data[0]),
    gradients: new Map(
      names.flatMap((name) => {
        const gradient = results[`cgfac/gradient/${name}`];
        return gradient ? [[name, gradient] as const] : [];
      }),
    ),
  };
}

function firstOutput(computation: Computation): Value {
  const [first] = computation.model.graph.outputs;
  const output = first && computation.outputs([first.name]).get(first.name);
  if (!output) throw new GraphError(`model '${computation.model.name}' has no output`);
  return output;
}

/** @throws GraphError for a label outside the classes, whose row would have no loss */
function checkLabels({ dtype, data }: TensorData, output: Value, loss: Loss): void {
  const classes = Number(output.shape.at(-1) ?? 0);
  if (isFloatingPoint(dtype)) {
    const row = wrongProbabilities(data, classes);
    if (row >= 0) throw new GraphError(`the targets in row ${row} ${probabilitiesError(classes)}`);
    return;
  }
  const wrong = wrongLabel(data, classes, loss);
  if (wrong >= 0) throw new GraphError(`the targets hold ${data[wrong]}, ${labelError(classes)}`);
}

/** The element type of targets: that of a tensor; arrays of integers are labels if the loss takes labels. */
function targetDtype(given: ArrayLike, { dtype, dims }: Value, loss: Loss): DataType {
  if (isTensorLike(given)) return toTensorData(given, 'the value given for targets').dtype;
  const areProbabilities = String(sizesOf(given)) === String(dims);
  return loss.targets === 'labels' && !areProbabilities && isOfIntegers(given) ? 'int64' : dtype;
}

/** Weights of the examples in the element type of the output. */
function weightsOf(given: ArrayLike, { dtype, shape }: Value): TensorData {
  const weights = fittedArray(given, { dtype, shape: shape.slice(0, 1) }, 'the tensor of the weights of the examples');
  const numbers = Array.from<number | bigint, number>(weights.data, Number);
  const wrong = numbers.findIndex((weight) => !(weight >= 0 && weight < Number.POSITIVE_INFINITY));
  if (wrong >= 0)
    throw new GraphError(
      `the weight of example ${wrong} is ${numbers[wrong]}; weights are finite numbers of at least 0`,
    );
  if (numbers.every((weight) => weight === 0))
    throw new GraphError('the weights of all examples are 0; one must be above 0');
  return weights;
}
