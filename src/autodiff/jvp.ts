// Forward-mode differentiation from reverse mode: the transpose of a transpose (the "double backward" identity).
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { vectorJacobianProduct } from './gradients.js';

/**
 * Jacobian–vector products: for each output the sum over the inputs of ∂output/∂input · tangent, in the output's shape.
 * u ↦ uᵀJ is linear in u, so its own vector–Jacobian product with cotangent t is J·t, whatever u is; u itself is dead code.
 * @param tangents one for each input, in the input's shape
 */
export function jacobianVectorProduct(
  b: Builder,
  outputs: readonly Value[],
  inputs: readonly Value[],
  tangents: readonly Value[],
): Value[] {
  const placeholders = outputs.map((output) => b.placeholderLike(output));
  const seeds = outputs.map((value, i) => ({ value, cotangent: placeholders[i] ?? value }));
  const pulled = vectorJacobianProduct(b, seeds, inputs);
  return vectorJacobianProduct(
    b,
    pulled.flatMap((value, i) => {
      const cotangent = tangents[i];
      return cotangent ? [{ value, cotangent }] : [];
    }),
    placeholders,
  );
}
