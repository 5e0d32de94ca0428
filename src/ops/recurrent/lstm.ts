// Long short-term memory (Hochreiter & Schmidhuber 1997; Gers et al. 2000), the gates in ONNX's order i, o, f, c:
// i, o, f = σ(s), c̃ = g(s), c_t = f⊙c_(t−1) + i⊙c̃, h_t = o⊙h(c_t).
import type { Value } from '../../graph/graph.js';
import { range } from '../shapes/shapes.js';
import type { Cell } from './cell.js';
import {
  asRows,
  asSteps,
  beyond,
  type Direction,
  type Gated,
  gated,
  masked,
  preActivations,
  shifted,
} from './direction.js';

export const lstm: Cell = {
  gates: 4,
  activations: ['Sigmoid', 'Tanh', 'Tanh'],
  inputs: 8,
  hasCell: true,
  recurrentParts: (direction) => [{ rows: asRows(direction, direction.before), outputs: [0, direction.outputs] }],

  /**
   * With dc_t = dc + dh⊙o⊙h′(c_t), the cotangents of the pre-activations are ds = k⊙(dc, dh, dc, dc): the coefficients k
   * are those of all steps at once, and only this much is done step by step. dh_(t−1) = ds·R, dc_(t−1) = dc_t⊙f.
   */
  pull(direction, { states, last, lastCell }) {
    const { b, r, batch, hidden } = direction;
    const { into, out, forget, candidate, cells, isCoupled } = stepsOf(direction);
    const squashed = gated({ ...direction, settings: { ...direction.settings, clip: undefined } }, 2, cells.after);
    const ofInto = isCoupled ? b.sub(candidate.value, cells.before) : candidate.value;
    const coefficients = b.concat(
      [
        b.mul(ofInto, into.slope()),
        b.mul(squashed.value, out.slope()),
        isCoupled ? b.zerosLike(into.value) : b.mul(cells.before, forget.slope()),
        b.mul(into.value, candidate.slope()),
      ],
      1,
    );
    const sequences = {
      k: masked(direction, asSteps(direction, coefficients), 0),
      through: masked(direction, asSteps(direction, b.mul(out.value, squashed.slope())), 0),
      forget: masked(direction, asSteps(direction, forget.value), 1),
      states: states && masked(direction, states, 0),
      beyond: beyond(direction, coefficients),
    };
    const zeros = b.filled([batch, hidden], 0, coefficients.dtype);
    const { carried, given } = b.scan(
      { dh: last ?? zeros, dc: lastCell ?? zeros },
      sequences,
      (inner, { dh: later, dc: laterCell }, each) => {
        const dh = each.states ? inner.add(later, each.states) : later;
        const dc = inner.add(laterCell, inner.mul(dh, each.through));
        const ds = inner.mul(each.k, inner.concat([dc, dh, dc, dc], 1));
        const kept = each.beyond && inner.mul(dh, each.beyond);
        return { carried: { dh: inner.gemm(ds, r, kept), dc: inner.mul(dc, each.forget) }, given: { ds } };
      },
      !direction.fromEnd,
    );
    const ds = asRows(direction, given.ds);
    return { ofInputs: ds, ofStates: ds, ofInitial: carried.dh, ofInitialCell: carried.dc };
  },
};

/** The gates and the cell states of all steps, as rows. */
interface Steps {
  readonly into: Gated;
  readonly out: Gated;
  readonly forget: Gated;
  readonly candidate: Gated;
  readonly isCoupled: boolean;
  /** What each step begins with and gives out. */
  readonly cells: { readonly before: Value; readonly after: Value };
}

function stepsOf(direction: Direction): Steps {
  const { b, hidden, initialCell } = direction;
  const s = preActivations(direction);
  const [into, out, plainForget, candidate] = range(0, 4).map((gate) =>
    gated(direction, gate === 3 ? 1 : 0, b.slice(s, 1, gate * hidden, (gate + 1) * hidden)),
  ) as [Gated, Gated, Gated, Gated]; // four
  const isCoupled = direction.settings.inputForget;
  const forget = isCoupled ? { ...plainForget, value: b.sub(1, into.value) } : plainForget;
  const { given } = b.scan(
    { cell: initialCell },
    {
      forget: masked(direction, asSteps(direction, forget.value), 1),
      added: masked(direction, asSteps(direction, b.mul(into.value, candidate.value)), 0),
    },
    (inner, { cell }, each) => {
      const next = inner.add(inner.mul(cell, each.forget), each.added);
      return { carried: { cell: next }, given: { cells: next } };
    },
    direction.fromEnd,
  );
  const cells = {
    before: asRows(direction, shifted(direction, given.cells, initialCell)),
    after: asRows(direction, given.cells),
  };
  return { into, out, forget, candidate, isCoupled, cells };
}
