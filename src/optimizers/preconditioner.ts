// What turns a gradient into a natural gradient: the contract between a second-order step and its preconditioner.
import type { KroneckerBlock } from '../curvature/blocks.js';
import type { LayerTensor } from '../curvature/layer-tensor.js';
import type { LayerRows } from '../curvature/statistics.js';
import type { Value } from '../graph/graph.js';
import type { StepContext } from './optimizer.js';

export interface PreconditionerInput {
  readonly context: StepContext;
  readonly blocks: readonly KroneckerBlock[];
  /** The step's own activations and gradients, one entry a block. */
  readonly rows: readonly LayerRows[];
  /** The gradient V of the mean negative log-likelihood, one entry a block. */
  readonly gradient: readonly LayerTensor[];
  /** λ, a scalar. */
  readonly damping: Value;
}

export interface Preconditioned {
  /** λ·(F + λI)⁻¹·V for each block: the factor λ spares a pass over all parameters. */
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
