// Layers whose weights are shared over the positions of a sequence: gradients of single examples, and the two settings of
// Eschenhagen et al. (2023, arXiv 2311.00636), "expand" and "reduce".
import { describe, expect, test } from 'vitest';
import {
  at,
  generate,
  gram,
  identity,
  kronecker,
  type Matrix,
  matrixOf,
  relativeError,
  rowsOf,
  scaled,
} from '../../test/support/dense.js';
import { FedBuilder, randomMatrix } from '../../test/support/fed-builder.js';
import { gradients } from '../autodiff/gradients.js';
import { jacobianVectorProduct } from '../autodiff/jvp.js';
import type { Value } from '../graph/graph.js';
import { lossOf } from '../losses/index.js';
import { unitLikelihood } from '../losses/likelihood.js';
import { random } from '../random.js';
import { findBlocks } from './blocks.js';
import { joinedRows } from './factors/moving-average.js';
import { empirical, exact, type Fisher, inputOnly } from './fisher.js';
import { layerRows } from './statistics.js';

const rounding = 1e-12;
const [batch, length, inputs, hidden, outputs] = [3, 4, 3, 2, 2];
const source = random(50, 'sharing');
const parameters: Readonly<Record<string, Matrix>> = {
  first: randomMatrix(source, inputs, hidden),
  bias: randomMatrix(source, 1, hidden),
  second: randomMatrix(source, hidden, outputs),
};
const sequences = randomMatrix(source, batch * length, inputs);
const goals = randomMatrix(source, batch, outputs);
const loss = lossOf('mean-squared-error');

/** A network of two layers on each position, and the mean over the positions, on some of the examples. */
function network(b: FedBuilder, isLinear: boolean, from = 0, to = batch) {
  const given = (name: string, dims: readonly number[]): [string, Value] => [
    name,
    b.named(name, dims, parameters[name]?.data ?? []),
  ];
  const own = new Map([given('first', [inputs, hidden]), given('bias', [hidden]), given('second', [hidden, outputs])]);
  const [first, bias, second] = own.values();
  if (!first || !bias || !second) throw new Error('three parameters');
  const x = b.given([to - from, length, inputs], rowsOf(sequences, from * length, to * length).data);
  const s = b.add(b.matmul(x, first), bias);
  const output = b.mean(b.matmul(isLinear ? s : b.tanh(s), second), [1]);
  const targets = b.given([to - from, outputs], rowsOf(goals, from, to).data);
  const { blocks } = findBlocks(own, output);
  expect(blocks.map(({ weight }) => weight)).toEqual(['first', 'second']);
  return { own, output, targets, blocks };
}

/** Flat gradients of the layers of single examples, each by a graph of its own: `[examples, order]`. */
async function gradientsApart(isLinear: boolean): Promise<Matrix[]> {
  const rows: number[][][] = [[], []];
  for (let n = 0; n < batch; n++) {
    const b = new FedBuilder();
    const { own, output, targets } = network(b, isLinear, n, n + 1);
    const slopes = gradients(b, loss.value(b, output, targets), [...own.values()]);
    const scale = loss.likelihood?.scale(output) ?? 1;
    const [first, bias, second] = slopes.map((slope) => b.mul(slope, scale));
    if (!first || !bias || !second) throw new Error('three gradients');
    const results = await b.compute({ slope: first, shift: bias, last: second });
    rows[0]?.push([...results.slope, ...results.shift]);
    rows[1]?.push(results.last);
  }
  return rows.map((each) => matrixOf(batch, each[0]?.length ?? 0, each.flat()));
}

async function rowsIn(isLinear: boolean, fisher: Fisher, reduces: boolean) {
  const b = new FedBuilder();
  const { output, targets, blocks } = network(b, isLinear);
  const likelihood = unitLikelihood(b, loss);
  const noise = (): Value => {
    throw new Error('nothing is drawn');
  };
  const rows = layerRows(b, { output, targets }, likelihood, blocks, fisher, noise, () => reduces);
  const wanted: Record<string, Value> = {};
  for (const [i, row] of rows.entries()) {
    wanted[`a${i}`] = joinedRows(b, row.inputs);
    wanted[`g${i}`] = row.outputs;
    const examples = row.examples?.();
    if (!examples) continue;
    const all = examples.matrices();
    const [count = 1, left = 1, right = 1] = all.dims;
    wanted[`j${i}`] = b.reshape(all, [count, left * right]);
    wanted[`squares${i}`] = b.reshape(examples.squares(), [1, left * right]);
  }
  const results = await b.matrices(wanted);
  const matrix = (name: string): Matrix => results[name] ?? generate(0, 0, () => 0);
  return rows.map((_, i) => ({
    a: matrix(`a${i}`),
    g: matrix(`g${i}`),
    j: matrix(`j${i}`),
    squares: matrix(`squares${i}`),
  }));
}

/** The blocks of the Gauss–Newton matrix, from Jacobian–vector products along each weight. */
async function gaussNewtonBlocks(isLinear: boolean): Promise<Matrix[]> {
  const b = new FedBuilder();
  const { own, output } = network(b, isLinear);
  const wanted: Record<string, Value> = {};
  for (const [name, parameter] of own) {
    const size = parameter.dims.reduce((product, extent) => product * extent, 1);
    for (let k = 0; k < size; k++) {
      const unit = Array.from({ length: size }, (_, i) => Number(i === k));
      const [column] = jacobianVectorProduct(b, [output], [parameter], [b.given(parameter.dims, unit)]);
      wanted[`${name}.${k}`] = column ?? output;
    }
  }
  const results = await b.compute(wanted);
  const columnsOf = (names: readonly string[]) =>
    Object.entries(results).flatMap(([key, column]) => (names.includes(key.split('.')[0] ?? '') ? [column] : []));
  return [['first', 'bias'], ['second']].map((names) => {
    const columns = columnsOf(names);
    return scaled(gram(generate(batch * outputs, columns.length, (i, k) => columns[k]?.[i] ?? Number.NaN)), 1 / batch);
  });
}

describe.each([true, false])('linear: %s', (isLinear) => {
  test.each([false, true])('gradients of single examples; reduced: %s', async (reduces) => {
    const apart = await gradientsApart(isLinear);
    const rows = await rowsIn(isLinear, empirical(), reduces);
    for (const [i, { j, squares }] of rows.entries()) {
      const expected = scaled(apart[i] ?? j, 1 / Math.sqrt(batch));
      expect(relativeError(j, expected)).toBeLessThan(rounding);
      const diagonal = generate(1, j.columns, (_, k) => at(gram(expected), k, k));
      expect(relativeError(squares, diagonal)).toBeLessThan(rounding);
    }
  });

  test('the exact Fisher matrix is the sum of outer products of the gradients of all passes', async () => {
    const whole = await gaussNewtonBlocks(isLinear);
    for (const [i, { j }] of (await rowsIn(isLinear, exact(), false)).entries()) {
      expect(j.rows).toBe(batch * outputs);
      expect(relativeError(gram(j), whole[i] ?? j)).toBeLessThan(rounding);
    }
  });
});

test('before a mean over the positions of a linear network, reduce is exact and expand is not', async () => {
  const whole = await gaussNewtonBlocks(true);
  const [reduced, expanded] = [await rowsIn(true, exact(), true), await rowsIn(true, exact(), false)];
  for (const [i, { a, g }] of reduced.entries()) {
    expect([a.rows, g.rows]).toEqual([batch, batch * outputs]);
    expect(relativeError(kronecker(gram(a), gram(g)), whole[i] ?? a)).toBeLessThan(rounding);
  }
  for (const [i, { a, g }] of expanded.entries()) {
    expect([a.rows, g.rows]).toEqual([batch * length, batch * length * outputs]);
    expect(relativeError(kronecker(gram(a), gram(g)), whole[i] ?? a)).toBeGreaterThan(0.1);
  }
});

test('reduced rows: the mean of activations, the sum of gradients; the identity for inputs alone', async () => {
  const [first] = await rowsIn(true, inputOnly(), true);
  if (!first) throw new Error('two layers');
  const means = generate(batch, inputs + 1, (n, i) => {
    if (i === inputs) return 1;
    let sum = 0;
    for (let t = 0; t < length; t++) sum += at(sequences, n * length + t, i);
    return sum / length;
  });
  expect(relativeError(first.a, scaled(means, 1 / Math.sqrt(batch)))).toBeLessThan(rounding);
  expect(gram(first.g)).toEqual(identity(hidden));
});
