// The contract of dampings (factored, tikhonov, primal, …), which damp and invert a block's Fisher matrix, and the strength δ.
import type { FisherSample } from '../../curvature/fisher-sample.js';
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import type { StepContext } from '../optimizer.js';
import type { BlockDirection, BlockGradient } from './block.js';
import type { Factors } from './factors.js';
import type { Measure } from './refresh.js';

export interface DampingInput {
  readonly context: StepContext;
  readonly blocks: readonly BlockGradient[];
  /** Return what the rows of this step's blocks are measured on. */
  sample(): FisherSample;
  readonly factors: Factors;
  readonly delta: BlockDamping;
  /** Measures the curvature, at this step or at an earlier one. */
  readonly measure: Measure;
  /** Whether blocks that conjugate gradients solve are to tell what their own solve took. */
  readonly tellsSolves?: boolean;
}

/** Damps and inverts Fisher matrices: turns gradients into natural gradients. */
export interface Damping {
  readonly name: string;
  /** Whether it solves with the rows of this batch alone, so that factors have no effect. */
  readonly usesRows?: true | undefined;
  /** Whether it solves with the Fisher matrix itself: no Kronecker product is made, of which a form could be chosen. */
  readonly isExact?: true | undefined;
  /** Whether it measures the curvature at each step. */
  readonly measuresAlways?: true | undefined;
  /** Whether it inverts the damped factors, so that the inverses can be kept for several steps. */
  readonly invertsFactors?: true | undefined;
  /** Whether it needs the factors themselves, not sketches of them. */
  readonly needsWhole?: true | undefined;
  /** An option that was given and concerns only factors that are held as rows. */
  readonly optionOfRows?: string | undefined;
  /** Return each block with its natural gradient. */
  precondition(input: DampingInput): readonly BlockDirection[];
}

/** Damping of each factor, by inverses. */
export type FactorDamping = Damping & { readonly usesRows?: undefined; readonly invertsFactors: true };
/** Damping of the product of the factors. */
export type ProductDamping = Damping & {
  readonly usesRows?: undefined;
  readonly invertsFactors?: undefined;
  readonly needsWhole?: undefined;
};
/** Damping of the product of the factors themselves. */
export type WholeDamping = Damping & {
  readonly usesRows?: undefined;
  readonly invertsFactors?: undefined;
  readonly needsWhole: true;
};
/** Damping of the product of a batch's rows. */
export type RowDamping = Damping & { readonly usesRows: true };

/** The units of a block's factors: the roots of the mean eigenvalues of A and of G. */
export interface BlockScales {
  readonly inputs: { readonly rootScale: Value };
  readonly outputs: { readonly rootScale: Value; readonly identity?: true };
}

/**
 * Return the damping δ of each side of a block in units of the side's own mean eigenvalue: λ = δ²·(tr A/m)(tr G/n). With
 * π² = (tr A/m)/(tr G/n) the two sides of factored damping, π√λ and √λ/π, are equal in these units (Martens & Grosse 2015,
 * section 6.3).
 */
export type BlockDamping = (b: Builder, scales: BlockScales) => Value;

/**
 * Bounds on δ. Below, λ = 1e-6 times the mean eigenvalue: float32 cannot invert less of a singular factor. Above, the
 * direction is the gradient itself to 1e-6: a layer without curvature, whose δ would be infinite.
 */
export const smallestDelta = 1e-3;
const largestDelta = 1e6;

/** The bound on δ: if G is the identity, the damping of A is δ². */
const leastDelta = ({ outputs }: BlockScales): number => (outputs.identity ? Math.sqrt(smallestDelta) : smallestDelta);

/** Return the damping by one λ for all blocks. */
export const absolute =
  (damping: Value): BlockDamping =>
  (b, scales) => {
    const { inputs, outputs } = scales;
    const delta = b.div(b.div(b.sqrt(damping), inputs.rootScale), outputs.rootScale);
    return b.min(b.max(delta, leastDelta(scales)), largestDelta);
  };

/** Return the damping by ε times each block's mean eigenvalue: directions do not depend on the scale of the loss or of inputs. */
export const relative =
  (damping: Value): BlockDamping =>
  (b, scales) =>
    b.max(b.sqrt(damping), leastDelta(scales));

/**
 * Return √λ = δ·√(tr A/m)·√(tr G/n) of a block.
 * @example
 * // A damping that leaves gradients as they are, in units of λ:
 * const plain: RowDamping = {
 *   name: 'plain',
 *   usesRows: true,
 *   precondition: ({ context: { b }, blocks, delta }) =>
 *     blocks.map((block) => {
 *       const one = b.scalar(1, block.gradient.weight.dtype);
 *       const scales = { inputs: { rootScale: one }, outputs: { rootScale: one } };
 *       return { ...block, direction: block.smoothed, rootDamping: rootDampingOf(b, delta(b, scales), scales) };
 *     }),
 * };
 * const optimizer = cgfac({ damping: plain });
 */
export const rootDampingOf = (b: Builder, delta: Value, { inputs, outputs }: BlockScales): Value =>
  b.mul(b.mul(delta, inputs.rootScale), outputs.rootScale);
