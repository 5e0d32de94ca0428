// CG-FAC (arXiv 2101.00218): natural gradients of Kronecker blocks without forming A, G or the Fisher matrix.
import { checkKeys, type OptionKeys } from '../../options.js';
import type { Optimizer } from '../optimizer.js';
import type { AcrossLayersOption } from './across-layers.js';
import type { FactorDamping, ProductDamping, RowDamping, WholeDamping } from './damping.js';
import { factored } from './factored.js';
import { dense, type Factors, type FreshFactors, sketches, type WholeFactors } from './factors.js';
import { checkedParts, refuseNested } from './parts.js';
import { type SecondOrderOptions, secondOrder, secondOrderKeys } from './second-order.js';

/**
 * `damping`: `factored()` by default, `tikhonov()`; `primal()` and `inverseFree()`, which take no factors; `eigenvalues()` and
 * `eigenCorrected()` with dense factors. `factors`: `sketches()` by default, or `dense()`.
 */
export type CgfacOptions = SecondOrderOptions &
  AcrossLayersOption &
  (
    | { readonly damping?: FactorDamping; readonly factors?: Factors }
    | { readonly damping: ProductDamping; readonly factors?: FreshFactors }
    | { readonly damping: WholeDamping; readonly factors?: WholeFactors & FreshFactors }
    | { readonly damping: RowDamping; readonly factors?: undefined }
  );

const keys: OptionKeys<Pick<CgfacOptions, keyof CgfacOptions>> = {
  ...secondOrderKeys,
  damping: true,
  factors: true,
  acrossLayers: true,
};

/** Steps from one measurement of the curvature to the next, by default, if inverses are kept with it. */
export const measureInterval = 5;

/**
 * Return the CG-FAC optimizer. It needs no tuning: by default the loss and the data decide the kind of step, normalized for
 * classification of pictures and sequences, self-tuning for tables and for the other losses. A step that raises the loss of
 * its own batch by more than noise explains is taken back.
 * @throws OptionError for unknown options, and for options that have no effect together
 * @example
 * await train(autoencoder({ seed: 1 }), { data, optimizer: cgfac(), steps: 150, batchSize: 500 });
 * @example
 * const optimizer = cgfac({ step: selfTuning({ damping: 10 }), factors: sketches({ rank: 64 }) });
 */
export function cgfac(options: CgfacOptions = {}): Optimizer {
  refuseNested('cgfac', options);
  checkKeys('cgfac', options, keys);
  const { damping = factored(), factors = damping.needsWhole ? dense() : sketches(), ...parts } = checkedParts(options);
  const usualInterval = damping.invertsFactors && factors.inverseInterval === undefined ? measureInterval : 1;
  return secondOrder('cgfac', { ...parts, damping, factors, usualInterval }, options);
}
