// Forward-mode differentiation from reverse mode: the transpose of a transpose (the "double backward" identity).
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { vectorJacobianProduct } from './gradients.js';

/**
 * Return Jacobian–vector products: for each output the sum over the inputs of ∂output/∂input · tangent, in the output's
 * shape. u ↦ uᵀJ is linear in u, so its vector–Jacobian product with cotangent t is J·t for every u; u is dead code.
 * @param tangents one for each input, in the input's shape
 */
export function jacobianVectorProduct(
  b: Builder,
  outputs: readonly Value[],
  inputs: readonly Value[],
  tangents: readonly Value[],
): Value[] {
  const seeds = outputs.map((value) => ({ value, cotangent: b.placeholderLike(value) }));
  const pulled = vectorJacobianProduct(b, seeds, inputs);
  return vectorJacobianProduct(
    b,
    pulled.flatMap((value, i) => {
      const cotangent = tangents[i];
      return cotangent ? [{ value, cotangent }] : [];
    }),
    seeds.map(({ cotangent }) => cotangent),
  );
}
