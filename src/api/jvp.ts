// The directional derivative of a model's outputs: forward mode.
import { jacobianVectorProduct } from '../autodiff/jvp.js';
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import { isFloatingPoint, type TensorData } from '../graph/tensor.js';
import { checkModel, type Model } from '../model/model.js';
import { checkedTexts, checkKeys, described, isRecord, type OptionKeys } from '../options.js';
import { Computation, type Point } from './computation.js';
import { type ArrayLike, fittedArray } from './given.js';

/** The point and the direction of differentiation. */
export interface JvpRequest extends Point {
  /** Directions by the names of parameters and of inputs of real numbers, in their shapes; 0 for all others. */
  readonly tangents: Readonly<Record<string, ArrayLike>>;
  /** Names of the outputs to differentiate; by default all. */
  readonly outputs?: readonly string[];
}

export interface JvpResult {
  /** The model's outputs, by name. */
  readonly outputs: Record<string, TensorData>;
  /** The derivative of each output of real numbers: ∂output/∂variable · tangent, summed over the variables, in its shape. */
  readonly tangents: Record<string, TensorData>;
}

const keys: OptionKeys<JvpRequest> = { inputs: true, at: true, engine: true, tangents: true, outputs: true };

/**
 * Return a model's outputs with their Jacobian–vector products: the derivatives along directions of parameters and inputs.
 * @throws GraphError if inputs or tangents do not fit the model; UnsupportedError that names the node if an operator between
 *   them has no gradient; OptionError for an unknown name
 * @example
 * const model = mlp({ sizes: [2, 8, 3], seed: 1 });
 * const direction = { dtype: 'float32', dims: [1, 2], data: Float32Array.of(1, 0) } as const;
 * const { outputs, tangents } = await jvp(model, { inputs: [[1, 2]], tangents: { input: direction } });
 * console.log(outputs.output?.data, tangents.output?.data);
 */
export async function jvp(model: Model, request: JvpRequest): Promise<JvpResult> {
  checkModel('jvp', model);
  checkKeys('jvp', request, keys);
  const { tangents: directions } = request;
  if (!isRecord(directions) || Object.keys(directions).length === 0) {
    throw new OptionError(
      `the tangents given to jvp are ${described(directions)}; give tensors by the names of what moves, parameters or inputs`,
    );
  }
  const computation = new Computation(model, request);
  const moving = Object.entries(directions).map(([name, tangent]) => {
    const variable = computation.variable(name);
    const what = `the tangent of '${name}'`;
    const data = fittedArray(tangent, variable.type, what);
    return { variable, tangent: computation.feed(`cgfac/tangent/${name}`, data) };
  });
  const names = checkedTexts('outputs', request.outputs) ?? model.graph.outputs.map(({ name }) => name);
  const outputs = [...computation.outputs(names)];
  const real = outputs.filter(([, value]) => isFloatingPoint(value.dtype));
  const moved = jacobianVectorProduct(
    computation.b,
    real.map(([, value]) => value),
    moving.map(({ variable }) => variable),
    moving.map(({ tangent }) => tangent),
  );
  const computed: Record<string, Value> = {};
  for (const [name, value] of outputs) computed[`cgfac/output/${name}`] = value;
  for (const [i, tangent] of moved.entries()) computed[`cgfac/moved/${real[i]?.[0]}`] = tangent;
  const results = await computation.run('jvp', computed, request.engine);
  return { outputs: under('cgfac/output/', results), tangents: under('cgfac/moved/', results) };
}

/** Return the results whose names begin with a prefix, by the names without it. */
export const under = (prefix: string, results: Readonly<Record<string, TensorData>>): Record<string, TensorData> =>
  Object.fromEntries(
    Object.entries(results).flatMap(([name, data]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), data]] : [],
    ),
  );
