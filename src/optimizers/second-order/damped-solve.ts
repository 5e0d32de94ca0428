// Natural gradients of Kronecker blocks from their sides: factored damping, and Tikhonov damping by CG in Gram space.

import { identityLike, stack, unstack } from '../../curvature/factors/matrices.js';
import type { InputSide, OutputSide } from '../../curvature/factors/sides.js';
import type { LayerTensor } from '../../curvature/layer-tensor.js';
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { conjugateGradient } from '../../solvers/conjugate-gradient.js';
import { spdInverse } from '../../solvers/spd-inverse.js';

export interface BlockSides {
  readonly inputs: InputSide;
  readonly outputs: OutputSide;
}

/** K̂ + δI, to be inverted. */
export interface DampedKernel {
  readonly kernel: Value;
  /** A scalar. */
  readonly delta: Value;
}

/** The two systems of a block with damping δ, inputs first. */
export const dampedKernels = (b: Builder, { inputs, outputs }: BlockSides, delta: Value): DampedKernel[] => [
  { kernel: inputs.kernel(b), delta },
  { kernel: outputs.kernel(b), delta },
];

/** Inverses of K̂ + δI for many kernels: those of equal order are inverted together, as one batch. */
export function dampedInverses(b: Builder, systems: readonly DampedKernel[]): Value[] {
  const inverses = new Map<DampedKernel, Value>();
  const full = systems.filter(({ kernel }) => kernel.rank > 1);
  const diagonal = systems.filter(({ kernel }) => kernel.rank === 1);
  for (const system of diagonal) inverses.set(system, b.reciprocal(b.add(system.kernel, system.delta)));
  for (const group of groupBy(full, ({ kernel }) => String(kernel.dims.at(-1)))) {
    const shifted = group.map(({ kernel, delta }) => b.add(kernel, b.mul(identityLike(b, kernel), delta)));
    const [only] = shifted;
    if (only?.rank === 2 && shifted.length === 1) {
      // One matrix is inverted faster alone than as a batch of one.
      inverses.set(group[0] as DampedKernel, spdInverse(b, only));
      continue;
    }
    const inverse = spdInverse(b, stack(b, shifted));
    for (const [i, system] of group.entries()) inverses.set(system, unstack(b, inverse, shifted, i));
  }
  return systems.map((system) => inverses.get(system) ?? system.kernel);
}

/** λ·(A + π√λ I)⁻¹·V·(G + √λ/π I)⁻¹ from the inverted kernels and the δ that they were damped with. */
export function factoredDirection(
  v: LayerTensor,
  { inputs, outputs }: BlockSides,
  delta: Value,
  inverses: { readonly inputs: Value; readonly outputs: Value },
): LayerTensor {
  return outputs.damp(inputs.damp(v, inverses.inputs, delta), inverses.outputs, delta);
}

export interface TikhonovOptions {
  readonly maxIterations: number;
  /** Relative residual at which the solve ends. */
  readonly tolerance: number;
}

/**
 * λ·(A⊗G + λI)⁻¹·V = V − L_a·S·L_gᵀ, where S solves K̂_a·S·K̂_g + δ²S = P_a·V·P_gᵀ by conjugate gradients. Blocks whose
 * Gram spaces have equal orders are solved together, as one batch.
 * @param deltas δ of each block: λ is δ² times the mean eigenvalue of its A⊗G
 */
export function tikhonovDirections(
  b: Builder,
  gradient: readonly LayerTensor[],
  sides: readonly BlockSides[],
  deltas: readonly Value[],
  options: TikhonovOptions,
): { readonly directions: readonly LayerTensor[]; readonly iterations: Value; readonly residual: Value } {
  const systems = gradient.flatMap((v, i) => {
    const [side, delta] = [sides[i], deltas[i]];
    return side && delta
      ? [{ v, side, damping: b.square(delta), target: side.outputs.project(side.inputs.project(v)) }]
      : [];
  });
  const directions = new Map<LayerTensor, LayerTensor>();
  const iterations: Value[] = [];
  const residuals: Value[] = [];
  const shapeOf = ({ side, target }: (typeof systems)[number]) =>
    [...target.dims.slice(-2), side.inputs.diagonal].join();
  for (const group of groupBy(systems, shapeOf)) {
    const targets = group.map(({ target }) => target);
    const diagonal = group.every(({ side }) => side.inputs.diagonal);
    const inputKernels = stack(
      b,
      group.map(({ side: { inputs } }) => (diagonal ? b.unsqueeze(inputs.kernel(b), [1]) : inputs.kernel(b))),
    );
    const fromLeft = (inner: Builder, s: Value) =>
      diagonal ? inner.mul(inputKernels, s) : inner.matmul(inputKernels, s);
    const outputKernels = stack(
      b,
      group.map(({ side }) => side.outputs.kernel(b)),
    );
    // One δ² for each system of the batch: [systems, 1, 1].
    const dampings = b.concat(
      group.map(({ damping, target }) => forEach(b, damping, target)),
      0,
    );
    const solve = conjugateGradient(b, {
      operator: (inner, [s]) =>
        s ? [inner.add(inner.matmul(fromLeft(inner, s), outputKernels), inner.mul(s, dampings))] : [],
      rightHandSide: [stack(b, targets)],
      batched: true,
      ...options,
    });
    const [solution] = solve.value;
    iterations.push(b.cast(solve.iterations, dampings.dtype));
    residuals.push(solve.residual);
    for (const [i, { v, side }] of group.entries()) {
      if (solution) directions.set(v, side.inputs.minusLifted(v, side.outputs.lift(unstack(b, solution, targets, i))));
    }
  }
  return {
    directions: gradient.map((v) => directions.get(v) ?? v),
    iterations: iterations.reduce((x, y) => b.max(x, y)),
    residual: residuals.reduce((x, y) => b.max(x, y)),
  };
}

/** A number of a block for each matrix of its batch, `[matrices, 1, 1]`. */
const forEach = (b: Builder, number: Value, { rank, dims: [matrices = 1] }: Value): Value =>
  number.rank === 0 && rank === 3
    ? b.op('Expand', [number, b.integers([matrices, 1, 1])])
    : b.reshape(number, [rank === 3 ? matrices : 1, 1, 1]);

function groupBy<T>(items: readonly T[], key: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return [...groups.values()];
}
