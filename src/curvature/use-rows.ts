// The rows of one use of a layer: its activations, the gradients of its pre-activations, and those of an identity.
import type { Value } from '../graph/graph.js';
import { tensorFrom } from '../graph/tensor.js';
import type { Builder } from '../ops/builder.js';
import { identityLike } from '../ops/identity.js';
import type { KroneckerBlock } from './kronecker-block.js';
import type { InputRows } from './layer-tensor.js';
import { checkedRows } from './layers/checks.js';
import { axisRows, type LayerUse } from './layers/layer-kind.js';

/** The number of rows, of each group. */
export const rowCount = ({ dims }: Value): number => dims.at(-2) ?? 1;

/** Rows of several uses or passes, one after the other in each group. */
export const stacked = (b: Builder, rows: readonly Value[]): Value => b.concat(rows, (rows[0]?.rank ?? 2) - 2);

/** The activations of a use as rows: `[rows, inputs]`, `[groups, rows, inputs]`. */
export function rowsOf(b: Builder, use: LayerUse): Value {
  if (use.layer.factor === 'identity') throw new Error(`no rows of activations for ${use.layer.kind}`);
  return checkedRows('inputRows', use, use.inputs, use.layer.inputRows(b, use));
}

/** The cotangent of pre-activations as rows: `[rows, outputs]`, `[groups, rows, outputs]`. */
export function gradientRows(b: Builder, use: LayerUse, cotangent: Value): Value {
  const { layer } = use;
  if (!layer.outputRows) return axisRows(b, cotangent, use.outputAxes, use.groups);
  return checkedRows('outputRows', use, use.outputs, layer.outputRows(b, use, cotangent));
}

/** Rows of A = I: a row for each input, and one for the homogeneous coordinate. */
export function identityRows(
  b: Builder,
  { groups, inputs, bias, uses: [{ preActivations }] }: KroneckerBlock,
): InputRows {
  const rows = inputs + (bias === undefined ? 0 : 1);
  const columns = (from: number, to: number): Value => {
    const elements = Array.from({ length: groups * rows * (to - from) }, (_, k) => {
      const [row, column] = [Math.floor(k / (to - from)) % rows, from + (k % (to - from))];
      return Number(row === column);
    });
    const dims = groups === 1 ? [rows, to - from] : [groups, rows, to - from];
    return b.constant(tensorFrom(preActivations.dtype, dims, elements));
  };
  return { values: columns(0, inputs), homogeneous: bias === undefined ? undefined : columns(inputs, rows) };
}

/** Rows of G = I for uses of one layer: a row for each output. */
export function identityOutputs(b: Builder, [use]: readonly LayerUse[]): Value {
  if (!use) throw new Error('rows of a layer without uses');
  const { groups, outputs, preActivations } = use;
  const identity = identityLike(b, b.filled([outputs, outputs], 0, preActivations.dtype));
  return groups === 1 ? identity : b.op('Expand', [identity, b.integers([groups, outputs, outputs])]);
}
