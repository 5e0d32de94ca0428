// A Gaussian prior on weights, which a step minimizes with the negative log-likelihood: it keeps a network from fitting few
// examples exactly.
import type { KroneckerBlock } from '../../curvature/kronecker-block.js';
import { LayerTensor } from '../../curvature/layer-tensor.js';
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import type { Setting, StepContext } from '../optimizer.js';
import type { StepRule } from '../steps/rule.js';
import type { Estimate } from './dispersion.js';

/** A prior weaker than this, a hundredth of the least damping, is left out: it would cost a pass over all parameters. */
const leastStrength = 1e-4;

/** Return p/N for N examples; 0 for a prior that is not worth its cost. */
export function priorStrength(precision: number, { examples }: Pick<Setting, 'examples'>): number {
  const strength = precision / examples;
  return strength < leastStrength ? 0 : strength;
}

/**
 * Return the mean of the prior as a share of the weights that a run begins with: a half for new weights. With a mean of zero,
 * deep narrow networks collapse before they have learned anything; with the whole initial weights, their random part stays.
 * Pretrained weights are their own mean.
 */
export const priorMean = ({ isPretrained }: Pick<Setting, 'isPretrained'>): number => (isPretrained ? 1 : 0.5);

/**
 * Return the precision of a weight for each input beside it, for p = 1. 2/m is the variance of the initial weights of m
 * inputs before rectifiers (He et al. 2015, arXiv 1502.01852, equation 10). Of a categorical likelihood it is 4/m: logits
 * have no unit, and those that separate the classes are large.
 */
export const precisionPerInput = ({ loss: { likelihood } }: Pick<Setting, 'loss'>): number =>
  likelihood?.isCategorical ? 1 / 4 : 1 / 2;

/**
 * w ~ N(c·w₀, 1/(p·q·m)) for each weight of matrices and kernels of m inputs adds p·q·m/(2N)·|w − c·w₀|² to the mean negative
 * log-likelihood of N examples: w₀ is the weight that the run begins with, c is `priorMean` and q `precisionPerInput`. So the
 * size of outputs does not grow with the width of a network. The prior is weighted by the dispersion φ: it fades as the model
 * fits the data.
 */
export class Prior {
  readonly #distance: LayerTensor;
  readonly #precision: Value;

  /**
   * @param distance of a block's weights from the mean
   * @param precision of the weights, a scalar: φ times `priorStrength` times m times `precisionPerInput`
   */
  constructor(distance: LayerTensor, precision: Value) {
    this.#distance = distance;
    this.#precision = precision;
  }

  /** Return the sum of the gradient of the likelihood and that of the prior. */
  addedTo(b: Builder, own: LayerTensor): LayerTensor {
    return this.addedProduct(b, own, this.#distance);
  }

  /** Return the sum of a vector and H·x, with the prior's Hessian H. */
  addedProduct(b: Builder, vector: LayerTensor, x: LayerTensor): LayerTensor {
    return new LayerTensor(b.add(vector.weight, b.mul(x.weight, this.#precision)), vector.bias, vector.outputsFirst);
  }

  /** Return xᵀHy, a scalar. */
  product(b: Builder, x: LayerTensor, y: LayerTensor): Value {
    return b.mul(b.dot(x.weight, y.weight), this.#precision);
  }

  /** Return the prior itself, ½·(w − c·w₀)ᵀH(w − c·w₀), a scalar. */
  value(b: Builder): Value {
    return b.mul(this.product(b, this.#distance, this.#distance), 0.5);
  }

  /** Return (w − c·w₀)ᵀHδ, a scalar: the derivative along a step δ. */
  derivativeAlong(b: Builder, step: LayerTensor): Value {
    return this.product(b, this.#distance, step);
  }
}

/**
 * Return the priors of blocks; undefined for blocks whose weights do not decay, and for steps without a prior.
 * @param priorPrecision p of the step rule
 */
export function priors(
  context: StepContext,
  { priorPrecision = 0 }: Pick<StepRule, 'priorPrecision'>,
  estimate: Estimate | undefined,
): (block: KroneckerBlock) => Prior | undefined {
  const { b, setting } = context;
  const strength = priorStrength(priorPrecision, setting);
  if (!estimate || strength === 0) return () => undefined;
  const scale = b.mul(estimate.dispersion, strength);
  const distances = fromMean(context);
  return (block) =>
    block.decays
      ? new Prior(block.take(b, distances), b.mul(scale, block.inputs * precisionPerInput(setting)))
      : undefined;
}

/** The differences between the parameters and the mean of their prior: see `priorMean`. */
function fromMean({ b, objective, parameters, setting }: StepContext): Map<string, Value> {
  const begun = objective.model.parameters;
  const share = priorMean(setting);
  return new Map(
    [...parameters].map(([name, value]) => {
      const start = begun.get(name)?.constant;
      return [name, start ? b.sub(value, b.mul(b.cast(b.constant(start), value.dtype), share)) : value];
    }),
  );
}

/** Return the sum of xᵀHy over all blocks that have a prior; undefined if none has. */
export function priorProduct<Block extends { readonly prior?: Prior }>(
  b: Builder,
  blocks: readonly Block[],
  x: (block: Block) => LayerTensor,
  y: (block: Block) => LayerTensor,
): Value | undefined {
  return total(b, blocks, (prior, block) => prior.product(b, x(block), y(block)));
}

/** Return the change of the priors in a step δ, a scalar: (w − c·w₀)ᵀHδ + ½·δᵀHδ; undefined if no block has one. */
export function priorChangeOf(
  b: Builder,
  steps: readonly { readonly prior?: Prior; readonly step: LayerTensor }[],
): Value | undefined {
  const linear = total(b, steps, (prior, { step }) => prior.derivativeAlong(b, step));
  const square = total(b, steps, (prior, { step }) => prior.product(b, step, step));
  return linear && square && b.add(linear, b.mul(square, 0.5));
}

function total<Block extends { readonly prior?: Prior }>(
  b: Builder,
  blocks: readonly Block[],
  of: (prior: Prior, block: Block) => Value,
): Value | undefined {
  const [first, ...others] = blocks.flatMap((block) => (block.prior ? [of(block.prior, block)] : []));
  return first && others.reduce((sum, value) => b.add(sum, value), first);
}
