// The exact natural gradient of a batch, with the Fisher matrix of its examples: what K-FAC and CG-FAC approximate.
import { type LayerKind, layerKinds } from '../../curvature/layers/index.js';
import { checkKeys, type OptionKeys } from '../../options.js';
import type { Optimizer } from '../optimizer.js';
import { checkedObject } from '../options.js';
import { sketches } from './factors.js';
import { type Coupling, khatriRao, wholeNetwork } from './khatri-rao.js';
import { refuseNested } from './parts.js';
import { type SecondOrderOptions, secondOrder, secondOrderKeys } from './second-order.js';

export interface NaturalGradientOptions extends Omit<SecondOrderOptions, 'curvatureRows'> {
  /** The layers whose equations are solved together: `wholeNetwork()` by default, or `eachLayer()`. */
  readonly coupling?: Coupling;
  /**
   * Examples of the batch that the curvature is measured on; the whole batch by default. A step inverts a matrix of that
   * order, times the samples of the Fisher matrix, for each system.
   */
  readonly curvatureRows?: number;
}

const keys: OptionKeys<NaturalGradientOptions> = { ...secondOrderKeys, coupling: true };

/** Layers without rows of activations, scales and shifts, have no gradients of single examples here: `rest` trains them. */
const withRows: readonly LayerKind[] = layerKinds.filter(({ factor }) => factor !== 'identity');

/**
 * Return the optimizer of exact natural gradients (F + λI)⁻¹∇: F = JᵀJ is the Fisher matrix of the examples of the batch,
 * with all interactions of layers and without a Kronecker approximation, inverted by Woodbury's identity in the space of the
 * examples (Ren & Goldfarb 2019, arXiv 1906.02353). It is the reference for `kfac` and `cgfac` in numbers of steps; a step
 * takes longer. It has their steps; parameters outside dense layers, convolutions and embeddings belong to `rest`.
 * @throws OptionError for unknown options, and for options that have no effect together
 * @example
 * const optimizer = naturalGradient({ coupling: eachLayer(), step: selfTuning({ damping: 10 }) });
 */
export function naturalGradient(options: NaturalGradientOptions = {}): Optimizer {
  refuseNested('naturalGradient', options);
  checkKeys('naturalGradient', options, keys);
  const coupling =
    checkedObject('coupling', options.coupling, 'systems', ['wholeNetwork', 'eachLayer']) ?? wholeNetwork();
  const { coupling: _, ...own } = options;
  return secondOrder(
    'natural-gradient',
    { damping: khatriRao(coupling), factors: sketches() },
    { layerKinds: withRows, curvatureRows: Number.MAX_SAFE_INTEGER, ...own },
  );
}
