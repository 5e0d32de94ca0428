// The contract of dampings (factored, tikhonov, primal), which damp and invert a block's Fisher matrix, and the strength δ.
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

/** Damps and inverts Fisher matrices: turns gradients into natural gradients. */
export interface Damping {
  readonly name: string;
  /** Whether it solves with the rows of this batch alone, so that factors have no effect. */
  readonly usesRows?: true | undefined;
  /** Whether it inverts the damped factors, so that the inverses can be kept for several steps. */
  readonly invertsFactors?: true | undefined;
  /** An option that was given and concerns only factors that are held as rows. */
  readonly optionOfRows?: string | undefined;
  /** Return each block with its natural gradient. */
  precondition(input: DampingInput): readonly BlockDirection[];
}

/** Damping of each factor, by inverses. */
export type FactorDamping = Damping & { readonly usesRows?: undefined; readonly invertsFactors: true };
/** Damping of the product of the factors. */
export type ProductDamping = Damping & { readonly usesRows?: undefined; readonly invertsFactors?: undefined };
/** Damping of the product of a batch's rows. */
export type RowDamping = Damping & { readonly usesRows: true };

/** The units of a block's factors: the roots of the mean eigenvalues of A and of G. */
export interface BlockScales {
  readonly inputs: { readonly rootScale: Value };
  readonly outputs: { readonly rootScale: Value };
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
const [smallest, largest] = [1e-3, 1e6];

/** Return the damping by one λ for all blocks. */
export const absolute =
  (damping: Value): BlockDamping =>
  (b, { inputs, outputs }) =>
    b.min(b.max(b.div(b.div(b.sqrt(damping), inputs.rootScale), outputs.rootScale), smallest), largest);

/** Return the damping by ε times each block's mean eigenvalue: directions do not depend on the scale of the loss or of inputs. */
export const relative =
  (damping: Value): BlockDamping =>
  (b) =>
    b.max(b.sqrt(damping), smallest);

/** Return √λ = δ·√(tr A/m)·√(tr G/n) of a block. */
export const rootDampingOf = (b: Builder, delta: Value, { inputs, outputs }: BlockScales): Value =>
  b.mul(b.mul(delta, inputs.rootScale), outputs.rootScale);
