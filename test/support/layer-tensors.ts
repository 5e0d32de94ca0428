// Tensors of one layer from matrices [inputs (+1), outputs], in all four layouts: what curvature tests run over.
import { type InputRows, LayerTensor } from '../../src/curvature/layer-tensor.js';
import type { Builder } from '../../src/ops/builder.js';
import { at, generate, type Matrix, rowsOf, transposed } from './dense.js';
import type { FedBuilder } from './fed-builder.js';

export interface Layout {
  readonly outputsFirst: boolean;
  readonly hasBias: boolean;
}

export const layouts: readonly Layout[] = [
  { outputsFirst: false, hasBias: false },
  { outputsFirst: false, hasBias: true },
  { outputsFirst: true, hasBias: false },
  { outputsFirst: true, hasBias: true },
];

/** @param joined the bias its last row, where the layout has one */
export function layerTensorOf(b: FedBuilder, joined: Matrix, { outputsFirst, hasBias }: Layout): LayerTensor {
  const inputs = joined.rows - Number(hasBias);
  const weight = rowsOf(joined, 0, inputs);
  const bias = hasBias ? b.given([joined.columns], rowsOf(joined, inputs, joined.rows).data) : undefined;
  return new LayerTensor(b.matrix(outputsFirst ? transposed(weight) : weight), bias, outputsFirst);
}

/** @param joined `[rows, inputs (+1)]`, the homogeneous coordinate its last column where the layout has a bias */
export function inputRowsOf(b: FedBuilder, joined: Matrix, { hasBias }: Layout): InputRows {
  const inputs = joined.columns - Number(hasBias);
  return {
    values: b.matrix(generate(joined.rows, inputs, (i, j) => at(joined, i, j))),
    homogeneous: hasBias ? b.matrix(generate(joined.rows, 1, (i) => at(joined, i, inputs))) : undefined,
  };
}

/** The joined matrix again, from the parts themselves: not by LayerTensor's own method. */
export const joinedOf = (b: Builder, { weight, bias, outputsFirst }: LayerTensor) =>
  b.concat([outputsFirst ? b.transpose(weight) : weight, ...(bias ? [b.reshape(bias, [1, -1])] : [])], 0);
