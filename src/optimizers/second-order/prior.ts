// A Gaussian prior on weights: what a step minimizes beside the likelihood, so that few examples are not learned by heart.
import type { KroneckerBlock } from '../../curvature/kronecker-block.js';
import { LayerTensor } from '../../curvature/layer-tensor.js';
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import type { Setting } from '../optimizer.js';

/** A prior weaker than this, a hundredth of the least damping, is left out: it would cost a pass over all parameters. */
const leastStrength = 1e-4;

/** p/N for N examples; 0 for a prior that is not worth its cost. */
export function priorStrength(precision: number, { examples }: Pick<Setting, 'examples'>): number {
  const strength = precision / examples;
  return strength < leastStrength ? 0 : strength;
}

/**
 * Where a prior has its mean, as a share of the weights that a run begins with. Fresh weights are drawn to half of
 * themselves: to zero, deep narrow networks collapse before they have learned anything; to where they were drawn, what is
 * random in them stays. Weights that are trained already keep what they know.
 */
export const priorMean = ({ isPretrained }: Pick<Setting, 'isPretrained'>): number => (isPretrained ? 1 : 0.5);

/**
 * w ~ N(c·w₀, 2/(p·m)) for each weight of matrices and kernels of m inputs adds p·m/(4N)·|w − c·w₀|² to the mean negative
 * log-likelihood of N examples, where w₀ is the weight that the run begins with and c is `priorMean`. 2/m is the variance that
 * weights of rectifiers are drawn with (He et al. 2015, arXiv 1502.01852, equation 10): what a network may say does not
 * grow with its width. It is weighed by the dispersion φ, so that it fades where the model fits: its strength is that of the noise.
 */
export class Prior {
  readonly #distance: LayerTensor;
  readonly #precision: Value;

  /**
   * @param distance of a block's weights from the mean
   * @param strength φ times `priorStrength`, a scalar
   */
  constructor(b: Builder, { inputs }: Pick<KroneckerBlock, 'inputs'>, distance: LayerTensor, strength: Value) {
    this.#distance = distance;
    this.#precision = b.mul(strength, inputs / 2);
  }

  /** The gradient of the likelihood with that of the prior. */
  addedTo(b: Builder, own: LayerTensor): LayerTensor {
    const weight = b.add(own.weight, b.mul(this.#distance.weight, this.#precision));
    return new LayerTensor(weight, own.bias, own.outputsFirst);
  }

  /** xᵀHy, a scalar, for the prior's Hessian H. */
  product(b: Builder, x: LayerTensor, y: LayerTensor): Value {
    return b.mul(b.dot(x.weight, y.weight), this.#precision);
  }

  /** (w − c·w₀)ᵀHδ, a scalar: the slope along a step δ. */
  slope(b: Builder, step: LayerTensor): Value {
    return this.product(b, this.#distance, step);
  }
}

/** xᵀHy of all blocks that have a prior; undefined if none has. */
export function priorProduct<Block extends { readonly prior?: Prior }>(
  b: Builder,
  blocks: readonly Block[],
  x: (block: Block) => LayerTensor,
  y: (block: Block) => LayerTensor,
): Value | undefined {
  return total(b, blocks, (prior, block) => prior.product(b, x(block), y(block)));
}

/** The change of the priors by a step δ, a scalar: (w − c·w₀)ᵀHδ + ½·δᵀHδ; undefined if no block has one. */
export function priorChangeOf(
  b: Builder,
  steps: readonly { readonly prior?: Prior; readonly step: LayerTensor }[],
): Value | undefined {
  const slope = total(b, steps, (prior, { step }) => prior.slope(b, step));
  const square = total(b, steps, (prior, { step }) => prior.product(b, step, step));
  return slope && square && b.add(slope, b.mul(square, 0.5));
}

function total<Block extends { readonly prior?: Prior }>(
  b: Builder,
  blocks: readonly Block[],
  of: (prior: Prior, block: Block) => Value,
): Value | undefined {
  const [first, ...others] = blocks.flatMap((block) => (block.prior ? [of(block.prior, block)] : []));
  return first && others.reduce((sum, value) => b.add(sum, value), first);
}
