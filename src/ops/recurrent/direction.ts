// One direction of a recurrent operator over all steps at once: what a step begins with is what the step before gave out,
// so that all pre-activations are two products of matrices.
import type { Value } from '../../graph/graph.js';
import { elementCount, tensorFrom } from '../../graph/tensor.js';
import type { Builder } from '../builder.js';
import type { NodeDraft } from '../definition.js';
import { range } from '../shapes/shapes.js';
import { type CellForm, type CellSettings, settingsOf, shapeOf } from './settings.js';

/** Sizes of a node, all known. */
export interface Sizes {
  readonly steps: number;
  readonly batch: number;
  readonly hidden: number;
  /** Rows of a weight: gates · hidden. */
  readonly outputs: number;
}

/** One direction of a node of layout 0. Rows are in the order of steps, those of a step in that of the examples. */
export interface Direction extends Sizes {
  readonly b: Builder;
  readonly settings: CellSettings;
  /** Whether it runs from the last step to the first. */
  readonly fromEnd: boolean;
  /** `[steps · batch, inputs]` */
  readonly x: Value;
  /** `[outputs, inputs]` and `[outputs, hidden]` */
  readonly w: Value;
  readonly r: Value;
  /** `[outputs]`: the biases of W and of R. */
  readonly wBias: Value | undefined;
  readonly rBias: Value | undefined;
  /** `[steps, batch, hidden]`: the hidden state that each step begins with. */
  readonly before: Value;
  /** `[batch, hidden]`: the cell state that the first step begins with. */
  readonly initialCell: Value;
  /** `[steps, batch, 1]`, bool: whether a step is one of its example's; undefined if all are. */
  readonly within: Value | undefined;
}

/**
 * Return the directions of a node of layout 0.
 * @param y its first output
 * @throws GraphError if a size is not known, UnsupportedError for settings without a rule
 */
export function directionsOf(b: Builder, node: NodeDraft, y: Value, form: CellForm): readonly Direction[] {
  const { fromEnd, hidden, directions } = shapeOf(node, form);
  const [x, w, r, bias, lengths, hidden0, cell0] = node.inputs as readonly [
    Value,
    Value,
    Value,
    ...(Value | undefined)[],
  ]; // checked by infer
  const [steps = 1, batch = 1, inputs = 1] = x.dims;
  const outputs = w.dims[1] ?? 1;
  const within = lengths && stepsWithin(b, lengths, steps, batch);
  return settingsOf(node, form, directions).map((own, d): Direction => {
    const part = (value: Value, axis = 0) => b.squeeze(b.slice(value, axis, d, d + 1), [axis]);
    const biases = bias && part(bias);
    const zeros = b.filled([batch, hidden], 0, x.dtype);
    const isReversed = fromEnd[d] === true;
    const direction = { b, settings: own, fromEnd: isReversed, steps, batch, hidden, outputs, within };
    return {
      ...direction,
      x: b.reshape(x, [steps * batch, inputs]),
      w: part(w),
      r: part(r),
      wBias: biases && b.slice(biases, 0, 0, outputs),
      rBias: biases && b.slice(biases, 0, outputs, 2 * outputs),
      before: shifted(direction, part(y, 1), hidden0 ? part(hidden0) : zeros),
      initialCell: cell0 ? part(cell0) : zeros,
    };
  });
}

/** Whether each step is one of its example's, `[steps, batch, 1]`. */
function stepsWithin(b: Builder, lengths: Value, steps: number, batch: number): Value | undefined {
  if (lengths.constant && [...lengths.constant.data].every((length) => Number(length) >= steps)) return undefined;
  const numbers = b.reshape(b.cast(b.integers(range(0, steps)), lengths.dtype), [steps, 1, 1]);
  return b.less(numbers, b.reshape(lengths, [1, batch, 1]));
}

/**
 * Return what each step begins with, `[steps, batch, hidden]`, by what each gives out and what the first one begins with. A
 * direction from the end begins at the last step that is within its example.
 */
export function shifted(
  { b, fromEnd, steps, within }: Pick<Direction, 'b' | 'fromEnd' | 'steps' | 'within'>,
  given: Value,
  initial: Value,
): Value {
  const first = b.unsqueeze(initial, [0]);
  const rest = fromEnd ? b.slice(given, 0, 1, steps) : b.slice(given, 0, 0, steps - 1);
  if (steps === 1) return first;
  const moved = b.concat(fromEnd ? [rest, first] : [first, rest], 0);
  if (!within || !fromEnd) return moved;
  const none = within.dims.slice(1);
  const never = b.constant(tensorFrom('bool', [1, ...none], Array(elementCount(none)).fill(0)));
  return b.where(b.concat([b.slice(within, 0, 1, steps), never], 0), moved, first);
}

/** Return steps as rows, `[steps · batch, …]`. */
export const asRows = ({ b, steps, batch }: Direction, value: Value): Value =>
  b.reshape(value, [steps * batch, ...value.dims.slice(2)]);

/** Return rows as steps, `[steps, batch, …]`. */
export const asSteps = ({ b, steps, batch }: Direction, rows: Value): Value =>
  b.reshape(rows, [steps, batch, ...rows.dims.slice(1)]);

/** Return `x·Wᵀ + bias` for rows of x, of some of the outputs. */
export function product(
  { b }: Direction,
  rows: Value,
  weight: Value,
  bias: Value | undefined,
  [from, to]: readonly [number, number],
): Value {
  return b.gemm(rows, b.slice(weight, 0, from, to), bias && b.slice(bias, 0, from, to), { transposeY: true });
}

/** Return the pre-activations of some of the outputs, x·Wᵀ + b_W + h·Rᵀ + b_R, as rows; of all by default. */
export function preActivations(
  direction: Direction,
  outputs: readonly [number, number] = [0, direction.outputs],
): Value {
  const { b, x, w, r, wBias, rBias, before } = direction;
  const ofStates = asRows(direction, before);
  return b.add(product(direction, x, w, wBias, outputs), product(direction, ofStates, r, rBias, outputs));
}

/** What a gate gives out, and its derivative by the pre-activations. */
export interface Gated {
  readonly value: Value;
  readonly slope: () => Value;
}

/** Return what a gate makes of pre-activations, which are clipped first if the node says so. */
export function gated({ b, settings: { activations, clip } }: Direction, index: number, x: Value): Gated {
  const gate = activations[index];
  if (!gate) throw new Error(`no activation ${index}`);
  const inside = clip === undefined ? x : b.min(b.max(x, -clip), clip);
  const value = gate.apply(b, inside);
  const slope = () => {
    const slopes = gate.slope(b, inside, value);
    return clip === undefined ? slopes : b.where(b.less(b.abs(x), clip), slopes, 0);
  };
  return { value, slope };
}

/** Return a value with another number at steps beyond an example's length. */
export const masked = ({ b, within }: Direction, steps: Value, beyond: number): Value =>
  within ? b.where(within, steps, beyond) : steps;

/** 1 at steps beyond an example's length, else 0, `[steps, batch, 1]`; undefined if there are none. */
export const beyond = ({ b, within }: Direction, like: Value): Value | undefined =>
  within && b.cast(b.op('Not', [within]), like.dtype);
