// How a block's Fisher matrix is damped and inverted: the contract of factored, tikhonov and primal, and the strength δ.
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import type { StepContext } from '../optimizer.js';
import type { BlockDirection, BlockGradient } from './block.js';
import type { Factors } from './factors.js';

export interface DampingInput {
  readonly context: StepContext;
  readonly blocks: readonly BlockGradient[];
  readonly factors: Factors;
  readonly delta: BlockDamping;
}

/** A way to damp and invert: what turns a gradient into a natural gradient. */
export interface Damping {
  readonly name: string;
  /** It solves with the rows of this batch alone: factors have no effect. */
  readonly usesRows?: true | undefined;
  /** It inverts the damped factors, whose inverses can be kept for several steps. */
  readonly invertsFactors?: true | undefined;
  /** Each block with its natural gradient. */
  precondition(input: DampingInput): readonly BlockDirection[];
}

/** Damping of each factor, by inverses. */
export type FactorDamping = Damping & { readonly usesRows?: undefined; readonly invertsFactors: true };
/** Damping of the product of the factors. */
export type ProductDamping = Damping & { readonly usesRows?: undefined; readonly invertsFactors?: undefined };
/** Damping of the product of a batch's rows. */
export type RowDamping = Damping & { readonly usesRows: true };

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

/** √λ = δ·√(tr A/m)·√(tr G/n) of a block. */
export const rootDampingOf = (b: Builder, delta: Value, { inputs, outputs }: BlockScales): Value =>
  b.mul(b.mul(delta, inputs.rootScale), outputs.rootScale);
