// The rows that curvature is made of, against forward and backward passes by hand.
import { describe, expect, test } from 'vitest';
import { CountingBuilder } from '../../test/support/counting-builder.js';
import {
  at,
  generate,
  gram,
  identity,
  type Matrix,
  minus,
  multiplied,
  norm,
  plus,
  relativeError,
  rowsOf,
  scaled,
  transposed,
} from '../../test/support/dense.js';
import {
  backwardByHand,
  denseNetwork,
  examplesFor,
  float64Objective,
  forwardByHand,
  homogeneous,
  outputCotangent,
  outputHessian,
} from '../../test/support/dense-network.js';
import { FedBuilder, randomMatrix } from '../../test/support/fed-builder.js';
import { joinedOf, layouts } from '../../test/support/layer-tensors.js';
import { gradients } from '../autodiff/gradients.js';
import type { Value } from '../graph/graph.js';
import { crossEntropy } from '../losses/cross-entropy.js';
import { type LossWord, lossOf } from '../losses/index.js';
import { unitLikelihood } from '../losses/likelihood.js';
import { random } from '../random.js';
import { findBlocks } from './blocks.js';
import { joinedRows } from './factors/moving-average.js';
import { curvaturePropagation, empirical, exact, type Fisher, inputOnly, sampled } from './fisher.js';
import { LayerTensor } from './layer-tensor.js';
import { type LayerRows, layerRows } from './statistics.js';

const rounding = 1e-12;
const unexpectedNoise = (): Value => {
  throw new Error('only sampled targets take noise');
};

/** A, G and aᵀg of each layer. */
async function factorsOf(b: FedBuilder, rows: readonly LayerRows[], others: Readonly<Record<string, Value>> = {}) {
  const outputs: Record<string, Value> = { ...others };
  for (const [i, { inputs, outputs: g }] of rows.entries()) {
    outputs[`a${i}`] = joinedRows(b, inputs);
    outputs[`g${i}`] = g;
  }
  const results = await b.matrices(outputs);
  const get = (name: string): Matrix => results[name] ?? generate(0, 0, () => 0);
  return { get, layers: rows.map((_, i) => ({ a: get(`a${i}`), g: get(`g${i}`) })) };
}

const losses: readonly LossWord[] = ['softmax-cross-entropy', 'sigmoid-cross-entropy', 'mean-squared-error'];

describe.each(losses.flatMap((loss) => layouts.map((layout) => ({ loss, ...layout }))))(
  '$loss, outputs first: $outputsFirst, bias: $hasBias',
  ({ loss, ...layout }) => {
    const count = 5;
    const network = denseNetwork([3, 4, 2], { ...layout, activation: 'tanh', seed: 3 });
    const source = random(4, loss);
    const examples = examplesFor(network, loss, count, source);
    const { activations, output } = forwardByHand(network, examples.inputs);
    const setUp = (fisher: Fisher, noise: (dims: readonly number[], b: FedBuilder) => Value = unexpectedNoise) => {
      const b = new FedBuilder();
      const { forward } = float64Objective(b, network, loss, examples);
      const { blocks, rest } = findBlocks(forward.parameters, forward.output);
      expect(rest.size).toBe(0);
      const rows = layerRows(b, forward, unitLikelihood(b, lossOf(loss)), blocks, fisher, (dims) => noise(dims, b));
      return { b, forward, blocks, rows };
    };

    test('empirical: A and G by hand, and aᵀg is the gradient', async () => {
      const { b, forward, blocks, rows } = setUp(empirical());
      const names = [...forward.parameters.keys()];
      const slopes = gradients(b, forward.loss, [...forward.parameters.values()]);
      const slope = (name: string | undefined) => slopes[names.indexOf(name ?? '')] ?? forward.loss;
      const joined = blocks.map(({ weight, bias, outputsFirst }, i) => [
        `slope${i}`,
        joinedOf(b, new LayerTensor(slope(weight), bias === undefined ? undefined : slope(bias), outputsFirst)),
      ]);
      const { get, layers } = await factorsOf(b, rows, Object.fromEntries(joined));
      const byHand = backwardByHand(network, activations, outputCotangent(loss, output, examples.targets));
      expect(layers).toHaveLength(2);
      for (const [i, { a, g }] of layers.entries()) {
        const [expectedA, expectedG] = [activations[i], byHand[i]];
        if (!expectedA || !expectedG) throw new Error('a layer too many');
        expect(relativeError(gram(a), scaled(gram(expectedA), 1 / count))).toBeLessThan(rounding);
        expect(relativeError(gram(g), scaled(gram(expectedG), 1 / count))).toBeLessThan(rounding);
        const gradient = scaled(get(`slope${i}`), lossOf(loss).likelihood?.scale(forward.output) ?? 1);
        expect(relativeError(multiplied(transposed(a), g), gradient)).toBeLessThan(rounding);
      }
    });

    test('exact: G is the mean of JᵀHJ', async () => {
      const { b, rows } = setUp(exact());
      const { layers } = await factorsOf(b, rows);
      const width = output.columns;
      // Row k·N + i of the Jacobian: the derivative of output k of example i.
      const jacobians = Array.from({ length: width }, (_, k) =>
        backwardByHand(
          network,
          activations,
          generate(count, width, (_i, j) => Number(j === k)),
        ),
      );
      for (const [layer, { a, g }] of layers.entries()) {
        let expected = generate(g.columns, g.columns, () => 0);
        for (let i = 0; i < count; i++) {
          const jacobian = generate(width, g.columns, (k, j) => at(jacobians[k]?.[layer] ?? g, i, j));
          const hessian = outputHessian(loss, [...rowsOf(output, i, i + 1).data]);
          expected = plus(expected, multiplied(transposed(jacobian), hessian, jacobian));
        }
        expect(relativeError(gram(g), scaled(expected, 1 / count))).toBeLessThan(rounding);
        expect(relativeError(gram(a), scaled(gram(activations[layer] ?? a), 1 / count))).toBeLessThan(rounding);
      }
    });

    test('sampled: G by hand from the noise', async () => {
      const isNormal = loss === 'mean-squared-error';
      const draws = Array.from({ length: count * 2 }, () => (isNormal ? source.normal() : source.uniform()));
      const { b, rows } = setUp(sampled(), (dims, builder) =>
        builder.given(
          dims,
          draws.slice(
            0,
            dims.reduce((product, size) => product * size, 1),
          ),
        ),
      );
      const { layers } = await factorsOf(b, rows);
      const draw = (i: number) => draws[i] ?? Number.NaN;
      const cotangent = outputCotangent(
        loss,
        output,
        Array.from({ length: count * 2 }, () => 0),
      );
      const zero = (i: number, j: number) => at(cotangent, i, j); // for target 0, or class 0
      const firstClass = (i: number) => zero(i, 0) + 1;
      const expectedCotangent = generate(count, 2, (i, j) => {
        if (isNormal) return draw(i * 2 + j);
        if (loss === 'sigmoid-cross-entropy') return zero(i, j) - Number(draw(i * 2 + j) < zero(i, j));
        const label = Number(draw(i) >= firstClass(i));
        return (j === 0 ? firstClass(i) : zero(i, 1)) - Number(label === j);
      });
      const byHand = backwardByHand(network, activations, expectedCotangent);
      for (const [i, { g }] of layers.entries()) {
        expect(relativeError(gram(g), scaled(gram(byHand[i] ?? g), 1 / count))).toBeLessThan(rounding);
      }
    });

    /** G of each layer for given signs of curvature propagation. */
    const propagated = async (samples: number, given: readonly number[]) => {
      const { b, rows } = setUp(curvaturePropagation({ samples }), (dims, builder) => {
        expect(dims).toEqual([samples * 2 * count, 1]); // of two columns of the root
        return builder.given(dims, given);
      });
      const { layers } = await factorsOf(b, rows);
      return layers.map(({ g }) => gram(g));
    };
    /** The signs of two columns, the same for each case: the four equally probable ones. */
    const patterns = [0, 1, 2, 3].map((k) =>
      [1 - (k & 1) * 2, 1 - (k >> 1) * 2].flatMap((sign) => Array.from({ length: count }, () => sign)),
    );
    const averageOf = ([first, ...others]: readonly Matrix[]): Matrix => {
      if (!first) throw new Error('the average of no matrices');
      return scaled(
        others.reduce((sum, each) => plus(sum, each), first),
        1 / (others.length + 1),
      );
    };

    test('curvature propagation: its expectation over the signs is the exact G; two samples have half the variance', async () => {
      const { b, rows } = setUp(exact());
      const { layers } = await factorsOf(b, rows);
      const one: Matrix[][] = [];
      for (const pattern of patterns) one.push(await propagated(1, pattern));
      const two: Matrix[][] = [];
      for (const first of patterns) for (const second of patterns) two.push(await propagated(2, [...first, ...second]));
      for (const [i, { g }] of layers.entries()) {
        const expected = gram(g);
        const variance = (draws: readonly Matrix[][]): number => {
          const own = draws.map((draw) => draw[i] ?? expected);
          expect(relativeError(averageOf(own), expected)).toBeLessThan(rounding);
          return own.reduce((sum, each) => sum + norm(minus(each, expected)) ** 2, 0) / own.length;
        };
        const ofOne = variance(one);
        expect(Math.abs(variance(two) - ofOne / 2)).toBeLessThan(rounding * norm(expected) ** 2);
      }
    });

    test('inputs alone: G is the identity, no backward pass', async () => {
      const { b, rows } = setUp(inputOnly());
      const { layers } = await factorsOf(b, rows);
      for (const [i, { a, g }] of layers.entries()) {
        expect(gram(g)).toEqual(identity(g.columns));
        expect(relativeError(gram(a), scaled(gram(activations[i] ?? a), 1 / count))).toBeLessThan(rounding);
      }
    });

    test('several samples: the mean of the matrices of each', async () => {
      const isNormal = loss === 'mean-squared-error';
      const draws = Array.from({ length: count * 4 }, () => (isNormal ? source.normal() : source.uniform()));
      /** G of each layer, and how many random numbers it took. */
      const factors = async (samples: number, from: number) => {
        let taken = 0;
        const { b, rows } = setUp(sampled({ samples }), (dims, builder) => {
          taken = dims.reduce((product, size) => product * size, 1);
          return builder.given(dims, draws.slice(from, from + taken));
        });
        const { layers } = await factorsOf(b, rows);
        return { taken, layers: layers.map(({ g }) => gram(g)) };
      };
      const first = await factors(1, 0);
      const second = await factors(1, first.taken);
      const both = await factors(2, 0);
      expect(both.taken).toBe(2 * first.taken);
      for (const [i, g] of both.layers.entries()) {
        const mean = scaled(plus(first.layers[i] ?? g, second.layers[i] ?? g), 0.5);
        expect(relativeError(g, mean)).toBeLessThan(rounding);
      }
    });
  },
);

test('a Fisher matrix of one’s own must have cotangents in the shape of the output', () => {
  const rowsFor = (cotangents: Fisher['cotangents']) => {
    const b = new FedBuilder();
    const output = b.matmul(b.given([2, 3], [1, 2, 3, 4, 5, 6]), b.given([3, 2], [1, 0, 0, 1, 1, 1]));
    const at = { output, targets: b.given([2, 2], [0, 0, 0, 0]) };
    return layerRows(
      b,
      at,
      unitLikelihood(b, lossOf('mean-squared-error')),
      [],
      { name: 'own', cotangents },
      unexpectedNoise,
    );
  };
  expect(() => rowsFor(() => [])).toThrow(
    "fisher 'own' returns no cotangent; return at least one, each in the shape of the output, [2, 2], or set inputsAlone",
  );
  expect(() => rowsFor(({ b }) => [b.filled([2, 3], 1, 'float64')])).toThrow("fisher 'own' returns a cotangent [2, 3]");
});

// Labels make each position a case of the likelihood; with squared error the case is the whole example.
test.each([
  ['softmax-cross-entropy', 6],
  ['mean-squared-error', 2],
] as const)('%s: positions of a sequence are rows of %d cases', async (name, cases) => {
  const [batch, length, inputs, outputs] = [2, 3, 4, 3];
  const positions = batch * length;
  const source = random(11);
  const x = randomMatrix(source, positions, inputs);
  const w = randomMatrix(source, inputs, outputs);
  const bias = randomMatrix(source, 1, outputs);
  const isClassifier = name === 'softmax-cross-entropy';
  const goals = Array.from({ length: isClassifier ? positions : positions * outputs }, () => source.integer(outputs));
  const b = new FedBuilder();
  const parameters = new Map([
    ['w', b.matrix(w)],
    ['c', b.given([outputs], bias.data)],
  ]);
  const [weight, shift] = parameters.values();
  if (!weight || !shift) throw new Error('two parameters');
  const output = b.add(b.matmul(b.given([batch, length, inputs], x.data), weight), shift);
  const targets = isClassifier ? b.given([batch, length], goals, 'int64') : b.given([batch, length, outputs], goals);
  const loss = lossOf(name);
  const { blocks } = findBlocks(parameters, output);
  const [slope] = gradients(b, loss.value(b, output, targets), [weight]);
  const likelihood = unitLikelihood(b, loss);
  const { get, layers } = await factorsOf(
    b,
    layerRows(b, { output, targets }, likelihood, blocks, empirical(), unexpectedNoise),
    {
      slope: b.mul(slope ?? weight, likelihood.weight(output)),
    },
  );
  const [layer] = layers;
  if (!layer) throw new Error('one layer');
  const a = homogeneous(x, true);
  const joined = generate(inputs + 1, outputs, (i, j) => (i < inputs ? at(w, i, j) : at(bias, 0, j)));
  const g = outputCotangent(name, multiplied(a, joined), goals);
  expect(relativeError(gram(layer.a), scaled(gram(a), 1 / positions))).toBeLessThan(rounding);
  expect(relativeError(gram(layer.g), scaled(gram(g), 1 / cases))).toBeLessThan(rounding);
  const product = scaled(multiplied(transposed(layer.a), layer.g), Math.sqrt(positions / cases));
  expect(relativeError(rowsOf(product, 0, inputs), get('slope'))).toBeLessThan(rounding);
});

test.each([
  ['labels', 'int64', [6], undefined, 0],
  ['probabilities', 'float32', [6, 3], undefined, 0],
  ['ignored labels', 'int64', [6], -100, 1],
] as const)('only cases that count unequally take nodes of their own: %s', (_, dtype, dims, ignoreIndex, more) => {
  const nodesOf = (isWeighed: boolean): number => {
    const b = new CountingBuilder();
    const weight = b.input('w', 'float32', [4, 3]);
    const output = b.matmul(b.input('x', 'float32', [6, 4]), weight);
    const at = { output, targets: b.input('targets', dtype, dims) };
    const likelihood = unitLikelihood(b, crossEntropy(ignoreIndex === undefined ? {} : { ignoreIndex }));
    const { caseWeights: _unused, ...alike } = likelihood;
    const { blocks } = findBlocks(new Map([['w', weight]]), output);
    layerRows(b, at, isWeighed ? likelihood : alike, blocks, exact(), unexpectedNoise);
    return b.nodes;
  };
  expect(Math.sign(nodesOf(true) - nodesOf(false))).toBe(more);
});
