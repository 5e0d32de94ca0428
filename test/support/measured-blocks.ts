// A network's Kronecker blocks as numbers: their rows, and each parameter's gradient and Jacobian columns.
import { gradients } from '../../src/autodiff/gradients.js';
import { jacobianVectorProduct } from '../../src/autodiff/jvp.js';
import { findBlocks } from '../../src/curvature/blocks.js';
import { joinedRows } from '../../src/curvature/factors/moving-average.js';
import { empirical, exact } from '../../src/curvature/fisher.js';
import { type LayerKind, layerKinds } from '../../src/curvature/layers/index.js';
import { layerRows } from '../../src/curvature/statistics.js';
import type { Value } from '../../src/graph/graph.js';
import { lossOf } from '../../src/losses/index.js';
import { unitLikelihood } from '../../src/losses/likelihood.js';
import { random } from '../../src/random.js';
import { at, generate, type Matrix, multiplied, plus, rowsOf, scaled, transposed } from './dense.js';
import { outputHessian } from './dense-network.js';
import { FedBuilder, normals } from './fed-builder.js';

/** In float32: the runtime has no Conv of float64. */
export const rounding = 2e-6;
const loss = lossOf('softmax-cross-entropy');
export const size = (dims: readonly number[]): number => dims.reduce((product, extent) => product * extent, 1);

export interface Measured {
  readonly parameters: Readonly<Record<string, readonly number[]>>;
  readonly input: readonly number[];
  /** The library's own by default. */
  readonly kinds?: readonly LayerKind[];
  readonly network: (b: FedBuilder, x: Value, p: (name: string) => Value) => Value;
}

/** The blocks, their rows (the groups' one below the other), and each parameter's gradient and Jacobian columns. */
export async function measured(
  { parameters: shapes, input, network, kinds = layerKinds }: Measured,
  kind: 'exact' | 'empirical',
) {
  const b = new FedBuilder();
  const source = random(5, 'convolutions');
  const elements = new Map(
    Object.entries(shapes).map(([name, dims]) => [name, normals(source, size(dims)).map(Math.fround)]),
  );
  const images = normals(source, size(input)).map(Math.fround);
  const parameters = new Map(
    Object.entries(shapes).map(([name, dims]) => [name, b.named(name, dims, elements.get(name) ?? [], 'float32')]),
  );
  const get = (name: string): Value => {
    const value = parameters.get(name);
    if (!value) throw new Error(`no parameter ${name}`);
    return value;
  };
  const output = network(b, b.given(input, images, 'float32'), get);
  const rows = output.dims[0] ?? 1;
  const labels = Array.from({ length: rows }, () => source.integer(output.dims[1] ?? 1));
  const targets = b.given([rows], labels, 'int64');
  const value = loss.value(b, output, targets);
  const fisher = { exact, empirical }[kind]();
  const { blocks, rest } = findBlocks(parameters, output, kinds);
  const layers = layerRows(b, { output, targets }, unitLikelihood(b, loss), blocks, fisher, () => value);
  const slopes = gradients(b, value, [...parameters.values()]);
  const flat = (rows: Value) => b.reshape(rows, [size(rows.dims.slice(0, -1)), rows.dims.at(-1) ?? 1]);
  const wanted: Record<string, Value> = { output };
  for (const [i, { inputs, outputs, diagonal }] of layers.entries()) {
    wanted[`a${i}`] = flat(joinedRows(b, inputs));
    wanted[`g${i}`] = flat(outputs);
    if (diagonal) wanted[`diagonal${i}`] = b.unsqueeze(diagonal, [1]);
  }
  for (const [i, [name, parameter]] of [...parameters].entries()) {
    wanted[`slope.${name}`] = b.reshape(slopes[i] ?? value, [1, size(parameter.dims)]);
    for (let k = 0; kind === 'exact' && k < size(parameter.dims); k++) {
      const unit = b.given(
        parameter.dims,
        Array.from({ length: size(parameter.dims) }, (_, j) => Number(j === k)),
        'float32',
      );
      wanted[`column.${name}.${k}`] = jacobianVectorProduct(b, [output], [parameter], [unit])[0] ?? output;
    }
  }
  const results = await b.matrices(wanted);
  const matrix = (name: string): Matrix => results[name] ?? generate(0, 0, () => 0);
  return { blocks, rest, matrix, images, elements };
}

/** 1/N Σ JᵀHJ for one parameter in its own order. */
export function gaussNewton(matrix: (name: string) => Matrix, name: string, order: number): Matrix {
  const output = matrix('output');
  const columns = Array.from({ length: order }, (_, k) => matrix(`column.${name}.${k}`));
  let total = generate(order, order, () => 0);
  for (let example = 0; example < output.rows; example++) {
    const jacobian = generate(output.columns, order, (i, k) => at(columns[k] ?? output, example, i));
    const hessian = outputHessian('softmax-cross-entropy', [...rowsOf(output, example, example + 1).data]);
    total = plus(total, multiplied(transposed(jacobian), hessian, jacobian));
  }
  return scaled(total, 1 / output.rows);
}
