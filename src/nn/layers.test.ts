// Each layer of Network: what it computes against formulas in float64 or operators of plain ONNX Runtime, its gradients
// against differences, what it refuses, and that networks of it train.
import { beforeAll, describe, expect, it } from 'vitest';
import { Numbers } from '../../test/support/numbers.js';
import { ramp, runOnnx } from '../../test/support/onnx-models.js';
import { jvp } from '../api/jvp.js';
import { predict } from '../api/predict.js';
import { train } from '../api/train.js';
import { dataset } from '../data/dataset.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { GraphError, OptionError } from '../errors.js';
import { inputOf, type Value } from '../graph/graph.js';
import { type TensorData, tensorFrom, toNumbers } from '../graph/tensor.js';
import type { Model } from '../model/model.js';
import { adam } from '../optimizers/adam.js';
import { cgfac } from '../optimizers/second-order/cgfac.js';
import type { activations } from './activations.js';
import { initializations } from './initialization.js';
import { Network } from './network.js';

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
  return () => engine.close();
});

interface Case {
  /** Of one example. */
  readonly input: readonly number[];
  readonly layer: (network: Network, x: Value) => Value;
  /** The elements of the output for two examples, in float64, and its shape. */
  readonly formula?: (x: Numbers, parameter: (name: string) => Numbers) => Numbers;
  readonly output: readonly number[];
}

const sum = (count: number, term: (i: number) => number): number =>
  Array.from({ length: count }, (_, i) => term(i)).reduce((total, x) => total + x, 0);
const gauss = (x: number): number => {
  // Φ(x) by Simpson's rule from 0.
  const n = 2000;
  const h = x / n;
  const f = (t: number) => Math.exp((-t * t) / 2) / Math.sqrt(2 * Math.PI);
  return 0.5 + (h / 3) * sum(n + 1, (i) => (i === 0 || i === n ? 1 : i % 2 === 1 ? 4 : 2) * f(i * h));
};

const sizes = { kernel: 3, stride: 2, padding: 1 } as const;

const cases: Readonly<Record<string, Case>> = {
  dense: {
    input: [3],
    layer: (network, x) => network.dense(x, 'l', 2),
    formula: (x, p) =>
      Numbers.of([2, 2], (n, j) => p('l.bias').at(j) + sum(3, (i) => x.at(n, i) * p('l.weight').at(i, j))),
    output: [2, 2],
  },
  'dense without a bias, on sequences': {
    input: [2, 3],
    layer: (network, x) => network.dense(x, 'l', 2, { bias: false, initialization: initializations.he }),
    formula: (x, p) => Numbers.of([2, 2, 2], (n, t, j) => sum(3, (i) => x.at(n, t, i) * p('l.weight').at(i, j))),
    output: [2, 2, 2],
  },
  conv1d: {
    input: [2, 7],
    layer: (network, x) => network.conv1d(x, 'l', 3, sizes),
    formula: (x, p) =>
      Numbers.of(
        [2, 3, 4],
        (n, o, t) =>
          p('l.bias').at(o) + sum(2, (c) => sum(3, (k) => x.at(n, c, 2 * t + k - 1) * p('l.weight').at(o, c, k))),
      ),
    output: [2, 3, 4],
  },
  'conv2d of its own sizes on each axis': {
    input: [2, 5, 6],
    layer: (network, x) =>
      network.conv2d(x, 'l', 3, { kernel: [2, 3], stride: [1, 2], padding: [0, 1], dilation: [2, 1] }),
    formula: (x, p) =>
      Numbers.of(
        [2, 3, 3, 3],
        (n, o, i, j) =>
          p('l.bias').at(o) +
          sum(2, (c) =>
            sum(2, (k) => sum(3, (m) => x.at(n, c, i + 2 * k, 2 * j + m - 1) * p('l.weight').at(o, c, k, m))),
          ),
      ),
    output: [2, 3, 3, 3],
  },
  'conv2d depthwise': {
    input: [2, 4, 4],
    layer: (network, x) => network.conv2d(x, 'l', 4, { kernel: 3, groups: 2, bias: false }),
    formula: (x, p) =>
      Numbers.of([2, 4, 2, 2], (n, o, i, j) =>
        sum(3, (k) => sum(3, (m) => x.at(n, Math.floor(o / 2), i + k, j + m) * p('l.weight').at(o, 0, k, m))),
      ),
    output: [2, 4, 2, 2],
  },
  convTranspose2d: {
    input: [2, 3, 3],
    layer: (network, x) => network.convTranspose2d(x, 'l', 3, { ...sizes, outputPadding: 1 }),
    formula: (x, p) =>
      Numbers.of(
        [2, 3, 6, 6],
        (n, o, i, j) =>
          p('l.bias').at(o) +
          sum(2, (c) =>
            sum(3, (k) =>
              sum(3, (m) => {
                const [row, column] = [(i + 1 - k) / 2, (j + 1 - m) / 2];
                if (!Number.isInteger(row) || !Number.isInteger(column)) return 0;
                return x.at(n, c, row, column) * p('l.weight').at(c, o, k, m);
              }),
            ),
          ),
      ),
    output: [2, 3, 6, 6],
  },
  maxPool2d: {
    input: [2, 4, 4],
    layer: (network, x) => network.maxPool2d(x),
    formula: (x) =>
      Numbers.of([2, 2, 2, 2], (n, c, i, j) =>
        Math.max(...[0, 1, 2, 3].map((k) => x.at(n, c, 2 * i + (k >> 1), 2 * j + (k & 1)))),
      ),
    output: [2, 2, 2, 2],
  },
  averagePool2d: {
    input: [1, 5, 5],
    layer: (network, x) => network.averagePool2d(x, { kernel: 3, stride: 2 }),
    formula: (x) =>
      Numbers.of(
        [2, 1, 2, 2],
        (n, c, i, j) => sum(9, (k) => x.at(n, c, 2 * i + Math.floor(k / 3), 2 * j + (k % 3))) / 9,
      ),
    output: [2, 1, 2, 2],
  },
  globalAveragePool: {
    input: [2, 3, 2],
    layer: (network, x) => network.globalAveragePool(x),
    formula: (x) => Numbers.of([2, 2], (n, c) => sum(6, (k) => x.at(n, c, Math.floor(k / 2), k % 2)) / 6),
    output: [2, 2],
  },
  layerNorm: {
    input: [5],
    layer: (network, x) => network.layerNorm(x, 'l'),
    formula: (x, p) =>
      Numbers.of([2, 5], (n, i) => {
        const mean = sum(5, (k) => x.at(n, k)) / 5;
        const variance = sum(5, (k) => (x.at(n, k) - mean) ** 2) / 5;
        return ((x.at(n, i) - mean) / Math.sqrt(variance + 1e-5)) * p('l.scale').at(i) + p('l.shift').at(i);
      }),
    output: [2, 5],
  },
  rmsNorm: {
    input: [5],
    layer: (network, x) => network.rmsNorm(x, 'l', { epsilon: 1e-3 }),
    formula: (x, p) =>
      Numbers.of(
        [2, 5],
        (n, i) => (x.at(n, i) / Math.sqrt(sum(5, (k) => x.at(n, k) ** 2) / 5 + 1e-3)) * p('l.scale').at(i),
      ),
    output: [2, 5],
  },
  groupNorm: {
    input: [4, 3],
    layer: (network, x) => network.groupNorm(x, 'l', 2),
    formula: (x, p) =>
      Numbers.of([2, 4, 3], (n, c, t) => {
        const first = c - (c % 2);
        const each = (f: (value: number) => number) => sum(6, (k) => f(x.at(n, first + Math.floor(k / 3), k % 3))) / 6;
        const mean = each((value) => value);
        const variance = each((value) => (value - mean) ** 2);
        return ((x.at(n, c, t) - mean) / Math.sqrt(variance + 1e-5)) * p('l.scale').at(c) + p('l.shift').at(c);
      }),
    output: [2, 4, 3],
  },
  'batchNorm, as it is used': {
    input: [3, 2],
    layer: (network, x) => network.batchNorm(x, 'l', { epsilon: 1e-3 }),
    formula: (x, p) =>
      Numbers.of(
        [2, 3, 2],
        (n, c, t) =>
          ((x.at(n, c, t) - p('l.mean').at(c)) / Math.sqrt(p('l.variance').at(c) + 1e-3)) * p('l.scale').at(c) +
          p('l.shift').at(c),
      ),
    output: [2, 3, 2],
  },
  'dropout, as it is used': {
    input: [4],
    layer: (network, x) => network.dropout(x, 'l', 0.3),
    formula: (x) => x,
    output: [2, 4],
  },
  'multiHeadAttention, causal': attention(true),
  multiHeadAttention: attention(false),
  'lstm, the states of all positions': recurrence('lstm', 'states', false),
  'lstm of both directions, the last states': recurrence('lstm', 'last', true),
  'gru of both directions, the states of all positions': recurrence('gru', 'states', true),
  'rnn, the last state': recurrence('rnn', 'last', false),
  ...Object.fromEntries(
    Object.entries(scalarFunctions()).map(([name, f]): [string, Case] => [
      name,
      {
        input: [6],
        layer: (network, x) => network.activation(x, name as keyof typeof activations),
        formula: (x) => Numbers.of([2, 6], (n, i) => f(x.at(n, i), x.elements.slice(6 * n, 6 * n + 6))),
        output: [2, 6],
      },
    ]),
  ),
};

function scalarFunctions(): Readonly<Record<keyof typeof activations, (x: number, row: readonly number[]) => number>> {
  const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
  const softplus = (x: number) => Math.log1p(Math.exp(x));
  const softmax = (x: number, row: readonly number[]) => Math.exp(x) / row.reduce((total, y) => total + Math.exp(y), 0);
  return {
    relu: (x) => Math.max(x, 0),
    gelu: (x) => x * gauss(x),
    silu: (x) => x * sigmoid(x),
    leakyRelu: (x) => (x > 0 ? x : 0.01 * x),
    elu: (x) => (x > 0 ? x : Math.expm1(x)),
    mish: (x) => x * Math.tanh(softplus(x)),
    tanh: Math.tanh,
    sigmoid,
    softplus,
    softmax,
    logSoftmax: (x, row) => Math.log(softmax(x, row)),
  };
}

function attention(causal: boolean): Case {
  const [length, width, heads] = [3, 4, 2];
  const size = width / heads;
  return {
    input: [length, width],
    layer: (network, x) => network.multiHeadAttention(x, 'l', { heads, causal }),
    formula: (x, p) => {
      const dense = (name: string, y: Numbers) =>
        Numbers.of(
          [2, length, width],
          (n, t, j) => p(`l.${name}.bias`).at(j) + sum(width, (i) => y.at(n, t, i) * p(`l.${name}.weight`).at(i, j)),
        );
      const [q, k, v] = [dense('query', x), dense('key', x), dense('value', x)];
      const mixed = Numbers.of([2, length, width], (n, t, j) => {
        const head = Math.floor(j / size) * size;
        const score = (s: number) =>
          causal && s > t
            ? 0
            : Math.exp(sum(size, (i) => q.at(n, t, head + i) * k.at(n, s, head + i)) / Math.sqrt(size));
        return sum(length, (s) => score(s) * v.at(n, s, j)) / sum(length, score);
      });
      return dense('output', mixed);
    },
    output: [2, length, width],
  };
}

/** A recurrent layer of three positions, by the formulas of ONNX's specification. */
function recurrence(kind: 'lstm' | 'gru' | 'rnn', output: 'states' | 'last', isTwoWay: boolean): Case {
  const [length, width, hidden] = [3, 2, 2];
  const gates = { lstm: 4, gru: 3, rnn: 1 }[kind];
  const directions = isTwoWay ? [0, 1] : [0];
  const sigmoid = (s: number): number => 1 / (1 + Math.exp(-s));
  return {
    input: [length, width],
    layer: (network, x) =>
      network[kind](x, 'l', { hidden, ...(isTwoWay && { direction: 'bidirectional' as const }) })[output],
    formula: (x, p) => {
      /** States `[direction][example][position][unit]`. */
      const states = directions.map((d) =>
        [0, 1].map((n) => {
          let [h, c] = [
            [0, 0],
            [0, 0],
          ];
          const found: number[][] = [];
          for (let k = 0; k < length; k++) {
            const t = d === 0 ? k : length - 1 - k;
            const before = h;
            const ofX = (row: number) =>
              p('l.bias').at(d, row) + sum(width, (i) => x.at(n, t, i) * p('l.input.weight').at(d, row, i));
            const ofH = (row: number) =>
              p('l.bias').at(d, gates * hidden + row) +
              sum(hidden, (i) => (before[i] ?? 0) * p('l.state.weight').at(d, row, i));
            const s = (gate: number, unit: number): number => ofX(gate * hidden + unit) + ofH(gate * hidden + unit);
            if (kind === 'lstm') {
              c = c.map((old, j) => sigmoid(s(2, j)) * old + sigmoid(s(0, j)) * Math.tanh(s(3, j)));
              h = c.map((cell, j) => sigmoid(s(1, j)) * Math.tanh(cell));
            } else if (kind === 'gru') {
              h = before.map((old, j) => {
                const candidate = Math.tanh(ofX(2 * hidden + j) + sigmoid(s(1, j)) * ofH(2 * hidden + j));
                return (1 - sigmoid(s(0, j))) * candidate + sigmoid(s(0, j)) * old;
              });
            } else h = before.map((_, j) => Math.tanh(s(0, j)));
            found[t] = h;
          }
          return found;
        }),
      );
      const unit = (n: number, t: number, j: number): number =>
        states[Math.floor(j / hidden)]?.[n]?.[t]?.[j % hidden] ?? 0;
      const size = directions.length * hidden;
      return output === 'states'
        ? Numbers.of([2, length, size], unit)
        : Numbers.of([2, size], (n, j) => unit(n, j < hidden ? length - 1 : 0, j));
    },
    output: output === 'states' ? [2, length, directions.length * hidden] : [2, directions.length * hidden],
  };
}

/** The layer with all its parameters moved off their first values, so that zeros and ones hide nothing. */
function modelOf({ input, layer }: Case): Model {
  const network = new Network('one', { seed: 3 });
  const model = network.model(layer(network, network.input('x', input)));
  const all = [...model.parameters, ...model.statistics];
  return model.with(
    new Map(
      all.map(([name, { dims, constant }]) => [
        name,
        tensorFrom(
          'float32',
          dims,
          toNumbers(constant as TensorData).map((x, i) => x + 0.3 * Math.sin(1 + i) ** 2),
        ),
      ]),
    ),
  );
}

describe.each(Object.entries(cases))('%s', (_name, one) => {
  const x = ramp([2, ...one.input], 1.5);

  it('computes its formula', async () => {
    const model = modelOf(one);
    const { output } = await runOnnx(model.encode(), { x });
    expect(output?.dims).toEqual(one.output);
    expect(model.graph.outputs[0]?.value.shape).toEqual(['batch', ...one.output.slice(1)]);
    const numbersOf = (value: TensorData) => new Numbers(value.dims, toNumbers(value));
    const expected = one.formula?.(numbersOf(x), (name) => {
      const value = model.parameters.get(name) ?? model.statistics.get(name);
      return numbersOf(value?.constant as TensorData);
    });
    for (const [i, element] of toNumbers(output as TensorData).entries()) {
      expect(element, `element ${i}`).toBeCloseTo(expected?.elements[i] ?? Number.NaN, 4);
    }
  });

  it('has the derivatives of its function, by input and parameters', async () => {
    const model = modelOf(one);
    const variables = new Map([
      ['x', x],
      ...[...model.parameters].map(([n, v]) => [n, v.constant as TensorData] as const),
    ]);
    const tangents = Object.fromEntries([...variables].map(([name, { dims }]) => [name, ramp(dims, 0.7)]));
    const moved = ([name, value]: readonly [string, TensorData], h: number): [string, TensorData] => [
      name,
      tensorFrom(
        'float32',
        value.dims,
        toNumbers(value).map((y, i) => y + h * Number(tangents[name]?.data[i])),
      ),
    ];
    const at = async (h: number) => {
      const all = new Map([...variables].map((variable) => moved(variable, h)));
      const input = all.get('x') as TensorData;
      all.delete('x');
      return (await predict(model.with(all), input, { engine })).output as TensorData;
    };
    const h = 2 ** -9;
    const [before, after] = [await at(-h), await at(h)];
    const result = await jvp(model, { inputs: x, tangents, engine });
    const scale = Math.max(1, ...toNumbers(result.tangents.output as TensorData).map(Math.abs));
    for (const [i, tangent] of toNumbers(result.tangents.output as TensorData).entries()) {
      const difference = (Number(after.data[i]) - Number(before.data[i])) / (2 * h);
      expect(Math.abs(tangent - difference), `element ${i}: ${tangent}, ${difference}`).toBeLessThan(2e-3 * scale);
    }
  });

  it.each([
    ['adam', () => adam()],
    ['cgfac', () => cgfac()],
  ])('trains by %s', async (_optimizer, optimizer) => {
    const network = new Network('trained', { seed: 3 });
    const { b } = network;
    const y = one.layer(network, network.input('input', one.input));
    const flat = b.op('Flatten', [y]);
    const model = network.model(network.dense(flat, 'head', 2));
    const size = 12;
    const set = dataset({
      name: 'drawn',
      size,
      inputs: { dtype: 'float32', shape: one.input, data: ramp([size, ...one.input]).data as Float32Array },
      targets: { dtype: 'int64', shape: [], data: Int32Array.from({ length: size }, (_, i) => Number(i % 3 === 0)) },
      classes: ['a', 'b'],
    });
    const { record, model: trained } = await train(model, {
      data: { train: set, test: set },
      engine,
      optimizer: optimizer(),
      batchSize: size,
      steps: 4,
    });
    expect(record.train.loss).toBeLessThan(record.steps[0]?.loss ?? 0);
    for (const [name, { constant }] of trained.parameters) {
      expect(
        constant?.data.every((element: number | bigint) => Number.isFinite(Number(element))),
        name,
      ).toBe(true);
    }
  });
});

it('embedding: rows of its table', async () => {
  const network = new Network('tokens', { seed: 1 });
  const tokens = network.input('tokens', [3], 'int64');
  const model = network.model(network.embedding(tokens, 'table', 5, 2));
  const { output } = await predict(model, [[4, 0, 1]], { engine });
  const table = toNumbers(model.parameters.get('table.weight')?.constant as TensorData);
  expect(output?.dims).toEqual([1, 3, 2]);
  expect(toNumbers(output as TensorData)).toEqual([4, 0, 1].flatMap((row) => table.slice(2 * row, 2 * row + 2)));
});

it('two dropouts of one value are two layers', () => {
  const network = new Network('twice', { seed: 1 });
  const x = network.input('x', [4]);
  const model = network.model(network.b.add(network.dropout(x, 'first'), network.dropout(x, 'second')));
  const dropouts = model.graph.nodes.filter(({ op }) => op === 'Dropout');
  expect(dropouts.map(({ name }) => name)).toEqual(['first', 'second']);
  expect(dropouts.map((node) => inputOf(node, 1).constant?.data[0])).toEqual([0.5, 0.5]);
});

it('several inputs and outputs, and a residual by plain addition', async () => {
  const network = new Network('several', { seed: 1 });
  const { b } = network;
  const [left, right] = [network.input('left', [3]), network.input('right', [2])];
  const h = network.dense(b.concat([left, right], 1), 'mix', 3);
  const model = network.model({ sum: b.add(h, left), h });
  const feeds = { left: ramp([2, 3]), right: ramp([2, 2]) };
  const plain = await runOnnx(model.encode(), feeds);
  expect(await predict(model, feeds, { engine })).toEqual(plain);
  expect(Object.keys(plain)).toEqual(['sum', 'h']);
  const added = toNumbers(plain.h as TensorData).map((x, i) => Math.fround(x + Number(feeds.left.data[i])));
  expect(toNumbers(plain.sum as TensorData)).toEqual(added);
});

/** What JavaScript leaves out. */
const none = undefined as never;

describe('refuses', () => {
  const on = (example: readonly number[], layer: (network: Network, x: Value) => unknown) => () => {
    const network = new Network('net', { seed: 1 });
    return layer(network, network.input('x', example));
  };
  it.each([
    [
      'a name twice',
      on([3], (n, x) => n.dense(n.dense(x, 'a', 3), 'a', 3)),
      OptionError,
      /'net' has a 'a\.weight' already/,
    ],
    ['an input twice', on([3], (n) => n.input('x', [3])), OptionError, /'net' has a 'x' already/],
    ['no outputs', on([3], (n, x) => n.dense(x, 'a', 0)), OptionError, /outputs of the layer 'a' is 0/],
    [
      'an unknown option',
      on([3], (n, x) => n.dense(x, 'a', 1, { biass: true } as object)),
      OptionError,
      /'biass' of the layer 'a' \(did you mean 'bias'\?\)/,
    ],
    [
      'pictures for rows',
      on([4, 5], (n, x) => n.conv2d(x, 'c', 1, { kernel: 1 })),
      GraphError,
      /'c' takes \[batch, channels, height, width\], and its input is float32\[batch, 4, 5\]/,
    ],
    [
      'a large kernel',
      on([1, 4, 4], (n, x) => n.conv2d(x, 'c', 1, { kernel: 7, padding: 1 })),
      GraphError,
      /'c' has windows of 7 on axis 2/,
    ],
    [
      'three sizes',
      on([1, 4, 4], (n, x) => n.conv2d(x, 'c', 1, { kernel: [1, 2, 3] })),
      OptionError,
      /kernel of the layer 'c' is an array of 3; give a number, or 2/,
    ],
    [
      'groups',
      on([3, 4, 4], (n, x) => n.conv2d(x, 'c', 4, { kernel: 1, groups: 2 })),
      OptionError,
      /2 groups do not divide the 3 channels of the layer 'c'/,
    ],
    [
      'padding beyond the window',
      on([3, 4, 4], (n, x) => n.maxPool2d(x, { padding: 2 })),
      OptionError,
      /padding of maxPool2d is 2/,
    ],
    [
      'output padding',
      on([3, 4, 4], (n, x) => n.convTranspose2d(x, 't', 4, { kernel: 2, outputPadding: 1 })),
      OptionError,
      /outputPadding of the layer 't' is 1/,
    ],
    ['a ratio', on([3], (n, x) => n.dropout(x, 'd', 1)), OptionError, /ratio of the layer 'd' is 1/],
    [
      'heads',
      on([2, 3], (n, x) => n.multiHeadAttention(x, 'm', { heads: 2 })),
      OptionError,
      /2 heads do not divide the width 3 of the layer 'm'/,
    ],
    [
      'an unknown size',
      on([], (n) => n.dense(n.b.input('y', 'float32', ['batch', 'columns']), 'a', 2)),
      GraphError,
      /'a' needs a known size on the last axis/,
    ],
    [
      'an activation',
      on([3], (n, x) => n.activation(x, 'rellu' as 'relu')),
      OptionError,
      /'rellu' \(did you mean 'relu'\?\)/,
    ],
    [
      'an activation that is a function',
      on([3], (n, x) => n.activation(x, Math.tanh as unknown as 'relu')),
      OptionError,
      /the function tanh; give a name/,
    ],
    [
      'no input',
      on([3], (n) => n.dense(none, 'a', 3)),
      GraphError,
      /the input of the layer 'a' is undefined; give a value/,
    ],
    ['no name', on([3], (n, x) => n.dense(x, none, 3)), OptionError, /the name of a layer \(dense\) is undefined/],
    [
      'tokens',
      on([3], (n) => n.dense(n.input('t', [3], 'int64'), 'a', 2)),
      GraphError,
      /'a' takes real numbers.* int64\[batch, 3\]/,
    ],
    [
      'tokens to normalize',
      on([3], (n) => n.layerNorm(n.input('t', [3], 'int64'), 'a')),
      GraphError,
      /'a' takes real numbers/,
    ],
    ['numbers for tokens', on([3], (n, x) => n.embedding(x, 'e', 4, 2)), GraphError, /'e' takes integers/],
    ['no value to pool', on([3], (n) => n.maxPool2d(none)), GraphError, /the input of maxPool2d is undefined/],
    [
      'no value to activate',
      on([3], (n) => n.activation(none, 'relu')),
      GraphError,
      /the input of an activation is undefined/,
    ],
    [
      'no shape',
      on([3], (n) => n.input('y', none)),
      OptionError,
      /the shape of an example of the input 'y' is undefined/,
    ],
    ['a negative size', on([3], (n) => n.input('y', [-1])), OptionError, /a size of the input 'y' is -1/],
    ['half a size', on([3], (n) => n.input('y', [1.5])), OptionError, /a size of the input 'y' is 1\.5/],
    [
      'an element type',
      on([3], (n) => n.input('y', [1], 'float17' as 'int64')),
      OptionError,
      /the input 'y' is 'float17'/,
    ],
    [
      'an input without a name',
      on([3], (n) => n.input(none, [1])),
      OptionError,
      /the name of an input .* is undefined/,
    ],
    [
      'no output at all',
      on([3], (n) => n.model(none)),
      OptionError,
      /the output of model 'net' is undefined; give a value/,
    ],
    ['no options', () => new Network('net', none), OptionError, /the options of Network are undefined/],
    [
      'a value of another network',
      () => {
        const [one, other] = [new Network('one', { seed: 1 }), new Network('other', { seed: 1 })];
        return one.model(one.dense(other.input('theirs', [3]), 'a', 2));
      },
      OptionError,
      /model 'one' is made of 'theirs', a value of another network/,
    ],
    [
      'all that is cut off',
      on([1, 2, 2], (n, x) => n.convTranspose2d(x, 't', 1, { kernel: 2, padding: 2 })),
      GraphError,
      /'t' cuts all of axis 2 off by a padding of 2/,
    ],
    [
      'a word for an initialization',
      on([3], (n, x) => n.dense(x, 'a', 2, { initialization: 'he' as never })),
      OptionError,
      /the initialization of the layer 'a' is 'he'; give initializations\.he/,
    ],
    [
      'an initialization of a weight that is not called',
      on([3], (n, x) => n.dense(x, 'a', 2, { initialization: initializations.normal as never })),
      OptionError,
      /the layer 'a' is not called; give \(\) => initializations\.normal\(0\.02\)/,
    ],
    [
      'an initialization of any parameter for a weight',
      on([3], (n, x) => n.dense(x, 'a', 2, { initialization: initializations.zeros as never })),
      OptionError,
      /which returns undefined; give initializations\.he/,
    ],
    [
      'an initialization that is not called',
      on([3], (n) => n.parameter('p', [2], initializations.normal as never)),
      OptionError,
      /the parameter 'p' of net is the function normal, which returns the function/,
    ],
    [
      'an initialization of one number',
      on([3], (n) => n.parameter('p', [2], (() => 0.5) as never)),
      OptionError,
      /which returns 0\.5; give a function that fills the elements/,
    ],
    [
      'a parameter without a shape',
      on([3], (n) => n.parameter('p', none, initializations.ones)),
      OptionError,
      /the shape of the parameter 'p' of net is undefined/,
    ],
    [
      'a word to add',
      on([3], (n, x) => n.b.add(x, '1' as never)),
      GraphError,
      /an operand of Add is '1'; give a value/,
    ],
    ['nothing to add', on([3], (n) => n.b.add(none, 1)), GraphError, /an operand of Add is undefined/],
    ['nothing to choose', on([3], (n, x) => n.b.where(x, 1, none)), GraphError, /an operand of Where is undefined/],
    ['nothing to reshape', on([3], (n) => n.b.reshape(none, [1])), GraphError, /an operand of reshape is undefined/],
    ['nothing to sum', on([3], (n) => n.b.sum(none)), GraphError, /an operand of ReduceSum is undefined/],
    ['nothing to exponentiate', on([3], (n) => n.b.exp(none)), GraphError, /Exp node lacks its input 0/],
    [
      'a scalar of no type',
      on([3], (n) => n.b.scalar(1, none)),
      GraphError,
      /undefined is no element type; give one such as 'float32'/,
    ],
    ['a fraction of an integer', on([3], (n) => n.b.scalar(1.5, 'int64')), GraphError, /int64 does not hold 1\.5/],
    [
      'an input of the graph of no shape',
      on([3], (n) => n.b.input('y', 'float32', none)),
      GraphError,
      /the shape of the input 'y' is undefined/,
    ],
    ['an output', on([3], (n) => n.model({ y: 3 as unknown as Value })), OptionError, /output 'y' of model 'net' is 3/],
    ['a huge layer', on([3], (n, x) => n.dense(x, 'a', 1e15)), OptionError, /memory does not hold/],
  ] as const)('%s', (_name, call, kind, message) => {
    expect(call).toThrow(kind);
    expect(call).toThrow(message);
  });
});
