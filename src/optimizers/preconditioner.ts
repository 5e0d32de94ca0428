// What turns a gradient into a natural gradient: the contract between a second-order step and its preconditioner.
import type { KroneckerBlock } from '../curvature/blocks.js';
import type { LayerTensor } from '../curvature/layer-tensor.js';
import type { LayerRows } from '../curvature/statistics.js';
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import type { StepContext } from './optimizer.js';

export interface PreconditionerInput {
  readonly context: StepContext;
  readonly blocks: readonly KroneckerBlock[];
  /** The step's own activations and gradients, one entry a block. */
  readonly rows: readonly LayerRows[];
  /** The gradient V of the mean negative log-likelihood, or an average of it, one entry a block. */
  readonly gradient: readonly LayerTensor[];
  readonly damping: BlockDamping;
}

/** λ of a block, a scalar, given the mean eigenvalue (tr A/m)·(tr G/n) of its Fisher matrix. */
export type BlockDamping = (meanEigenvalue: () => Value) => Value;

/** One λ for all blocks. */
export const absolute =
  (damping: Value): BlockDamping =>
  () =>
    damping;

/** ε times the block's mean eigenvalue: directions do not change where the loss or a layer's inputs are scaled. */
export const relative =
  (b: Builder, damping: Value): BlockDamping =>
  (meanEigenvalue) =>
    b.mul(damping, b.max(meanEigenvalue(), 1e-30)); // a dead layer has no curvature, and no gradient either

export interface Preconditioned {
  /** λ·(F + λI)⁻¹·V for each block with its λ: the factor spares a pass over all parameters. */
  readonly directions: readonly LayerTensor[];
  /** New values of the states it declared. */
  readonly state: ReadonlyMap<string, Value>;
  readonly diagnostics: ReadonlyMap<string, Value>;
}

export interface Preconditioner {
  build(input: PreconditionerInput): Preconditioned;
  /** The scalars it asked for. */
  scalars(step: number): Record<string, number>;
}
