// The gradient of recurrent operators of layout 0. The runtime's own operator runs forward; its hidden states give the
// pre-activations of all steps by two products of matrices, a Scan goes back through the steps, and the gradient of each
// weight is one product over all steps.
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../builder.js';
import type { GradientContext } from '../definition.js';
import { range } from '../shapes/shapes.js';
import type { Cell, Pulled } from './cell.js';
import { type Direction, directionsOf, type Sizes } from './direction.js';

/**
 * Return the cotangents of the inputs X, W, R, B, sequence_lens, initial_h, … of a node, then those of the inputs at which
 * it shows its pre-activations, if it does.
 */
export function recurrentGradient(
  cell: Cell,
  { b, node, x, y, cotangents, isWanted }: GradientContext,
): (Value | undefined)[] {
  const directions = directionsOf(b, node, y, cell);
  const [steps = 1, batch = 1] = x(0).dims;
  const sizes = { steps, batch };
  const part = (value: Value | undefined, d: number, axis: number): Value | undefined =>
    value && b.squeeze(b.slice(value, axis, d, d + 1), [axis]);
  const pulled = directions.map((direction, d) => ({
    direction,
    ...cell.pull(direction, {
      states: part(cotangents[0], d, 1),
      last: part(cotangents[1], d, 0),
      lastCell: part(cotangents[2], d, 0),
    }),
  }));
  /** One tensor of those of all directions, if input i needs it. */
  const joined = (i: number, of: (each: Pulled & { readonly direction: Direction }) => Value): Value | undefined =>
    isWanted(i)
      ? b.concat(
          pulled.map((each) => b.unsqueeze(of(each), [0])),
          0,
        )
      : undefined;
  const rowSum = (rows: Value): Value => b.sum(rows, [0]);
  const found = [
    isWanted(0) ? ofInput(b, pulled, x(0)) : undefined,
    joined(1, ({ direction, ofInputs }) => b.gemm(ofInputs, direction.x, undefined, { transposeX: true })),
    joined(2, ({ direction, ofStates }) => {
      const parts = cell
        .recurrentParts(direction)
        .map(({ rows, outputs: [from, to] }) =>
          b.gemm(b.slice(ofStates, 1, from, to), rows, undefined, { transposeX: true }),
        );
      return b.concat(parts, 0);
    }),
    joined(3, ({ ofInputs, ofStates }) => {
      const sum = rowSum(ofInputs);
      return b.concat([sum, ofStates === ofInputs ? sum : rowSum(ofStates)], 0);
    }),
    undefined,
    joined(5, ({ ofInitial }) => ofInitial),
    joined(6, ({ ofInitial, ofInitialCell }) => ofInitialCell ?? ofInitial),
  ].slice(0, cell.inputs);
  const shown = node.inputs.slice(cell.inputs).map((_, k) => {
    const rows = pulled.map((each) => (k === 0 ? each.ofInputs : each.ofStates));
    return isWanted(cell.inputs + k) ? examplesFirst(b, sizes, rows) : undefined;
  });
  return range(0, node.inputs.length).map((i) => (i < cell.inputs ? found[i] : shown[i - cell.inputs]));
}

/** dx is the sum over the directions of ds·W. */
function ofInput(b: Builder, pulled: readonly (Pulled & { readonly direction: Direction })[], x: Value): Value {
  const parts = pulled.map(({ direction: { w }, ofInputs }) => b.gemm(ofInputs, w));
  return b.reshapeLike(
    parts.reduce((sum, part) => b.add(sum, part)),
    x,
  );
}

/** Return rows of each direction, in the order of steps, as `[batch, steps, directions · columns]`. */
function examplesFirst(b: Builder, { steps, batch }: Pick<Sizes, 'steps' | 'batch'>, rows: readonly Value[]): Value {
  const columns = b.concat(rows, 1);
  return b.transpose(b.reshape(columns, [steps, batch, columns.dims[1] ?? 1]), [1, 0, 2]);
}
