// Products with the exact Gauss–Newton matrix of a sample, F = JᵀHJ/N: all layers together, without a Kronecker approximation.
import { vectorJacobianProduct } from '../autodiff/gradients.js';
import { jacobianVectorProduct } from '../autodiff/jvp.js';
import type { Value } from '../graph/graph.js';
import type { Forward } from '../losses/objective.js';
import type { Builder } from '../ops/builder.js';
import type { CurvatureSample } from './curvature-sample.js';
import type { KroneckerBlock } from './kronecker-block.js';
import type { LayerTensor } from './layer-tensor.js';

/** A block with a vector in the space of its parameters. */
export interface BlockVector {
  readonly block: KroneckerBlock;
  readonly step: LayerTensor;
}

/** Return J·δ: the derivative of the sampled outputs along a step of the blocks' parameters. */
export function outputTangent(b: Builder, sample: Forward, steps: readonly BlockVector[]): Value {
  const moved = steps
    .flatMap(({ block, step }) => block.put(b, step))
    .map(([name, tangent]) => ({ parameter: parameterOf(sample, name), tangent }));
  const [tangent] = jacobianVectorProduct(
    b,
    [sample.output],
    moved.map(({ parameter }) => parameter),
    moved.map((each) => each.tangent),
  );
  if (!tangent) throw new Error('no Jacobian–vector product of the output');
  return tangent;
}

/** Return H·t/N for a derivative t of the outputs. */
export const weighedTangent = (
  b: Builder,
  { forward, likelihood }: Pick<CurvatureSample, 'forward' | 'likelihood'>,
  tangent: Value,
): Value => b.mul(likelihood.hessianProduct(b, forward, tangent), 1 / likelihood.cases(forward.output));

/** Return F·δ, one vector for each block. */
export function gaussNewtonProduct(
  b: Builder,
  sample: Pick<CurvatureSample, 'forward' | 'likelihood'>,
  steps: readonly BlockVector[],
): LayerTensor[] {
  const { forward } = sample;
  const cotangent = weighedTangent(b, sample, outputTangent(b, forward, steps));
  const names = steps.flatMap(({ block, step }) => block.put(b, step).map(([name]) => name));
  const pulled = vectorJacobianProduct(
    b,
    [{ value: forward.output, cotangent }],
    names.map((name) => parameterOf(forward, name)),
  );
  const byName = new Map(names.map((name, i) => [name, pulled[i] as Value])); // one cotangent a parameter
  return steps.map(({ block }) => block.take(b, byName));
}

function parameterOf({ parameters }: Forward, name: string): Value {
  const parameter = parameters.get(name);
  if (!parameter) throw new Error(`no parameter '${name}'`);
  return parameter;
}
