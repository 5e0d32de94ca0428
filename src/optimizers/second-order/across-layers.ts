// The contract of a correction across layers: Kronecker blocks leave the interactions of layers out, and it restores some.
import type { FisherSample } from '../../curvature/fisher-sample.js';
import type { StepContext } from '../optimizer.js';
import type { BlockDirection } from './block.js';

export interface CorrectionInput {
  readonly context: StepContext;
  /** What the curvature was measured on. */
  readonly sample: FisherSample;
  /** The blocks with their natural gradients, each without regard to the others. */
  readonly blocks: readonly BlockDirection[];
}

/**
 * Corrects natural gradients of blocks.
 * @example
 * // Half of the gradient beside the natural gradient:
 * const mixed: AcrossLayers = {
 *   name: 'mixed',
 *   correct: ({ context: { b }, blocks }) =>
 *     blocks.map((each) => ({
 *       ...each,
 *       direction: each.direction.map((part, gradient) => b.add(part, b.mul(gradient, 0.5)), each.smoothed),
 *     })),
 * };
 * const optimizer = kfac({ acrossLayers: mixed });
 */
export interface AcrossLayers {
  readonly name: string;
  /** Whether it multiplies each direction by a number: steps of given lengths then refuse it. */
  readonly onlyLengths?: true;
  /** Return the same blocks with corrected directions. */
  correct(input: CorrectionInput): readonly BlockDirection[];
}

export interface AcrossLayersOption {
  /** A correction for the interactions of layers, such as `twoLevel()`; none by default. */
  readonly acrossLayers?: AcrossLayers;
}
