// A block's Kronecker product A ⊗ G in units of its mean eigenvalue, made of its two sides, and its damped inverses.
import { stack, unstack } from '../../curvature/factors/matrices.js';
import type { InputSide, OutputSide } from '../../curvature/factors/sides.js';
import type { LayerTensor } from '../../curvature/layer-tensor.js';
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { identityLike } from '../../ops/identity.js';
import { spdInverse } from '../../solvers/spd-inverse.js';
import { smallestDelta } from './damping.js';
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

  /** The values that the sides are made of. */
  get parts(): readonly Value[] {
    return [...this.inputs.parts, ...this.outputs.parts];
  }

  /**
   * Return the operator made of other values: those that it was made of are kept while steps do without new ones.
   * @param of the value that stands for one of `parts`
   */
  again(b: Builder, of: (part: Value) => Value): KroneckerOperator {
    return new KroneckerOperator(this.inputs.again(b, of), this.outputs.again(b, of));
  }

  /**
   * Return the two systems of factored damping.
   * @param delta δ, the damping of each side if π is that of the traces
   * @param pi another π
   */
  dampedKernels(b: Builder, delta: Value, pi?: number): PerSide<DampedKernel> {
    const deltas = this.#deltas(b, delta, pi);
    return {
      inputs: { kernel: this.inputs.kernel(b), delta: deltas.inputs },
      outputs: { kernel: this.outputs.kernel(b), delta: deltas.outputs },
    };
  }

  /** The damping of each side, π√λ and √λ/π in its units: their product is δ². */
  #deltas(b: Builder, delta: Value, pi: number | undefined): PerSide<Value> {
    const { inputs, outputs } = this;
    // A⊗I + λI = (A + λI)⊗I
    if (outputs.identity) return { inputs: b.square(delta), outputs: delta };
    if (pi === undefined) return { inputs: delta, outputs: delta };
    const ratio = b.mul(b.div(outputs.rootScale, inputs.rootScale), pi);
    const square = b.square(delta);
    const left = b.min(b.max(b.mul(delta, ratio), smallestDelta), b.div(square, smallestDelta));
    return { inputs: left, outputs: b.div(square, left) };
  }

  /** Return what `damped` multiplies with, from the systems of factored damping and their inverses. */
  dampers(b: Builder, kernels: PerSide<DampedKernel>, inverses: PerSide<Value>): PerSide<Value> {
    return {
      inputs: this.inputs.damper(b, inverses.inputs, kernels.inputs.delta),
      outputs: this.outputs.damper(b, inverses.outputs, kernels.outputs.delta),
    };
  }

  /** Return λ·(A + π√λ I)⁻¹·V·(G + √λ/π I)⁻¹. */
  damped(v: LayerTensor, { inputs, outputs }: PerSide<Value>): LayerTensor {
    const { rows } = this.outputs;
    if (rows && v.groupSize >= leastWide && this.inputs.dampBoth)
      return this.inputs.dampBoth(v, rows, { inputs, outputs });
    return this.outputs.damp(this.inputs.damp(v, inputs), outputs);
  }

  /** Return P_a·V·P_gᵀ: V in the Gram space of both sides. */
  project(v: LayerTensor): Value {
    return this.outputs.project(this.inputs.project(v));
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

/**
 * Return what `damped` multiplies with for each of many operators with factored damping δ; inverses of equal order are one
 * batch.
 * @param pi another π than that of the traces
 */
export function invertedDampers<System extends { readonly operator: KroneckerOperator; readonly delta: Value }>(
  b: Builder,
  systems: readonly System[],
  pi?: number,
): Map<System, PerSide<Value>> {
  const kernels = systems.map(({ operator, delta }) => operator.dampedKernels(b, delta, pi));
  const inverseOf = invertedKernels(
    b,
    kernels.flatMap(({ inputs, outputs }) => [inputs, outputs]),
  );
  return new Map(
    systems.map((system, i) => {
      const own = kernels[i] as PerSide<DampedKernel>; // one a system
      const inverses = { inputs: inverseOf(own.inputs), outputs: inverseOf(own.outputs) };
      return [system, system.operator.dampers(b, own, inverses)];
    }),
  );
}
