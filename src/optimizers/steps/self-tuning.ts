// Self-tuning steps: learning rate and momentum minimize the exact quadratic model, damping follows Levenberg–Marquardt.
import { jacobianVectorProduct } from '../../autodiff/jvp.js';
import { innerProduct, type LayerTensor } from '../../curvature/layer-tensor.js';
import { OptionError } from '../../errors.js';
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import type { Setting } from '../optimizer.js';
import { checked } from '../options.js';
import type { StepOptions } from './kinds.js';
import { levenbergMarquardt } from './levenberg-marquardt.js';
import { previousSteps, type StepRule, type StepRuleInput, steppedParameters } from './rule.js';

/**
 * δ = α·Δ + μ·δ₀, where Δ is the natural gradient, δ₀ the last step, and (α, μ) minimize
 * M(δ) = ½·δᵀ(F + λI)δ + ∇ᵀδ with F the Gauss–Newton matrix of the sampled examples, exact: no Kronecker
 * approximation (Martens & Grosse 2015, sections 6.4 and 7).
 */
export function selfTuningStep(options: StepOptions, setting: Setting): StepRule {
  if (typeof options.damping === 'function') {
    throw new OptionError('a damping schedule is not for self-tuning steps: they tune their damping themselves');
  }
  const { damping, ...others } = options;
  const dampingOptions = { ...others, ...(damping !== undefined && { damping }) };
  const controller = () => levenbergMarquardt(dampingOptions, setting);
  controller(); // checks its options
  const priorPrecision = checked('priorPrecision', options.priorPrecision ?? 1, { atLeast: 0 });
  return {
    estimatesVariance: true,
    isJudged: true,
    priorPrecision,
    build(input) {
      const { context, blocks, gradient, directions } = input;
      const { b } = context;
      const previous = previousSteps(context, gradient, blocks);
      const { rate, momentum, decrease, squaredLength } = minimizer(input, previous.values);
      const steps = directions.map((direction, i) =>
        direction.map(
          (part, old) => b.add(b.mul(part, rate), b.mul(old ?? part, momentum)),
          ...previous.values.slice(i, i + 1),
        ),
      );
      const parameters = steppedParameters(context, blocks, steps);
      return {
        parameters,
        state: previous.next(steps).set(squaredLengthState, squaredLength),
        squaredLength,
        ...(input.prior && { priorChange: input.prior.change(b, steps) }),
        diagnostics: new Map([
          ['learningRate', b.neg(b.mul(rate, input.damping))],
          ['momentum', momentum],
          ['predictedChange', decrease],
        ]),
      };
    },
    controller,
  };
}

/** |δ₀|² by the scalars of the step that made it: that spares a pass over all parameters. */
const squaredLengthState = 'step.squaredLength';

/** (α/λ, μ) that minimize the model, and the model's value there. */
function minimizer(input: StepRuleInput, previous: readonly LayerTensor[]) {
  const { context, likelihood, sample, gradient, directions, damping } = input;
  const { b } = context;
  const along = (steps: readonly LayerTensor[]) => outputTangent(input, steps);
  const [first, second] = [along(directions), along(previous)];
  const hessianFirst = likelihood.hessianProduct(b, sample, first);
  const hessianSecond = likelihood.hessianProduct(b, sample, second);
  const perCase = 1 / likelihood.cases(sample.output);
  const { prior } = input;
  const curvature = (x: Value, hessianY: Value, dot: Value) =>
    b.add(b.mul(b.dot(x, hessianY), perCase), b.mul(dot, damping));
  const withPrior = (q: Value, x: readonly LayerTensor[], y: readonly LayerTensor[]) =>
    prior ? b.add(q, prior.product(b, x, y)) : q;
  const dots = {
    directions: innerProduct(b, directions, directions),
    mixed: innerProduct(b, directions, previous),
    previous: context.state(squaredLengthState, []),
  };
  const q11 = withPrior(curvature(first, hessianFirst, dots.directions), directions, directions);
  const q12 = withPrior(curvature(second, hessianFirst, dots.mixed), directions, previous);
  const q22 = withPrior(curvature(second, hessianSecond, dots.previous), previous, previous);
  const c1 = innerProduct(b, gradient, directions);
  const c2 = innerProduct(b, gradient, previous);
  // Without a last step, or one parallel to the direction, the 2×2 system is singular: go along the direction alone.
  const determinant = b.sub(b.mul(q11, q22), b.square(q12));
  const regular = b.greater(determinant, b.mul(b.mul(q11, q22), 1e-6));
  const alone = b.neg(b.div(c1, b.max(q11, 1e-30)));
  const rate = b.where(regular, b.div(b.sub(b.mul(q12, c2), b.mul(q22, c1)), determinant), alone);
  const momentum = b.where(regular, b.div(b.sub(b.mul(q12, c1), b.mul(q11, c2)), determinant), 0);
  const decrease = b.mul(b.add(b.mul(rate, c1), b.mul(momentum, c2)), 0.5);
  const { forward, objective } = context;
  const trust = objective.loss.mayBeNegative
    ? b.scalar(1, decrease.dtype)
    : trusted(b, decrease, b.mul(forward.loss, likelihood.weight(forward.output)));
  const [alpha, mu] = [b.mul(rate, trust), b.mul(momentum, trust)];
  // |αΔ + μδ₀|², the next step's |δ₀|²
  const squaredLength = b.add(
    b.add(b.mul(b.square(alpha), dots.directions), b.mul(b.mul(b.mul(alpha, mu), dots.mixed), 2)),
    b.mul(b.square(mu), dots.previous),
  );
  return {
    rate: alpha,
    momentum: mu,
    squaredLength,
    decrease: b.mul(decrease, b.mul(trust, b.sub(2, trust))),
  };
}

/**
 * The part c of the minimizing step that promises at most the whole loss, of losses that do not fall below
 * zero, so a model that promises more is wrong. Along the step the model is (2c − c²)·M, and c = 1 − √(1 − loss/|M|).
 */
function trusted(b: Builder, decrease: Value, likelihood: Value): Value {
  const share = b.div(likelihood, b.max(b.neg(decrease), 1e-30));
  return b.sub(1, b.sqrt(b.sub(1, b.min(share, 1))));
}

/** J·δ: how the sampled outputs move along a step of the blocks' parameters. */
function outputTangent({ context: { b }, sample, blocks }: StepRuleInput, steps: readonly LayerTensor[]): Value {
  const inputs: Value[] = [];
  const tangents: Value[] = [];
  const push = (name: string | undefined, tangent: Value | undefined) => {
    const parameter = name === undefined ? undefined : sample.parameters.get(name);
    if (!parameter || !tangent) return;
    inputs.push(parameter);
    tangents.push(b.reshapeLike(tangent, parameter));
  };
  for (const [i, block] of blocks.entries()) {
    push(block.weight, steps[i]?.weight);
    push(block.bias, steps[i]?.bias);
  }
  const [tangent] = jacobianVectorProduct(b, [sample.output], inputs, tangents);
  if (!tangent) throw new Error('a Jacobian–vector product has as many results as outputs');
  return tangent;
}
