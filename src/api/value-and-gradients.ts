// The loss of a model on a batch and its gradients, by parameters and by inputs.
import { gradients } from '../autodiff/gradients.js';
import { GraphError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import { isFloatingPoint, type TensorData } from '../graph/tensor.js';
import { type TensorLike, toTensorData } from '../graph/tensor-like.js';
import { checkedLoss } from '../losses/checked-loss.js';
import { type LossWord, lossOf } from '../losses/index.js';
import { labelError, probabilitiesError, wrongLabel, wrongProbabilities } from '../losses/labels.js';
import type { Loss } from '../losses/loss.js';
import { checkModel, type Model } from '../model/model.js';
import { checkedTexts, checkKeys, type OptionKeys } from '../options.js';
import { Computation, type Point } from './computation.js';
import { fitted } from './given.js';

/** The loss to differentiate, its variables, and the point of differentiation. */
export interface GradientRequest extends Point {
  /** A loss, such as `crossEntropy()`, or the word for one. */
  readonly loss: Loss | LossWord;
  /**
   * Integer labels 0, 1, … for losses of labels, in the logits' shape without the axis of the classes: the last, or
   * the second if only that fits (`[batch, classes, height, width]`). For cross-entropy also probabilities in the logits'
   * shape. Else numbers in the output's shape.
   */
  readonly targets: TensorLike;
  /** Weights of the examples, `[batch]`; all are 1 by default. */
  readonly weights?: TensorLike;
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
  const given = toTensorData(request.targets, 'the targets');
  const prediction = firstOutput(computation);
  const output = loss.contained?.(b, prediction, given.dims) ?? prediction;
  const targets = fitted(given, loss.targetType(output, given.dtype), 'what the loss compares with this output');
  if (loss.targets === 'labels') checkLabels(targets, output, loss);
  const weights = request.weights && weightsOf(request.weights, output);
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

/** Weights of the examples in the element type of the output. */
const weightsOf = (given: TensorLike, { dtype, shape }: Value): TensorData =>
  fitted(toTensorData(given, 'the weights'), { dtype, shape: shape.slice(0, 1) }, 'the weights of the examples');
