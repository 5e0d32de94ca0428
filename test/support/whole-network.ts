// The Fisher matrix of a whole network of dense layers, by hand, in the order of the layers' joined matrices, row by row.
import type { LossWord } from '../../src/losses/index.js';
import { at, generate, gram, type Matrix, matrixOf, multiplied, plus, rowsOf, scaled, transposed } from './dense.js';
import {
  backwardByHand,
  type DenseNetwork,
  type Examples,
  forwardByHand,
  outputCotangent,
  outputHessian,
} from './dense-network.js';

/** Gradients of single examples by all parameters for some cotangents of the output, `[examples, parameters]`. */
function gradientsByHand(network: DenseNetwork, inputs: Matrix, cotangent: Matrix): Matrix {
  const { activations } = forwardByHand(network, inputs);
  const layers = backwardByHand(network, activations, cotangent).map((g, i) => {
    const a = activations[i] ?? g;
    return Array.from({ length: inputs.rows }, (_, e) =>
      multiplied(transposed(rowsOf(a, e, e + 1)), rowsOf(g, e, e + 1)),
    );
  });
  const rows = Array.from({ length: inputs.rows }, (_, e) => layers.flatMap((layer) => [...(layer[e]?.data ?? [])]));
  return matrixOf(inputs.rows, rows[0]?.length ?? 0, rows.flat());
}

/** F = JᵀJ/N: the Gauss–Newton matrix, or that of the targets of the data. */
export function fisherByHand(
  network: DenseNetwork,
  loss: LossWord,
  { inputs, targets }: Examples,
  kind: 'exact' | 'empirical',
) {
  const { output } = forwardByHand(network, inputs);
  const scale = 1 / inputs.rows;
  if (kind === 'empirical')
    return scaled(gram(gradientsByHand(network, inputs, outputCotangent(loss, output, targets))), scale);
  const units = Array.from({ length: output.columns }, (_, k) =>
    gradientsByHand(
      network,
      inputs,
      generate(output.rows, output.columns, (_row, j) => Number(j === k)),
    ),
  );
  const order = units[0]?.columns ?? 0;
  const hessians = Array.from({ length: output.rows }, (_, e) =>
    outputHessian(loss, [...rowsOf(output, e, e + 1).data]),
  );
  return generate(order, order, (i, j) => {
    let sum = 0;
    for (const [e, hessian] of hessians.entries()) {
      for (const [k, first] of units.entries()) {
        for (const [l, second] of units.entries()) sum += at(first, e, i) * at(hessian, k, l) * at(second, e, j);
      }
    }
    return sum * scale;
  });
}

/** Matrices of all layers as one column. */
export const flat = (layers: readonly Matrix[]): Matrix => {
  const data = layers.flatMap((layer) => [...layer.data]);
  return matrixOf(data.length, 1, data);
};

/** The block of a layer. */
export function layerBlock(x: Matrix, { layers }: DenseNetwork, layer: number): Matrix {
  const from = layers.slice(0, layer).reduce((sum, { data }) => sum + data.length, 0);
  const size = layers[layer]?.data.length ?? 0;
  return generate(size, size, (i, j) => at(x, from + i, from + j));
}

/** The block of some rows and columns, all others zero. */
const within = (x: Matrix, from: number, to: number): Matrix =>
  generate(x.rows, x.columns, (i, j) => (i >= from && i < to && j >= from && j < to ? at(x, i, j) : 0));

/** Divides a matrix into the blocks of some numbers of layers, and drops the others. */
export function coupled(x: Matrix, network: DenseNetwork, layers: readonly number[]): Matrix {
  const ends = [0];
  let layer = 0;
  for (const count of layers) {
    const sum = network.layers.slice(layer, layer + count).reduce((total, { data }) => total + data.length, 0);
    ends.push((ends.at(-1) ?? 0) + sum);
    layer += count;
  }
  return ends
    .slice(1)
    .map((to, i) => within(x, ends[i] ?? 0, to))
    .reduce(plus);
}
