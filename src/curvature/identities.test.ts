// Where K-FAC is exact (Dangel et al. 2025, arXiv 2507.05127), and where it is not: blocks from
// layerRows against Gauss–Newton matrices whose columns are Jacobian–vector products.
import { describe, expect, test } from 'vitest';
import {
  at,
  generate,
  gram,
  kronecker,
  type Matrix,
  multiplied,
  plus,
  relativeError,
  rowsOf,
  scaled,
  transposed,
} from '../../test/support/dense.js';
import {
  type DenseNetwork,
  denseNetwork,
  type Examples,
  examplesFor,
  float64Objective,
  outputHessian,
} from '../../test/support/dense-network.js';
import { FedBuilder, normals } from '../../test/support/fed-builder.js';
import { layerTensorOf, layouts } from '../../test/support/layer-tensors.js';
import { jacobianVectorProduct } from '../autodiff/jvp.js';
import type { Value } from '../graph/graph.js';
import { type LossWord, lossOf } from '../losses/index.js';
import { unitLikelihood } from '../losses/likelihood.js';
import { random } from '../random.js';
import { findBlocks } from './blocks.js';
import { joinedRows } from './factors/moving-average.js';
import { empirical, exact, type Fisher, sampled } from './fisher.js';
import { layerRows } from './statistics.js';

const rounding = 1e-12;

/** Each layer's K-FAC block A ⊗ G, and its rows for further use. */
async function kfacBlocks(network: DenseNetwork, loss: LossWord, examples: Examples, fisher: Fisher, noiseSeed = 0) {
  const b = new FedBuilder();
  const { forward } = float64Objective(b, network, loss, examples);
  const { blocks } = findBlocks(forward.parameters, forward.output);
  const source = random(noiseSeed, 'noise');
  const rows = layerRows(b, forward, unitLikelihood(b, lossOf(loss)), blocks, fisher, (dims) => {
    const count = dims.reduce((product, size) => product * size, 1);
    const isNormal = lossOf(loss).likelihood?.noise.distribution === 'normal';
    return b.given(dims, isNormal ? normals(source, count) : Array.from({ length: count }, () => source.uniform()));
  });
  const outputs: Record<string, Value> = {};
  for (const [i, row] of rows.entries()) {
    outputs[`a${i}`] = joinedRows(b, row.inputs);
    outputs[`g${i}`] = row.outputs;
  }
  const results = await b.matrices(outputs);
  return rows.map((_, i) => {
    const [a, g] = [results[`a${i}`], results[`g${i}`]];
    if (!a || !g) throw new Error('rows of each layer');
    return { a, g, block: kronecker(gram(a), gram(g)) };
  });
}

/** Each layer's block of the Gauss–Newton matrix, 1/N Σ JᵀHJ, in the order of a joined matrix row by row. */
async function gaussNewtonBlocks(network: DenseNetwork, loss: LossWord, examples: Examples): Promise<Matrix[]> {
  const b = new FedBuilder();
  const { forward } = float64Objective(b, network, loss, examples);
  const columns: Record<string, Value> = { output: forward.output };
  for (const [layer, { rows, columns: outputs }] of network.layers.entries()) {
    const weight = forward.parameters.get(`layer${layer}.weight`);
    const bias = forward.parameters.get(`layer${layer}.bias`);
    if (!weight) throw new Error('each layer has a weight');
    for (let k = 0; k < rows * outputs; k++) {
      const unit = layerTensorOf(
        b,
        generate(rows, outputs, (i, j) => Number(i * outputs + j === k)),
        network,
      );
      const tangents = unit.bias ? [unit.weight, unit.bias] : [unit.weight];
      const [moved] = jacobianVectorProduct(b, [forward.output], bias ? [weight, bias] : [weight], tangents);
      columns[`layer${layer}.${k}`] = moved ?? weight;
    }
  }
  const results = await b.matrices(columns);
  const column = (name: string): Matrix => results[name] ?? generate(0, 0, () => 0);
  const output = column('output');
  return network.layers.map(({ rows, columns: outputs }, layer) => {
    const order = rows * outputs;
    const jacobians = Array.from({ length: order }, (_, k) => column(`layer${layer}.${k}`));
    let total = generate(order, order, () => 0);
    for (let example = 0; example < output.rows; example++) {
      const jacobian = generate(output.columns, order, (i, k) => at(jacobians[k] ?? output, example, i));
      const hessian = outputHessian(loss, [...rowsOf(output, example, example + 1).data]);
      total = plus(total, multiplied(transposed(jacobian), hessian, jacobian));
    }
    return scaled(total, 1 / output.rows);
  });
}

const losses: readonly LossWord[] = ['softmax-cross-entropy', 'sigmoid-cross-entropy', 'mean-squared-error'];
const layout = { outputsFirst: false, hasBias: true };

describe.each(losses)('%s', (loss) => {
  test.each(layouts)('one example: exact K-FAC is the Gauss–Newton matrix ($outputsFirst, $hasBias)', async (one) => {
    const network = denseNetwork([4, 3, 3, 2], { ...one, activation: 'tanh', seed: 1 });
    const examples = examplesFor(network, loss, 1, random(2, loss));
    const [kfac, whole] = [
      await kfacBlocks(network, loss, examples, exact()),
      await gaussNewtonBlocks(network, loss, examples),
    ];
    expect(kfac).toHaveLength(3);
    for (const [i, { block }] of kfac.entries()) expect(relativeError(block, whole[i] ?? block)).toBeLessThan(rounding);
  });

  test('several examples and nonlinear layers: it is an approximation', async () => {
    const network = denseNetwork([4, 3, 3, 2], { ...layout, activation: 'tanh', seed: 1 });
    const examples = examplesFor(network, loss, 4, random(3, loss));
    const [kfac, whole] = [
      await kfacBlocks(network, loss, examples, exact()),
      await gaussNewtonBlocks(network, loss, examples),
    ];
    // The last layer's Jacobian is the identity: with squared error its block is exact whatever came before.
    for (const [i, { block }] of kfac.slice(0, 2).entries()) {
      expect(relativeError(block, whole[i] ?? block)).toBeGreaterThan(0.01);
    }
  });

  test('one example, sampled targets: K-FAC converges to the Gauss–Newton matrix', async () => {
    const network = denseNetwork([3, 3, 2], { ...layout, activation: 'tanh', seed: 4 });
    const example = examplesFor(network, loss, 1, random(5, loss));
    const whole = await gaussNewtonBlocks(network, loss, example);
    const errors: number[] = [];
    for (const draws of [100, 40_000]) {
      const { inputs, targets } = example;
      const repeated: Examples = {
        inputs: generate(draws, inputs.columns, (_, j) => at(inputs, 0, j)),
        targets: Array.from({ length: draws }, () => targets).flat(),
      };
      const kfac = await kfacBlocks(network, loss, repeated, sampled(), 6);
      errors.push(Math.max(...kfac.map(({ block }, i) => relativeError(block, whole[i] ?? block))));
    }
    const [few = 0, many = 1] = errors;
    expect(many).toBeLessThan(0.03); // √(2/40,000) is 0.007 for a normal variance
    expect(many).toBeLessThan(few / 4); // √400 = 20 in the mean
  });
});

test('deep linear network, squared error: exact K-FAC is the Gauss–Newton matrix for any number of examples', async () => {
  for (const one of layouts) {
    const network = denseNetwork([4, 3, 3, 2], { ...one, activation: 'linear', seed: 7 });
    const examples = examplesFor(network, 'mean-squared-error', 6, random(8));
    const kfac = await kfacBlocks(network, 'mean-squared-error', examples, exact());
    const whole = await gaussNewtonBlocks(network, 'mean-squared-error', examples);
    for (const [i, { block }] of kfac.entries()) expect(relativeError(block, whole[i] ?? block)).toBeLessThan(rounding);
  }
});

test('deep linear network, squared error: sampled K-FAC converges to the Gauss–Newton matrix', async () => {
  const network = denseNetwork([4, 3, 2], { ...layout, activation: 'linear', seed: 7 });
  const { inputs, targets } = examplesFor(network, 'mean-squared-error', 5, random(8));
  const copies = 8000;
  const repeated: Examples = {
    inputs: generate(5 * copies, inputs.columns, (i, j) => at(inputs, i % 5, j)),
    targets: Array.from({ length: copies }, () => targets).flat(),
  };
  const whole = await gaussNewtonBlocks(network, 'mean-squared-error', { inputs, targets });
  const kfac = await kfacBlocks(network, 'mean-squared-error', repeated, sampled(), 9);
  for (const [i, { block }] of kfac.entries()) expect(relativeError(block, whole[i] ?? block)).toBeLessThan(0.03);
});

test('deep linear network, squared error: empirical K-FAC is not the empirical Fisher', async () => {
  const network = denseNetwork([4, 3, 3, 2], { ...layout, activation: 'linear', seed: 7 });
  for (const count of [1, 6]) {
    const examples = examplesFor(network, 'mean-squared-error', count, random(10));
    for (const { a, g, block } of await kfacBlocks(network, 'mean-squared-error', examples, empirical())) {
      // 1/N Σ vec(a·gᵀ)·vec(a·gᵀ)ᵀ; both rows carry 1/√N
      const outer = generate(
        count,
        a.columns * g.columns,
        (i, k) => at(a, i, Math.floor(k / g.columns)) * at(g, i, k % g.columns),
      );
      const error = relativeError(block, scaled(gram(outer), count));
      // With one example there is nothing that the product of means could lose.
      if (count === 1) expect(error).toBeLessThan(rounding);
      else expect(error).toBeGreaterThan(0.1);
    }
  }
});
