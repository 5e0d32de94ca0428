// How the Fisher block of a layer is approximated: the contract, and the forms that are Kronecker products or nothing.
import type { Value } from '../../graph/graph.js';
import { checkKeys, type NoOptions } from '../../options.js';
import type { StepContext } from '../optimizer.js';
import type { BlockDirection, BlockGradient, MeasuredBlock } from './block.js';
import type { BlockDamping } from './damping.js';

export interface BlockFormInput {
  readonly context: StepContext;
  readonly block: BlockGradient;
  /** What the form has measured, at this step or at an earlier one. */
  readonly curvature: Value;
  /** The damping of the step for a block of given scales. */
  readonly delta: BlockDamping;
}

/** The form of a block that is a Kronecker product, which the optimizer's damping solves, or of one that is left aside. */
export interface ProductForm {
  readonly name: string;
  /** Whether the parameters of the block are trained by the `rest` instead. */
  readonly isRest?: true;
  /** Whether a Kronecker product is made of one row for each example, the sum of its rows. */
  readonly reduces?: true;
  readonly measure?: undefined;
}

/** The form of a block that measures and solves for itself. */
export interface MeasuredForm {
  readonly name: string;
  readonly isRest?: undefined;
  readonly reduces?: undefined;
  /** Return what the form keeps of the block's curvature, from its rows, at a step that measures. */
  measure(context: StepContext, block: MeasuredBlock): Value;
  /** Return the block with its natural gradient. */
  precondition(input: BlockFormInput): BlockDirection;
}

/**
 * The form of a block's Fisher matrix.
 * @example
 * // Gradient descent in units of the mean square of the gradients g:
 * const plain: BlockForm = {
 *   name: 'plain',
 *   measure: ({ b }, { rows }) => b.mean(b.square(rows.outputs)),
 *   precondition: ({ context: { b }, block, curvature, delta }) => {
 *     const one = { rootScale: b.scalar(1, curvature.dtype) };
 *     const scales = { inputs: { rootScale: b.sqrt(curvature) }, outputs: one };
 *     return { ...block, direction: block.smoothed, rootDamping: rootDampingOf(b, delta(b, scales), scales) };
 *   },
 * };
 * const optimizer = cgfac({ blocks: [['*.weight', plain]] });
 */
export type BlockForm = ProductForm | MeasuredForm;

export const isMeasured = (form: BlockForm): form is MeasuredForm => form.measure !== undefined;

/**
 * Return the form A⊗G of the optimizer's factors, with a row for each position and use ("expand", Eschenhagen et al. 2023, arXiv
 * 2311.00636): the form of all blocks by default.
 * @throws OptionError for options: it has none
 * @example
 * const optimizer = kfac({ blocks: [['*embedding*', none()], ['*', kronecker()]] });
 */
export function kronecker(options: NoOptions = {}): BlockForm {
  checkKeys('kronecker', options, {});
  return { name: 'kronecker' };
}

/**
 * Return the form A⊗G with one row for each example, for layers whose weights are shared over positions: the mean of its
 * activations and the sum of its gradients ("reduce", Eschenhagen et al. 2023, arXiv 2311.00636). It is exact if a mean over the
 * positions follows linear layers, and its factors cost as much as those of a dense layer.
 * @throws OptionError for options: it has none
 * @example
 * const optimizer = kfac({ blocks: [['*conv*', reduced()]] });
 */
export function reduced(options: NoOptions = {}): BlockForm {
  checkKeys('reduced', options, {});
  return { name: 'reduced', reduces: true };
}

/**
 * Return no form: the optimizer's `rest` trains the parameters, as it trains those without a block.
 * @throws OptionError for options: it has none
 * @example
 * const optimizer = cgfac({ blocks: [[isEmbedding, none()]], rest: adam({ learningRate: 0.001 }) });
 */
export function none(options: NoOptions = {}): BlockForm {
  checkKeys('none', options, {});
  return { name: 'none', isRest: true };
}
