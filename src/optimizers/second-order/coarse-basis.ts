// The coarse spaces of two-level corrections: a few vectors a block.
import type { LayerTensor } from '../../curvature/layer-tensor.js';
import type { Builder } from '../../ops/builder.js';
import { checkedCount, checkKeys, type NoOptions } from '../../options.js';
import type { BlockDirection } from './block.js';

/** Shorter vectors are no direction. */
const smallestLength = 1e-18;

export interface BasisInput {
  readonly b: Builder;
  readonly blocks: readonly BlockDirection[];
  /** Their natural gradients (F + λI)⁻¹V. */
  readonly naturalGradients: readonly LayerTensor[];
  /** Return F·v for the exact Gauss–Newton matrix F of the sample; v and the result have one tensor for each block. */
  product(v: readonly LayerTensor[]): readonly LayerTensor[];
}

/**
 * Makes the vectors of a coarse space. Their lengths do not matter: the vectors of a block are made orthonormal.
 * @example
 * // Natural gradients and gradients: two vectors a layer
 * const both: CoarseBasis = {
 *   name: 'both',
 *   vectors: (input) => [naturalGradientBasis(), gradientBasis()].flatMap((each) => each.vectors(input)),
 * };
 * const optimizer = kfac({ acrossLayers: twoLevel({ basis: both }) });
 */
export interface CoarseBasis {
  readonly name: string;
  /** Whether its only vectors are the natural gradients. */
  readonly onlyLengths?: true;
  /** Return sets of vectors; each set has one for each block, in their order. */
  vectors(input: BasisInput): readonly (readonly LayerTensor[])[];
}

/**
 * Return the basis of the natural gradients of the layers, one vector each: the correction finds the best length of each
 * layer's step. Normalized steps, which have lengths of their own, refuse it.
 * @throws OptionError for options: it has none
 * @example
 * const optimizer = kfac({ acrossLayers: twoLevel({ basis: naturalGradientBasis() }) });
 */
export function naturalGradientBasis(options: NoOptions = {}): CoarseBasis {
  checkKeys('naturalGradientBasis', options, {});
  return { name: 'natural gradients', onlyLengths: true, vectors: ({ naturalGradients }) => [naturalGradients] };
}

/**
 * Return the basis of the gradients of the layers, one vector each.
 * @throws OptionError for options: it has none
 * @example
 * const optimizer = kfac({ acrossLayers: twoLevel({ basis: gradientBasis() }) });
 */
export function gradientBasis(options: NoOptions = {}): CoarseBasis {
  checkKeys('gradientBasis', options, {});
  return { name: 'gradients', vectors: ({ blocks }) => [blocks.map(({ smoothed }) => smoothed)] };
}

/**
 * Return the basis of Nicolaides: a vector of ones for each layer (Tselepidis et al. 2020, arXiv 2011.00573).
 * @throws OptionError for options: it has none
 * @example
 * const optimizer = kfac({ acrossLayers: twoLevel({ basis: onesBasis() }) });
 */
export function onesBasis(options: NoOptions = {}): CoarseBasis {
  checkKeys('onesBasis', options, {});
  return {
    name: 'ones',
    vectors: ({ b, blocks }) => [blocks.map(({ smoothed }) => smoothed.map((part) => b.onesLike(part)))],
  };
}

export interface KrylovBasisOptions {
  /** Vectors of each layer; 2 by default. Each takes a product with the Gauss–Newton matrix. */
  readonly dimension?: number;
}

/**
 * Return the Krylov basis y, Fy, F²y, … of the natural gradient y, with the part of each layer as a vector of its own.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = kfac({ acrossLayers: twoLevel({ basis: krylovBasis({ dimension: 3 }) }) });
 */
export function krylovBasis(options: KrylovBasisOptions = {}): CoarseBasis {
  checkKeys('krylovBasis', options, { dimension: true });
  const dimension = checkedCount('dimension', options.dimension ?? 2);
  return {
    name: 'Krylov',
    vectors({ b, naturalGradients, product }) {
      const sets = [unit(b, naturalGradients)];
      while (sets.length < dimension) sets.push(unit(b, product(sets.at(-1) ?? [])));
      return sets;
    },
  };
}

/** A vector of length 1, so that powers of F do not overflow. */
function unit(b: Builder, v: readonly LayerTensor[]): readonly LayerTensor[] {
  const squares = v.map((each) => each.dot(b, each)).reduce((x, y) => b.add(x, y));
  const length = b.max(b.sqrt(squares), smallestLength);
  return v.map((each) => each.map((part) => b.div(part, length)));
}
