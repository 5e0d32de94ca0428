// Natural gradients of Kronecker blocks from their sides: factored damping, and Tikhonov damping by CG in Gram space.
import type { LayerTensor } from '../curvature/layer-tensor.js';
import { identityMatrix, stack, unstack } from '../curvature/matrices.js';
import type { InputSide, OutputSide } from '../curvature/sides.js';
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { conjugateGradient } from '../solvers/conjugate-gradient.js';
import { spdInverse } from '../solvers/spd-inverse.js';
import type { BlockDamping } from './preconditioner.js';

export interface BlockSides {
  readonly inputs: InputSide;
  readonly outputs: OutputSide;
}

/** The damping of the two sides of a block, scalars. */
export interface FactoredDamping {
  readonly inputs: Value;
  readonly outputs: Value;
}

/** λ of a block by the mean eigenvalue of A⊗G. */
export const blockDamping = (b: Builder, { inputs, outputs }: BlockSides, damping: BlockDamping): Value =>
  damping(() => b.mul(inputs.meanEigenvalue, outputs.meanEigenvalue));

/** δ_A = π√λ and δ_G = √λ/π with π² = (tr A/m)/(tr G/n): Martens & Grosse 2015, section 6.3. */
export function factoredDamping(b: Builder, { inputs, outputs }: BlockSides, damping: Value): FactoredDamping {
  // A dead layer has no gradients: keep the ratio finite, the damping then carries the whole block.
  const tiny = 1e-30;
  const pi = b.sqrt(b.div(b.max(inputs.meanEigenvalue, tiny), b.max(outputs.meanEigenvalue, tiny)));
  const bounded = b.min(b.max(pi, 1e-6), 1e6);
  const root = b.sqrt(damping);
  return { inputs: b.mul(bounded, root), outputs: b.div(root, bounded) };
}

/** Inverses of K + δI for many kernels: those of equal order are inverted together, as one batch. */
export function dampedInverses(b: Builder, kernels: readonly Value[], deltas: readonly Value[]): Value[] {
  // Layers that read the same activations can share a kernel, each with a damping of its own.
  const systems = kernels.flatMap((kernel, i) => {
    const delta = deltas[i];
    return delta ? [{ kernel, delta, order: kernel.dims[0] ?? 1 }] : [];
  });
  const inverses = new Map<(typeof systems)[number], Value>();
  const [diagonal, full] = [1, 2].map((rank) => systems.filter(({ kernel }) => kernel.rank === rank));
  for (const system of diagonal ?? []) inverses.set(system, b.reciprocal(b.add(system.kernel, system.delta)));
  for (const group of groupBy(full ?? [], ({ order }) => String(order))) {
    const shifted = group.map(({ kernel, delta, order }) =>
      b.add(kernel, b.mul(identityMatrix(b, order, kernel.dtype), delta)),
    );
    const inverse = spdInverse(b, stack(b, shifted));
    for (const [i, system] of group.entries()) inverses.set(system, unstack(b, inverse, i));
  }
  return systems.map((system) => inverses.get(system) ?? system.kernel);
}

/** λ·(A + δ_A I)⁻¹·V·(G + δ_G I)⁻¹ from the inverted kernels; δ_A·δ_G = λ. */
export function factoredDirection(
  v: LayerTensor,
  sides: BlockSides,
  deltas: FactoredDamping,
  inverses: { readonly inputs: Value; readonly outputs: Value },
): LayerTensor {
  return sides.outputs.damp(sides.inputs.damp(v, inverses.inputs, deltas.inputs), inverses.outputs, deltas.outputs);
}

export interface TikhonovOptions {
  readonly maxIterations: number;
  /** Relative residual at which the solve ends. */
  readonly tolerance: number;
}

/**
 * λ·(A⊗G + λI)⁻¹·V = V − L_a·S·L_gᵀ, where S solves K_a·S·K_g + λS = P_a·V·P_gᵀ by conjugate gradients. Blocks whose
 * Gram spaces have equal orders are solved together, as one batch.
 */
export function tikhonovDirections(
  b: Builder,
  gradient: readonly LayerTensor[],
  sides: readonly BlockSides[],
  damping: BlockDamping,
  options: TikhonovOptions,
): { readonly directions: readonly LayerTensor[]; readonly iterations: Value; readonly residual: Value } {
  const systems = gradient.flatMap((v, i) => {
    const side = sides[i];
    return side
      ? [{ v, side, damping: blockDamping(b, side, damping), target: side.outputs.project(side.inputs.project(v)) }]
      : [];
  });
  const directions = new Map<LayerTensor, LayerTensor>();
  const iterations: Value[] = [];
  const residuals: Value[] = [];
  const shapeOf = ({ side, target }: (typeof systems)[number]) => [...target.dims, side.inputs.kernel.rank].join();
  for (const group of groupBy(systems, shapeOf)) {
    const diagonal = group.every(({ side }) => side.inputs.kernel.rank === 1);
    const inputKernels = stack(
      b,
      group.map(({ side: { inputs } }) => (diagonal ? b.unsqueeze(inputs.kernel, [1]) : inputs.kernel)),
    );
    const fromLeft = (inner: Builder, s: Value) =>
      diagonal ? inner.mul(inputKernels, s) : inner.matmul(inputKernels, s);
    const outputKernels = stack(
      b,
      group.map(({ side }) => side.outputs.kernel),
    );
    // One λ for each system of the batch: [systems, 1, 1].
    const dampings = b.concat(
      group.map((system) => b.reshape(system.damping, [1, 1, 1])),
      0,
    );
    const solve = conjugateGradient(b, {
      operator: (inner, [s]) =>
        s ? [inner.add(inner.matmul(fromLeft(inner, s), outputKernels), inner.mul(s, dampings))] : [],
      rightHandSide: [
        stack(
          b,
          group.map(({ target }) => target),
        ),
      ],
      batched: true,
      ...options,
    });
    const [solution] = solve.value;
    iterations.push(b.cast(solve.iterations, dampings.dtype));
    residuals.push(solve.residual);
    for (const [i, { v, side }] of group.entries()) {
      if (solution) directions.set(v, side.inputs.minusLifted(v, side.outputs.lift(unstack(b, solution, i))));
    }
  }
  return {
    directions: gradient.map((v) => directions.get(v) ?? v),
    iterations: iterations.reduce((x, y) => b.max(x, y)),
    residual: residuals.reduce((x, y) => b.max(x, y)),
  };
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return [...groups.values()];
}
