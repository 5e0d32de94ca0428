// The gated recurrent unit (Cho et al. 2014), the gates in ONNX's order z, r, h: h_t = (1 − z)⊙n + z⊙h_(t−1) with
// n = g(W_n·x + b_Wn + R_n·(r⊙h) + b_Rn), or r⊙(R_n·h + b_Rn) in the form that resets after the product.
import type { Value } from '../../graph/graph.js';
import type { Cell, Given, Pulled } from './cell.js';
import { asRows, asSteps, type Direction, type Gated, gated, masked, preActivations, product } from './direction.js';

export const gru: Cell = {
  gates: 3,
  activations: ['Sigmoid', 'Tanh'],
  inputs: 6,
  hasCell: false,
  recurrentParts(direction) {
    const { b, hidden, outputs, settings } = direction;
    const rows = asRows(direction, direction.before);
    if (settings.resetsAfter) return [{ rows, outputs: [0, outputs] }];
    return [
      { rows, outputs: [0, 2 * hidden] },
      { rows: b.mul(rows, updateAndReset(direction).reset.value), outputs: [2 * hidden, outputs] },
    ];
  },
  pull: (direction, given) => (direction.settings.resetsAfter ? resetAfter : resetBefore)(direction, given),
};

interface UpdateAndReset {
  readonly update: Gated;
  readonly reset: Gated;
}

function updateAndReset(direction: Direction): UpdateAndReset {
  const { b, hidden } = direction;
  const s = preActivations(direction, [0, 2 * hidden]);
  return {
    update: gated(direction, 0, b.slice(s, 1, 0, hidden)),
    reset: gated(direction, 0, b.slice(s, 1, hidden, 2 * hidden)),
  };
}

/** What both forms have in common, as steps: the factors of dh in the cotangents of z and of n, and what h passes through. */
function common(direction: Direction, { update }: UpdateAndReset, candidate: Gated, { states, last }: Given) {
  const { b, before, batch, hidden } = direction;
  const z = update.value;
  const steps = (rows: Value, beyond: number) => masked(direction, asSteps(direction, rows), beyond);
  return {
    dh: last ?? b.filled([batch, hidden], 0, z.dtype),
    sequences: {
      update: steps(b.mul(b.sub(asRows(direction, before), candidate.value), update.slope()), 0),
      candidate: steps(b.mul(b.sub(1, z), candidate.slope()), 0),
      kept: steps(z, 1),
      states: states && masked(direction, states, 0),
    },
  };
}

/** With q = R_n·h + b_Rn: dr = dn⊙q, and the cotangent of q is dn⊙r. */
function resetAfter(direction: Direction, given: Given): Pulled {
  const { b, x, w, r, wBias, rBias, hidden, outputs } = direction;
  const gates = updateAndReset(direction);
  const own = [2 * hidden, outputs] as const;
  const q = product(direction, asRows(direction, direction.before), r, rBias, own);
  const candidate = gated(direction, 1, b.add(product(direction, x, w, wBias, own), b.mul(gates.reset.value, q)));
  const { dh, sequences } = common(direction, gates, candidate, given);
  const steps = (rows: Value) => asSteps(direction, rows);
  const ofReset = b.mul(sequences.candidate, steps(b.mul(q, gates.reset.slope())));
  const ofProduct = b.mul(sequences.candidate, steps(gates.reset.value));
  const k = b.concat([sequences.update, ofReset, ofProduct], 2);
  const { carried, given: found } = b.scan(
    { dh },
    { k, kept: sequences.kept, states: sequences.states },
    (inner, { dh: later }, each) => {
      const total = each.states ? inner.add(later, each.states) : later;
      const ds = inner.mul(each.k, inner.concat([total, total, total], 1));
      return { carried: { dh: inner.gemm(ds, r, inner.mul(total, each.kept)) }, given: { ds, total } };
    },
    !direction.fromEnd,
  );
  const ofStates = asRows(direction, found.ds);
  const ofCandidate = asRows(direction, b.mul(found.total, sequences.candidate));
  return {
    ofInputs: b.concat([b.slice(ofStates, 1, 0, 2 * hidden), ofCandidate], 1),
    ofStates,
    ofInitial: carried.dh,
  };
}

/** With p = r⊙h: dp = dn·R_n, dr = dp⊙h. */
function resetBefore(direction: Direction, given: Given): Pulled {
  const { b, x, w, r, wBias, rBias, hidden, outputs, before } = direction;
  const gates = updateAndReset(direction);
  const own = [2 * hidden, outputs] as const;
  const state = asRows(direction, before);
  const reset = b.mul(gates.reset.value, state);
  const s = b.add(product(direction, x, w, wBias, own), product(direction, reset, r, rBias, own));
  const candidate = gated(direction, 1, s);
  const { dh, sequences } = common(direction, gates, candidate, given);
  const [ofGates, ofCandidate] = [b.slice(r, 0, 0, 2 * hidden), b.slice(r, 0, 2 * hidden, outputs)];
  const { carried, given: found } = b.scan(
    { dh },
    {
      ...sequences,
      reset: asSteps(direction, gates.reset.value),
      ofReset: asSteps(direction, b.mul(state, gates.reset.slope())),
    },
    (inner, { dh: later }, each) => {
      const total = each.states ? inner.add(later, each.states) : later;
      const dn = inner.mul(total, each.candidate);
      const dp = inner.gemm(dn, ofCandidate);
      const gated = inner.concat([inner.mul(total, each.update), inner.mul(dp, each.ofReset)], 1);
      const passed = inner.add(inner.mul(total, each.kept), inner.mul(dp, each.reset));
      return { carried: { dh: inner.gemm(gated, ofGates, passed) }, given: { gated, dn } };
    },
    !direction.fromEnd,
  );
  const ds = asRows(direction, b.concat([found.gated, found.dn], 2));
  return { ofInputs: ds, ofStates: ds, ofInitial: carried.dh };
}
