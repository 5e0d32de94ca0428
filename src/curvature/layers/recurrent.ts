// Recurrent layers: the pre-activations of a step are x·Wᵀ + b_W + h·Rᵀ + b_R, two dense layers on the input and on the
// hidden state, with a row for each step of each example (Martens, Ba & Johnson 2018, with steps taken as independent). The
// gates are outputs of one layer, as they have one input; the directions are groups.
import { inputOf, outputOf, type Value } from '../../graph/graph.js';
import { tensorFrom } from '../../graph/tensor.js';
import type { Builder } from '../../ops/builder.js';
import type { Cell, RecurrentPart } from '../../ops/recurrent/cell.js';
import { asSteps, type Direction, directionsOf } from '../../ops/recurrent/direction.js';
import { cellOf, shownDomain } from '../../ops/recurrent/recurrent.js';
import type { KroneckerBlock } from '../kronecker-block.js';
import { type Application, axisRows, type LayerKind, type LayerUse, type Reading } from './layer-kind.js';

const described =
  (kind: string) =>
  ({ groups }: KroneckerBlock): string =>
    groups === 1 ? kind : `${kind}, ${groups} directions`;

/** W and its half of the bias, on the inputs of the steps. */
export const recurrentInputs: LayerKind = {
  kind: 'recurrent inputs',
  describe: described('recurrent inputs'),
  factor: 'full',
  decays: true,
  match(reading) {
    const { node, value } = reading;
    const cell = cellOf(node);
    const index = node.inputs.indexOf(value);
    if (!cell || index === 2) return undefined;
    if (index === 1) return applied(cell, reading, 0, inputOf(node, 0));
    if (index === 3) return 'the bias of a recurrent layer without a block';
    return index === 7 ? 'peepholes of a recurrent layer' : 'an initial state of a recurrent layer';
  },
  inputRows(b, use) {
    const [first] = directions(b, use);
    const rows = examplesFirst(first, [{ rows: first.x, outputs: [0, first.outputs] }]);
    return grouped(
      b,
      Array.from({ length: use.groups }, () => rows),
    );
  },
};

/** R and its half of the bias, on the hidden states that the steps begin with. */
export const recurrentStates: LayerKind = {
  kind: 'recurrent states',
  describe: described('recurrent states'),
  factor: 'full',
  decays: true,
  match(reading) {
    const { node, value } = reading;
    const cell = cellOf(node);
    if (!cell || node.inputs[2] !== value) return undefined;
    return node.inputs.indexOf(value) === 2
      ? applied(cell, reading, 1, outputOf(node))
      : 'both weights of a recurrent layer';
  },
  inputRows(b, use) {
    const parts = directions(b, use).map((one) => examplesFirst(one, cell(use).recurrentParts(one)));
    return grouped(b, parts);
  },
  /** If R is applied to several things, each has a row of its own, which is zero at the outputs of the others. */
  outputRows(b, use, cotangent) {
    const { groups, outputs, outputAxes, preActivations } = use;
    const rows = axisRows(b, cotangent, outputAxes, groups);
    const [one] = directions(b, use);
    const parts = cell(use).recurrentParts(one);
    if (parts.length === 1) return rows;
    const own = parts.flatMap(({ outputs: [from, to] }) =>
      Array.from({ length: outputs }, (_, i) => Number(i >= from && i < to)),
    );
    const masks = b.constant(tensorFrom(preActivations.dtype, [parts.length, outputs], own));
    const spread = b.mul(b.unsqueeze(rows, [rows.rank - 1]), masks);
    return b.reshape(spread, [...rows.dims.slice(0, -2), (rows.dims.at(-2) ?? 1) * parts.length, outputs]);
  },
};

/** @param half which half of the bias, and which of the inputs that show pre-activations, belong to the weight */
function applied(cell: Cell, { node, value }: Reading, half: 0 | 1, activations: Value): Application | string {
  const preActivations = node.domain === shownDomain ? node.inputs[cell.inputs + half] : undefined;
  if (!preActivations) return 'a recurrent layer of a size that is only known when the program runs';
  const [groups = 1, outputs = 1, inputs = 1] = value.dims;
  const bias = node.inputs[3];
  const range = [half * outputs, (half + 1) * outputs] as const;
  return {
    ...{ node, activations, groups, inputs, outputs, outputsFirst: true, preActivations, outputAxes: [2, 3] },
    ...(bias && { biasDims: bias.dims, biasPart: { of: bias, range } }),
  };
}

function cell({ node }: LayerUse): Cell {
  const found = cellOf(node);
  if (!found) throw new Error(`no recurrent cell ${node.op}`);
  return found;
}

function directions(b: Builder, use: LayerUse): readonly [Direction, ...Direction[]] {
  const [first, ...others] = directionsOf(b, use.node, outputOf(use.node), cell(use));
  if (!first) throw new Error('a recurrent node without a direction');
  return [first, ...others];
}

/**
 * Return rows of parts in the order of the examples, each part of a step below the other: `[batch · steps · parts, size]`.
 * Steps beyond an example's length are zero, and the others count for them in the mean.
 */
function examplesFirst(direction: Direction, parts: readonly RecurrentPart[]): Value {
  const { b, steps, batch, within } = direction;
  const each = parts.map(({ rows }) => b.unsqueeze(asSteps(direction, rows), [2]));
  const all = b.concat(each, 2);
  const size = all.dims[3] ?? 1;
  const counted = within ? b.mul(all, b.unsqueeze(weightsOf(direction, within, all), [3])) : all;
  return b.reshape(b.transpose(counted, [1, 0, 2, 3]), [batch * steps * parts.length, size]);
}

/** 0 at steps beyond an example's length, `[steps, batch, 1]`, and elsewhere the root of all steps over those that count. */
function weightsOf({ b, steps, batch }: Direction, within: Value, like: Value): Value {
  const counts = b.cast(within, like.dtype);
  const share = b.div(b.max(b.sum(counts), 1), steps * batch);
  return b.div(counts, b.sqrt(share));
}

/** Rows of several directions as `[groups, rows, size]`, of one as they are. */
function grouped(b: Builder, rows: readonly Value[]): Value {
  const [first] = rows;
  if (first && rows.length === 1) return first;
  return b.concat(
    rows.map((each) => b.unsqueeze(each, [0])),
    0,
  );
}
