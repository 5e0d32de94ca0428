// Self-tuning steps: learning rate and momentum minimize the exact quadratic model, damping follows Levenberg–Marquardt.
import { GaussNewton } from '../../curvature/gauss-newton.js';
import type { LayerTensor } from '../../curvature/layer-tensor.js';
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { checkKeys, type OptionKeys } from '../../options.js';
import { type StepContext, states } from '../optimizer.js';
import { checked } from '../options.js';
import type { BlockDirection } from '../second-order/block.js';
import { priorChangeOf, priorProduct } from '../second-order/prior.js';
import { checkDamping, type DampingOptions, levenbergMarquardt } from './levenberg-marquardt.js';
import {
  type StepRule,
  type StepRuleInput,
  stateNames,
  stateParts,
  stateShapes,
  steppedParameters,
  sumOf,
} from './rule.js';

export interface SelfTuningOptions extends DampingOptions {
  /**
   * Precision p of a Gaussian prior N(½w₀, 2/(p·m)) on the weights of matrices and kernels of m inputs; the variance is
   * 4/(p·m) for softmax cross-entropy. It counts as p/N in the mean over N examples, and fades as the loss does. w₀ are the
   * weights that a run begins with; for models from files they are the mean. 1 by default, 0 is no prior.
   */
  readonly priorPrecision?: number;
}

const keys: OptionKeys<SelfTuningOptions> = {
  damping: true,
  dampingInterval: true,
  dampingDecay: true,
  minimumDamping: true,
  calibrationSteps: true,
  priorPrecision: true,
};

/**
 * Return self-tuning steps: δ = α·Δ + μ·δ₀ with the natural gradient Δ and the last step δ₀; (α, μ) minimize
 * M(δ) = ½·δᵀ(F + λI)δ + ∇ᵀδ. F is the exact Gauss–Newton matrix of the sampled examples, without the Kronecker
 * approximation (Martens & Grosse 2015, sections 6.4 and 7).
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = cgfac({ step: selfTuning({ damping: 10 }) });
 */
export function selfTuning(options: SelfTuningOptions = {}): StepRule {
  checkKeys('selfTuning', options, keys);
  checkDamping(options);
  const priorPrecision = checked('priorPrecision', options.priorPrecision ?? 1, { atLeast: 0 });
  return {
    name: 'self-tuning',
    curvatureRows: 96,
    estimatesVariance: true,
    readsSample: true,
    priorPrecision,
    remedy: 'Take larger batches, or raise the damping',
    rateless:
      'self-tuning steps choose their length from the quadratic model of the loss; choose normalized steps (step=normalized) or an optimizer such as adam',
    begin(context) {
      const { b, report } = context;
      const tuned = levenbergMarquardt(options, context.setting);
      context.steer(tuned);
      const damping = context.scalar('damping', () => tuned.damping);
      return {
        damping,
        watch: tuned.watch,
        build(input) {
          const { rate, momentum, decrease, squaredLength, steps } = stepAlong(context, input, damping);
          report('learningRate', b.neg(b.mul(rate, damping)));
          report('momentum', momentum);
          report('predictedChange', decrease);
          const priorChange = priorChangeOf(b, steps);
          return { parameters: steppedParameters(context, steps), squaredLength, ...(priorChange && { priorChange }) };
        },
      };
    },
  };
}

/** |δ₀|², from the scalars of the last step: that saves a pass over all parameters. */
const squaredLengthState = 'step.squaredLength';

/** The minimizing step, which is kept as the δ₀ of the next one. */
function stepAlong(context: StepContext, input: StepRuleInput, damping: Value) {
  const { b } = context;
  const shapes = new Map<string, readonly number[]>([
    [squaredLengthState, []],
    ...input.blocks.flatMap(({ block, gradient }) => stateShapes('step', block, gradient)),
  ]);
  return states(context, shapes, (old) => {
    const blocks = input.blocks.map((each) => {
      const names = stateNames('step', each.block);
      return { ...each, last: each.gradient.mapNamed((_, kind) => old(names[kind])) };
    });
    const minimum = minimizer(context, input, blocks, damping, old(squaredLengthState));
    const steps = blocks.map(({ last, ...each }) => ({
      ...each,
      step: each.direction.map((part, past) => b.add(b.mul(part, minimum.rate), b.mul(past, minimum.momentum)), last),
    }));
    const next = new Map([
      [squaredLengthState, minimum.squaredLength],
      ...steps.flatMap(({ block, step }) => stateParts('step', block, step)),
    ]);
    return { ...minimum, steps, next };
  });
}

/** A block with δ₀, its last step. */
type BlockWithLast = BlockDirection & { readonly last: LayerTensor };

/** (α/λ, μ) that minimize the model, and the model's value there. */
function minimizer(
  context: StepContext,
  { likelihood, sample }: StepRuleInput,
  blocks: readonly BlockWithLast[],
  damping: Value,
  lastSquared: Value,
) {
  const { b } = context;
  const network = new GaussNewton(
    b,
    { forward: sample, likelihood },
    blocks.map(({ block }) => block),
  );
  const along = (of: (each: BlockWithLast) => LayerTensor) =>
    network.tangent(
      b,
      blocks.map((each) => ({ block: each.block, step: of(each) })),
    );
  const [first, second] = [along(({ direction }) => direction), along(({ last }) => last)];
  const hessianFirst = likelihood.hessianProduct(b, sample, first);
  const hessianSecond = likelihood.hessianProduct(b, sample, second);
  const perCase = 1 / likelihood.cases(sample.output);
  const over = (product: (each: BlockWithLast) => Value) => sumOf(context, blocks.map(product));
  const curvature = (x: Value, hessianY: Value, dot: Value) =>
    b.add(b.mul(b.dot(x, hessianY), perCase), b.mul(dot, damping));
  const withPrior = (q: Value, x: (each: BlockWithLast) => LayerTensor, y: (each: BlockWithLast) => LayerTensor) => {
    const product = priorProduct(b, blocks, x, y);
    return product ? b.add(q, product) : q;
  };
  const dots = {
    directions: over(({ direction }) => direction.dot(b, direction)),
    mixed: over(({ direction, last }) => direction.dot(b, last)),
    previous: lastSquared,
  };
  const direction = (each: BlockWithLast) => each.direction;
  const last = (each: BlockWithLast) => each.last;
  const q11 = withPrior(curvature(first, hessianFirst, dots.directions), direction, direction);
  const q12 = withPrior(curvature(second, hessianFirst, dots.mixed), direction, last);
  const q22 = withPrior(curvature(second, hessianSecond, dots.previous), last, last);
  const c1 = over((each) => each.gradient.dot(b, each.direction));
  const c2 = over((each) => each.gradient.dot(b, each.last));
  // Without a last step, or one parallel to the direction, the 2×2 system is singular: go along the direction alone.
  const determinant = b.sub(b.mul(q11, q22), b.square(q12));
  const regular = b.greater(determinant, b.mul(b.mul(q11, q22), 1e-6));
  const alone = b.neg(b.div(c1, b.max(q11, 1e-30)));
  const rate = b.where(regular, b.div(b.sub(b.mul(q12, c2), b.mul(q22, c1)), determinant), alone);
  const momentum = b.where(regular, b.div(b.sub(b.mul(q12, c1), b.mul(q11, c2)), determinant), 0);
  const decrease = b.mul(b.add(b.mul(rate, c1), b.mul(momentum, c2)), 0.5);
  const { forward, objective } = context;
  /** What the model predicts the decrease of: the likelihood with the priors. */
  const whole = (): Value =>
    blocks.reduce(
      (sum, { prior }) => (prior ? b.add(sum, prior.value(b)) : sum),
      b.mul(forward.loss, likelihood.weight(forward.output)),
    );
  const trust = objective.loss.mayBeNegative ? b.scalar(1, decrease.dtype) : trusted(b, decrease, whole());
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
 * The share c of the minimizing step whose predicted decrease is at most the whole loss with its priors: for losses that are never negative,
 * a model that predicts more is wrong. Along the step the model is (2c − c²)·M, so c = 1 − √(1 − loss/|M|).
 */
function trusted(b: Builder, decrease: Value, likelihood: Value): Value {
  const share = b.div(likelihood, b.max(b.neg(decrease), 1e-30));
  return b.sub(1, b.sqrt(b.sub(1, b.min(share, 1))));
}
