// A Kronecker block in one step: what it is, its rows, its gradient, and the natural gradient that is made of them.
import type { KroneckerBlock } from '../../curvature/kronecker-block.js';
import type { LayerTensor } from '../../curvature/layer-tensor.js';
import type { LayerRows } from '../../curvature/statistics.js';
import type { Value } from '../../graph/graph.js';
import type { Prior } from './prior.js';

export interface BlockGradient {
  readonly block: KroneckerBlock;
  /** The step's own activations and gradients. */
  readonly rows: LayerRows;
  /** What the step minimizes on these weights beside the negative log-likelihood. */
  readonly prior?: Prior;
  /** The gradient of the mean negative log-likelihood and of the prior. */
  readonly gradient: LayerTensor;
  /** What is preconditioned: the gradient, or an average of it over steps. */
  readonly smoothed: LayerTensor;
}

export interface BlockDirection extends BlockGradient {
  /** λ·(F + λI)⁻¹·V with V = `smoothed` and the block's λ: the factor spares a pass over all parameters. */
  readonly direction: LayerTensor;
  /** √λ: a scalar, or `[groups, 1, 1]`. */
  readonly rootDamping: Value;
}
