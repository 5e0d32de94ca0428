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
  /** φ times `priorStrength`, a scalar. */
  readonly #strength: Value;
  readonly #blocks: readonly KroneckerBlock[];
  readonly #distances: readonly LayerTensor[];

  /** @param distances of the weights from the mean, one entry a block */
  constructor(blocks: readonly KroneckerBlock[], distances: readonly LayerTensor[], strength: Value) {
    this.#blocks = blocks;
    this.#distances = distances;
    this.#strength = strength;
  }

  /** The gradient of the likelihood, one entry a block, with that of the prior. */
  addedTo(b: Builder, gradient: readonly LayerTensor[]): LayerTensor[] {
    return gradient.map((own, i) => {
      const [block, at] = [this.#blocks[i], this.#distances[i]];
      if (!block || !at || !block.decays) return own;
      return new LayerTensor(b.add(own.weight, b.mul(at.weight, this.#of(b, block))), own.bias, own.outputsFirst);
    });
  }

  /** xᵀHy, a scalar, for the prior's Hessian H. */
  product(b: Builder, x: readonly LayerTensor[], y: readonly LayerTensor[]): Value {
    const products = this.#blocks.flatMap((block, i) => {
      const [u, v] = [x[i], y[i]];
      return u && v && block.decays ? [b.mul(b.dot(u.weight, v.weight), this.#of(b, block))] : [];
    });
    const zero = b.scalar(0, this.#strength.dtype);
    return products.reduce((sum, product) => b.add(sum, product), zero);
  }

  /** The precision of a block's weights, each having so many inputs beside it. */
  #of(b: Builder, { inputs }: KroneckerBlock): Value {
    return b.mul(this.#strength, inputs / 2);
  }

  /** Its change by a step δ, a scalar: (w − c·w₀)ᵀHδ + ½·δᵀHδ. */
  change(b: Builder, step: readonly LayerTensor[]): Value {
    return b.add(this.product(b, this.#distances, step), b.mul(this.product(b, step, step), 0.5));
  }
}
