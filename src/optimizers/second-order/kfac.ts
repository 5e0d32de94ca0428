// K-FAC (Martens & Grosse 2015): moving averages of the Kronecker factors A and G, inverted every T steps.
import { OptionError } from '../../errors.js';
import { checkKeys, type OptionKeys } from '../../options.js';
import type { Optimizer } from '../optimizer.js';
import type { AcrossLayersOption } from './across-layers.js';
import type { FactorDamping, ProductDamping, WholeDamping } from './damping.js';
import { factored } from './factored.js';
import { dense, type FreshFactors, type WholeFactors } from './factors.js';
import { checkedParts, refuseNested } from './parts.js';
import { type SecondOrderOptions, secondOrder, secondOrderKeys } from './second-order.js';

/** `damping`: `factored()` by default, `eigenvalues()`, `eigenCorrected()` or `tikhonov()`. `factors`: `dense()`. */
export type KfacOptions = SecondOrderOptions &
  AcrossLayersOption &
  (
    | { readonly damping?: FactorDamping; readonly factors?: WholeFactors }
    | { readonly damping: ProductDamping | WholeDamping; readonly factors?: WholeFactors & FreshFactors }
  );

const keys: OptionKeys<Pick<KfacOptions, keyof KfacOptions>> = {
  ...secondOrderKeys,
  damping: true,
  factors: true,
  acrossLayers: true,
};

/** Steps between inversions by default. */
const usualInterval = 20;

/**
 * Return the K-FAC optimizer, with the steps of `cgfac`: by default the loss and the data decide their kind.
 * @throws OptionError for unknown options, and for options that have no effect together
 * @example
 * const optimizer = kfac({ step: scheduled({ learningRate: 0.05 }), factors: dense({ inverseInterval: 10 }) });
 */
export function kfac(options: KfacOptions = {}): Optimizer {
  refuseNested('kfac', options);
  checkKeys('kfac', options, keys);
  const { damping = factored(), factors = dense(), ...across } = checkedParts(options);
  if (damping.usesRows)
    throw new OptionError(`damping is ${damping.name}(), which keeps no factors: use it with cgfac`);
  if (!factors.areWhole) {
    throw new OptionError(
      `factors are ${factors.name}(); kfac keeps the factors themselves: give dense(), or use cgfac`,
    );
  }
  checkedParts({ damping, factors });
  const { inverseInterval = usualInterval } = factors;
  const kept = damping.invertsFactors ? { ...factors, inverseInterval } : factors;
  return secondOrder('kfac', { damping, factors: kept, ...across }, options);
}
