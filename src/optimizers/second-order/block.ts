// A Kronecker block in one step, with its gradient, its rows and its natural gradient.
import type { KroneckerBlock } from '../../curvature/kronecker-block.js';
import type { LayerTensor } from '../../curvature/layer-tensor.js';
import type { LayerRows } from '../../curvature/statistics.js';
import type { Value } from '../../graph/graph.js';
import type { BlockSolve } from './convergence.js';
import type { Prior } from './prior.js';

export interface BlockGradient {
  readonly block: KroneckerBlock;
  /** The prior on the block's weights, which the step minimizes with the negative log-likelihood. */
  readonly prior?: Prior;
  /** The gradient of the mean negative log-likelihood and of the prior. */
  readonly gradient: LayerTensor;
  /** The gradient, or its average over steps: the vector that is preconditioned. */
  readonly smoothed: LayerTensor;
}

/** A block at a step that measures the curvature. */
export interface MeasuredBlock extends BlockGradient {
  /** Activations and pre-activation gradients of this step. */
  readonly rows: LayerRows;
}

export interface BlockDirection extends BlockGradient {
  /** λ·(F + λI)⁻¹·V with V = `smoothed` and the block's λ: the factor saves a pass over all parameters. */
  readonly direction: LayerTensor;
  /** √λ: a scalar, or `[groups, 1, 1]`. */
  readonly rootDamping: Value;
  /** What the solve of this block took, if it was solved by conjugate gradients and diagnostics read it. */
  readonly solve?: BlockSolve;
}
