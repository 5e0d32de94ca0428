// What turns a gradient into a natural gradient: the contract between a second-order step and its preconditioner.
import type { KroneckerBlock } from '../../curvature/kronecker-block.js';
import type { LayerTensor } from '../../curvature/layer-tensor.js';
import type { LayerRows } from '../../curvature/statistics.js';
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import type { StepContext } from '../optimizer.js';

export interface PreconditionerInput {
  readonly context: StepContext;
  readonly blocks: readonly KroneckerBlock[];
  /** The step's own activations and gradients, one entry a block. */
  readonly rows: readonly LayerRows[];
  /** The gradient V of the mean negative log-likelihood, or an average of it, one entry a block. */
  readonly gradient: readonly LayerTensor[];
  readonly damping: BlockDamping;
}

/** What a block's factors are measured in: the roots of the mean eigenvalues of A and of G. */
export interface BlockScales {
  readonly inputs: { readonly rootScale: Value };
  readonly outputs: { readonly rootScale: Value };
}

/**
 * The damping δ of each side of a block in units of the side's own mean eigenvalue, so that λ = δ²·(tr A/m)(tr G/n): with
 * π² = (tr A/m)/(tr G/n) the two sides of factored damping, π√λ and √λ/π, are the same in these units (Martens & Grosse
 * 2015, section 6.3).
 */
export type BlockDamping = (b: Builder, scales: BlockScales) => Value;

/**
 * Bounds on δ. Below, λ = 1e-6 times the mean eigenvalue: float32 cannot invert less of a singular factor. Above, the
 * direction is the gradient itself to 1e-6: a layer without curvature, whose δ would be infinite.
 */
const [smallest, largest] = [1e-3, 1e6];

/** One λ for all blocks. */
export const absolute =
  (damping: Value): BlockDamping =>
  (b, { inputs, outputs }) =>
    b.min(b.max(b.div(b.div(b.sqrt(damping), inputs.rootScale), outputs.rootScale), smallest), largest);

/** ε times the block's mean eigenvalue: directions do not change where the loss or a layer's inputs are scaled. */
export const relative =
  (damping: Value): BlockDamping =>
  (b) =>
    b.max(b.sqrt(damping), smallest);

export interface Preconditioned {
  /** λ·(F + λI)⁻¹·V for each block with its λ: the factor spares a pass over all parameters. */
  readonly directions: readonly LayerTensor[];
  /** √λ of each block: one λ for all where damping is absolute, but for the bounds on it. */
  readonly rootDampings: readonly Value[];
  /** New values of the states it declared. */
  readonly state: ReadonlyMap<string, Value>;
  readonly diagnostics: ReadonlyMap<string, Value>;
}

export interface Preconditioner {
  build(input: PreconditionerInput): Preconditioned;
  /** The scalars it asked for. */
  scalars(step: number): Record<string, number>;
}

/** √λ = δ·√(tr A/m)·√(tr G/n) of each block. */
export const rootDampingsOf = (b: Builder, deltas: readonly Value[], scales: readonly BlockScales[]): Value[] =>
  deltas.flatMap((delta, i) => {
    const block = scales[i];
    return block ? [b.mul(b.mul(delta, block.inputs.rootScale), block.outputs.rootScale)] : [];
  });
