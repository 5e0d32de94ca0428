// The gradient of a weighted sum of a model's outputs: reverse mode.
import { vectorJacobianProduct } from '../autodiff/gradients.js';
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import type { TensorData } from '../graph/tensor.js';
import { checkModel, type Model } from '../model/model.js';
import { checkedTexts, checkKeys, described, isRecord, type OptionKeys } from '../options.js';
import { Computation, type Point } from './computation.js';
import { type ArrayLike, fittedArray } from './given.js';
import { under } from './jvp.js';

/** The outputs to differentiate, their variables, and the point of differentiation. */
export interface VjpRequest extends Point {
  /** Weights of the elements of outputs, by name and in the shape of the output. Other outputs are not computed. */
  readonly cotangents: Readonly<Record<string, ArrayLike>>;
  /** Names of the variables: parameters, and inputs of real numbers. By default all parameters. */
  readonly of?: readonly string[];
}

export interface VjpResult {
  /** The model's outputs that have a cotangent, by name. */
  readonly outputs: Record<string, TensorData>;
  /** Σ cotangentᵀ · ∂output/∂variable over the outputs, by the name of the variable, in its shape. */
  readonly gradients: Map<string, TensorData>;
}

const keys: OptionKeys<VjpRequest> = { inputs: true, at: true, engine: true, cotangents: true, of: true };

/**
 * Return a model's outputs with vector–Jacobian products: gradients of the sum of all elements of the outputs, each times its
 * cotangent.
 * @throws GraphError if inputs or cotangents do not fit the model; UnsupportedError that names the node if an operator between
 *   them has no gradient; OptionError for an unknown name
 * @example
 * const model = mlp({ sizes: [2, 8, 3], seed: 1 });
 * const firstClass = { dtype: 'float32', dims: [1, 3], data: Float32Array.of(1, 0, 0) } as const;
 * const { gradients } = await vjp(model, { inputs: [[1, 2]], cotangents: { output: firstClass }, of: ['input'] });
 * console.log(gradients.get('input')?.data);
 */
export async function vjp(model: Model, request: VjpRequest): Promise<VjpResult> {
  checkModel('vjp', model);
  checkKeys('vjp', request, keys);
  const { cotangents } = request;
  if (!isRecord(cotangents) || Object.keys(cotangents).length === 0) {
    throw new OptionError(
      `the cotangents given to vjp are ${described(cotangents)}; give tensors by the names of outputs`,
    );
  }
  const computation = new Computation(model, request);
  const names = checkedTexts('of', request.of) ?? [...model.parameters.keys()];
  const variables = names.map((name) => computation.variable(name));
  const outputs = [...computation.outputs(Object.keys(cotangents))];
  const seeds = outputs.map(([name, value]) => {
    const what = `the cotangent of '${name}'`;
    const data = fittedArray(cotangents[name] as ArrayLike, value.type, what);
    return { value, cotangent: computation.feed(`cgfac/cotangent/${name}`, data) };
  });
  const found = vectorJacobianProduct(computation.b, seeds, variables);
  const computed: Record<string, Value> = {};
  for (const [name, value] of outputs) computed[`cgfac/output/${name}`] = value;
  for (const [i, gradient] of found.entries()) computed[`cgfac/gradient/${names[i]}`] = gradient;
  const results = await computation.run('vjp', computed, request.engine);
  return {
    outputs: under('cgfac/output/', results),
    gradients: new Map(Object.entries(under('cgfac/gradient/', results))),
  };
}
