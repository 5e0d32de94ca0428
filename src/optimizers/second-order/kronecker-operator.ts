// A block's Kronecker product A ⊗ G in units of its mean eigenvalue, made of its two sides, and its damped inverses.
import { identityLike, stack, unstack } from '../../curvature/factors/matrices.js';
import type { InputSide, OutputSide } from '../../curvature/factors/sides.js';
import type { LayerTensor } from '../../curvature/layer-tensor.js';
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { spdInverse } from '../../solvers/spd-inverse.js';
import { solvedInGroups } from './groups.js';

/** K̂ + δI, to be inverted. */
export interface DampedKernel {
  readonly kernel: Value;
  /** A scalar, or `[groups, 1, 1]`. */
  readonly delta: Value;
}

/**
 * Number of parameters from which both sides are damped in one product: it has four nodes more, and two passes over the
 * parameters fewer.
 */
const leastWide = 2 ** 18;

/** A value for each side of a block: (K̂ + δI)⁻¹, or the system to invert. */
export interface PerSide<T> {
  readonly inputs: T;
  readonly outputs: T;
}

/**
 * The Kronecker product of the two sides of a block. `Factors` return one for each block; own factors make it of own sides.
 * @example
 * // The rows of this batch alone, without averages:
 * const rowsAlone: FreshFactors = {
 *   name: 'rows alone',
 *   begin: ({ b }) => ({ block, rows }) =>
 *     new KroneckerOperator(
 *       inputRowsSide(b, rows.inputs, block.inputs + (block.bias === undefined ? 0 : 1)),
 *       outputRowsSide(b, rows.outputs),
 *     ),
 * };
 * const optimizer = cgfac({ damping: tikhonov(), factors: rowsAlone });
 */
export class KroneckerOperator {
  readonly inputs: InputSide;
  readonly outputs: OutputSide;

  constructor(inputs: InputSide, outputs: OutputSide) {
    this.inputs = inputs;
    this.outputs = outputs;
  }

  /** Return the two systems of factored damping. */
  dampedKernels(b: Builder, delta: Value): PerSide<DampedKernel> {
    return {
      inputs: { kernel: this.inputs.kernel(b), delta },
      outputs: { kernel: this.outputs.kernel(b), delta },
    };
  }

  /** Return λ·(A + π√λ I)⁻¹·V·(G + √λ/π I)⁻¹ from the inverted kernels and their damping δ. */
  factoredSolve(v: LayerTensor, delta: Value, inverses: PerSide<Value>): LayerTensor {
    const { rows } = this.outputs;
    if (rows && v.groupSize >= leastWide && this.inputs.dampBoth) return this.inputs.dampBoth(v, rows, inverses);
    return this.outputs.damp(this.inputs.damp(v, inverses.inputs, delta), inverses.outputs, delta);
  }

  /** Return P_a·V·P_gᵀ: V in the Gram space of both sides. */
  project(v: LayerTensor): Value {
    return this.outputs.project(this.inputs.project(v));
  }

  /** Return V − L_a·S·L_gᵀ for S in the Gram space. */
  minusLifted(v: LayerTensor, s: Value): LayerTensor {
    return this.inputs.minusLifted(v, this.outputs.lift(s));
  }
}

/** Invert K̂ + δI of many kernels, those of equal order together as one batch; the result returns the inverse of each. */
export const invertedKernels = (b: Builder, systems: readonly DampedKernel[]): ((system: DampedKernel) => Value) =>
  solvedInGroups(
    systems,
    ({ kernel }) => (kernel.rank === 1 ? `diagonal ${kernel.dims.join()}` : String(kernel.dims.at(-1))),
    (group) => {
      const [only] = group;
      if (only?.kernel.rank === 1) return group.map(({ kernel, delta }) => b.reciprocal(b.add(kernel, delta)));
      const shifted = group.map(({ kernel, delta }) => b.add(kernel, b.mul(identityLike(b, kernel), delta)));
      // One matrix is inverted faster alone than as a batch of one.
      if (only?.kernel.rank === 2 && shifted.length === 1) return shifted.map((matrix) => spdInverse(b, matrix));
      const inverse = spdInverse(b, stack(b, shifted));
      return shifted.map((_, i) => unstack(b, inverse, shifted, i));
    },
  );
