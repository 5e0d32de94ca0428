// The contract of a recurrent cell: what a recurrent operator repeats at each step.
import type { Value } from '../../graph/graph.js';
import type { Direction } from './direction.js';
import type { CellForm } from './settings.js';

/** Cotangents of what one direction gives out; undefined for what nothing depends on. */
export interface Given {
  /** `[steps, batch, hidden]` */
  readonly states: Value | undefined;
  /** `[batch, hidden]` */
  readonly last: Value | undefined;
  readonly lastCell: Value | undefined;
}

/** Cotangents of what one direction reads. */
export interface Pulled {
  /** Of the share of the inputs in the pre-activations, x·Wᵀ + b_W: `[steps · batch, outputs]`. */
  readonly ofInputs: Value;
  /** Of the share of the hidden state, h·Rᵀ + b_R: `[steps · batch, outputs]`. */
  readonly ofStates: Value;
  /** `[batch, hidden]` */
  readonly ofInitial: Value;
  readonly ofInitialCell?: Value;
}

/** What some of the outputs of R are applied to. */
export interface RecurrentPart {
  /** `[steps · batch, hidden]` */
  readonly rows: Value;
  /** The outputs, from the first to the one after the last. */
  readonly outputs: readonly [number, number];
}

export interface Cell extends CellForm {
  /** Return the cotangents of what a direction reads: through all steps in reverse order. */
  pull(direction: Direction, given: Given): Pulled;
  /** Return what R is applied to, in the order of its outputs. */
  recurrentParts(direction: Direction): readonly RecurrentPart[];
}
