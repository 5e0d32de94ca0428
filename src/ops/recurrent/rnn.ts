// The simple recurrent cell: h_t = f(W·x_t + R·h_(t−1) + b).
import type { Cell } from './cell.js';
import { asRows, asSteps, beyond, gated, masked, preActivations } from './direction.js';

export const rnn: Cell = {
  gates: 1,
  activations: ['Tanh'],
  inputs: 6,
  hasCell: false,
  recurrentParts: (direction) => [{ rows: asRows(direction, direction.before), outputs: [0, direction.outputs] }],

  /** ds_t = f′(s_t)⊙dh_t, and dh_(t−1) = ds_t·R with what the step before gives out itself. */
  pull(direction, { states, last }) {
    const { b, r, batch, hidden } = direction;
    const slopes = masked(direction, asSteps(direction, gated(direction, 0, preActivations(direction)).slope()), 0);
    const sequences = { slopes, states: states && masked(direction, states, 0), beyond: beyond(direction, slopes) };
    const dh = last ?? b.filled([batch, hidden], 0, slopes.dtype);
    const { carried, given } = b.scan(
      { dh },
      sequences,
      (inner, { dh: later }, each) => {
        const total = each.states ? inner.add(later, each.states) : later;
        const ds = inner.mul(total, each.slopes);
        const kept = each.beyond && inner.mul(total, each.beyond);
        return { carried: { dh: inner.gemm(ds, r, kept) }, given: { ds } };
      },
      !direction.fromEnd,
    );
    const ds = asRows(direction, given.ds);
    return { ofInputs: ds, ofStates: ds, ofInitial: carried.dh };
  },
};
