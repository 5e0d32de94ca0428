// The gradients of single examples against Jacobian–vector products: of all kinds of layers, of positions, groups, tied weights.
import { describe, expect, test } from 'vitest';
import {
  at,
  generate,
  type Matrix,
  matrixOf,
  multiplied,
  relativeError,
  transposed,
} from '../../test/support/dense.js';
import { FedBuilder, normals } from '../../test/support/fed-builder.js';
import { size } from '../../test/support/measured-blocks.js';
import { jacobianVectorProduct } from '../autodiff/jvp.js';
import { int, ints, type Value } from '../graph/graph.js';
import type { DataType } from '../graph/tensor.js';
import { lossOf } from '../losses/index.js';
import { unitLikelihood } from '../losses/likelihood.js';
import type { Forward } from '../losses/objective.js';
import { random } from '../random.js';
import { findBlocks } from './blocks.js';
import { exampleJacobians } from './example-jacobian.js';
import { empirical, exact, type Fisher, sampled } from './fisher.js';
import { layerKinds } from './layers/index.js';

interface Case {
  readonly name: string;
  readonly parameters: Readonly<Record<string, readonly number[]>>;
  readonly input: readonly number[];
  readonly network: (b: FedBuilder, x: Value, p: (name: string) => Value) => Value;
  /** The runtime has no Conv of float64. */
  readonly dtype?: DataType;
  readonly fisher?: Fisher;
}

const cases: readonly Case[] = [
  {
    name: 'dense layers with biases, three passes',
    parameters: { v: [4, 5], c: [5], w: [5, 3] },
    input: [4, 4],
    network: (b, x, p) => b.matmul(b.tanh(b.gemm(x, p('v'), p('c'))), p('w')),
  },
  {
    name: 'outputs first, so small that the gradients are formed',
    parameters: { v: [2, 3], c: [2], w: [2, 3] },
    input: [7, 3],
    network: (b, x, p) => b.matmul(b.tanh(b.gemm(x, p('v'), p('c'), { transposeY: true })), p('w')),
  },
  {
    name: 'positions of a sequence',
    parameters: { v: [6, 7], c: [7], w: [28, 3] },
    input: [3, 4, 6],
    network: (b, x, p) => b.matmul(b.reshape(b.tanh(b.add(b.matmul(x, p('v')), p('c'))), [3, 28]), p('w')),
  },
  {
    name: 'so many positions that the gradients are formed',
    parameters: { v: [2, 3], c: [3], w: [15, 3] },
    input: [3, 5, 2],
    network: (b, x, p) => b.matmul(b.reshape(b.tanh(b.add(b.matmul(x, p('v')), p('c'))), [3, 15]), p('w')),
  },
  {
    name: 'a matrix and its transpose',
    parameters: { v: [4, 5], w: [4, 3] },
    input: [4, 4],
    network: (b, x, p) => b.matmul(b.tanh(b.matmul(b.tanh(b.matmul(x, p('v'))), b.transpose(p('v')))), p('w')),
  },
  {
    name: 'a matrix in two layers of different numbers of positions',
    parameters: { v: [3, 3], w: [9, 3] },
    input: [4, 2, 3],
    network(b, x, p) {
      const many = b.tanh(b.matmul(x, p('v')));
      const one = b.tanh(b.matmul(b.mean(many, [1]), p('v')));
      return b.matmul(b.concat([b.reshape(many, [4, 6]), one], 1), p('w'));
    },
  },
  {
    name: 'an embedding',
    parameters: { v: [5, 3], w: [6, 3] },
    input: [4, 2],
    network(b, x, p) {
      const numbers = b.cast(b.abs(b.mul(x, 1.5)), 'int64');
      return b.matmul(b.tanh(b.reshape(b.gather(p('v'), numbers), [4, 6])), p('w'));
    },
  },
  {
    name: 'a convolution with bias',
    dtype: 'float32',
    parameters: { v: [4, 2, 3, 2], c: [4], w: [32, 3] },
    input: [3, 2, 7, 6],
    network(b, x, p) {
      const attributes = { strides: ints([2, 3]), pads: ints([1, 0, 1, 0]), dilations: ints([1, 2]) };
      return b.matmul(b.reshape(b.tanh(b.op('Conv', [x, p('v'), p('c')], attributes)), [3, 32]), p('w'));
    },
  },
  {
    name: 'a convolution of two groups',
    dtype: 'float32',
    parameters: { v: [4, 2, 3], c: [4], w: [16, 3] },
    input: [3, 4, 6],
    network: (b, x, p) =>
      b.matmul(b.reshape(b.tanh(b.op('Conv', [x, p('v'), p('c')], { group: int(2) })), [3, 16]), p('w')),
  },
  {
    name: 'a convolution and a transposed one of more positions than their factors are made of',
    dtype: 'float32',
    fisher: empirical(),
    parameters: { v: [2, 1, 3], u: [2, 2, 2], w: [2, 3] },
    input: [4, 1, 6002],
    network(b, x, p) {
      const y = b.tanh(b.op('Conv', [x, p('v')]));
      return b.matmul(b.mean(b.tanh(b.op('ConvTranspose', [y, p('u')])), [2]), p('w'));
    },
  },
];

describe.each(cases)('$name', ({ parameters: shapes, input, network, dtype = 'float64', fisher = exact() }) => {
  test('J has the gradient of each example; its Gram matrix and products', async () => {
    const b = new FedBuilder();
    const source = random(11, 'examples');
    const parameters = new Map(
      Object.entries(shapes).map(([name, dims]) => [
        name,
        b.named(name, dims, normals(source, size(dims)).map(Math.fround), dtype),
      ]),
    );
    const output = network(b, b.given(input, normals(source, size(input)), dtype), (name) => {
      const value = parameters.get(name);
      if (!value) throw new Error(`no parameter ${name}`);
      return value;
    });
    const [examples = 1, outputs = 1] = output.dims;
    const targets = b.given(
      [examples],
      Array.from({ length: examples }, () => source.integer(outputs)),
      'int64',
    );
    const likelihood = unitLikelihood(b, lossOf('softmax-cross-entropy'));
    const forward = { output, targets, parameters } as unknown as Forward; // no more is asked for
    const sample = { forward, likelihood, fisher, noise: () => output };
    const { blocks } = findBlocks(parameters, output);
    const rowsOf = exampleJacobians(b, sample, blocks);
    const cotangents = fisher.cotangents({ b, ...sample });
    const wanted: Record<string, Value> = Object.fromEntries(cotangents.map((each, k) => [`cotangent${k}`, each]));
    const count = cotangents.length * examples;
    for (const block of blocks) {
      const { weight, bias } = block;
      const names = bias === undefined ? [weight] : [weight, bias];
      const rows = rowsOf(block);
      expect(rows.count).toBe(count);
      wanted[`gram.${weight}`] = rows.gram();
      const own = names.map((name) => parameters.get(name) as Value); // a block has parameters of the network
      const units = names.flatMap((name, i) =>
        Array.from({ length: size(shapes[name] ?? []) }, (_, k) =>
          own.map(({ dims }, j) =>
            b.given(
              dims,
              Array.from({ length: size(dims) }, (_unused, l) => Number(i === j && k === l)),
              dtype,
            ),
          ),
        ),
      );
      for (const [k, tangents] of units.entries()) {
        const v = block.take(b, new Map(names.map((name, i) => [name, tangents[i] as Value])));
        wanted[`times.${weight}.${k}`] = b.unsqueeze(rows.times(v), [0]);
        wanted[`jvp.${weight}.${k}`] = jacobianVectorProduct(b, [output], own, tangents)[0] ?? output;
      }
      const given = new Map(own.map((value, i) => [names[i] ?? '', value]));
      const y = b.given(
        [count],
        Array.from({ length: count }, (_, i) => 1 + (i % 3)),
        dtype,
      );
      const moved = new Map(block.put(b, rows.minusTransposed(block.take(b, given), y)));
      wanted[`moved.${weight}`] = b.concat(
        own.map((value, i) => b.reshape(b.sub(value, moved.get(names[i] ?? '') ?? value), [1, size(value.dims)])),
        1,
      );
    }
    const found = await b.matrices(wanted);
    const matrix = (name: string): Matrix => found[name] ?? matrixOf(0, 0, []);
    const rounding = dtype === 'float64' ? 1e-13 : 1e-4; // the second: a difference of parameters
    for (const { weight } of blocks) {
      const order = matrix(`moved.${weight}`).columns;
      const jacobian = generate(count, order, (row, k) => {
        const [pass, example] = [Math.floor(row / examples), row % examples];
        const [cotangent, column] = [matrix(`cotangent${pass}`), matrix(`jvp.${weight}.${k}`)];
        let sum = 0;
        for (let i = 0; i < outputs; i++) sum += at(cotangent, example, i) * at(column, example, i);
        return sum / Math.sqrt(examples);
      });
      const times = generate(count, order, (row, k) => at(matrix(`times.${weight}.${k}`), 0, row));
      expect(relativeError(times, jacobian), weight).toBeLessThan(rounding);
      expect(relativeError(matrix(`gram.${weight}`), multiplied(jacobian, transposed(jacobian)))).toBeLessThan(
        rounding,
      );
      const y = generate(1, count, (_, i) => 1 + (i % 3));
      expect(relativeError(matrix(`moved.${weight}`), multiplied(y, jacobian))).toBeLessThan(rounding);
    }
    expect(blocks.length).toBeGreaterThan(1);
  });
});

describe('refuses', () => {
  const spaced = (fisher: Fisher, kinds = layerKinds, network?: Case['network']) => {
    const b = new FedBuilder();
    const [w, s] = [b.named('w', [3, 2], new Float64Array(6)), b.named('s', [3], new Float64Array(3))];
    const x = b.given([2, 4, 3], new Float64Array(24));
    const output = network?.(b, x, () => w) ?? b.matmul(b.op('LayerNormalization', [x, s]), w);
    const parameters = new Map([
      ['w', w],
      ['s', s],
    ]);
    const targets = b.given([2, 4], new Float64Array(8), 'int64');
    const forward = { output, targets, parameters } as unknown as Forward; // no more is asked for
    const likelihood = unitLikelihood(b, lossOf('softmax-cross-entropy'));
    const { blocks } = findBlocks(parameters, output, kinds);
    const noise = () => b.given([2, 4, 1], new Float64Array(8));
    return () => blocks.map(exampleJacobians(b, { forward, likelihood, fisher, noise }, blocks));
  };
  const rowsOnly = layerKinds.filter(({ factor }) => factor !== 'identity');

  test('the exact Fisher matrix of examples with several cases', () => {
    expect(spaced(exact(), rowsOnly)).toThrow('fisher is exact(), and an example has 4 cases');
    expect(spaced(sampled(), rowsOnly)).not.toThrow();
  });

  test('layers without rows of activations, by the name of their kind', () => {
    expect(spaced(sampled())).toThrow("the layer kind 'scale-and-shift' has no rows of activations");
  });

  test('layers on values that do not depend on the examples', () => {
    const network: Case['network'] = (b, x, p) => {
      const table = b.tanh(b.matmul(b.filled([4, 3], 1, 'float64'), p('w')));
      return b.add(b.slice(x, 2, 0, 2), table);
    };
    expect(spaced(sampled(), rowsOnly, network)).toThrow(
      "a layer of the kind 'dense' is applied to values that do not depend on the examples",
    );
  });
});
