// A kind of layer of a user's own, made of public parts: found, measured, trained, and refused if it does not fit.
import { afterAll, expect, test } from 'vitest';
import { tensorFrom } from '../src/graph/tensor.js';
import { builtModel, type Model } from '../src/model/model.js';
import {
  axisRows,
  cgfac,
  drawnDigits,
  kfac,
  kroneckerBlocks,
  type LayerKind,
  type LayerUse,
  layerKinds,
  nodeEngine,
  OptionError,
  train,
} from '../src/node.js';
import { Builder } from '../src/ops/builder.js';
import { random } from '../src/random.js';
import { matrixOf, multiplied, relativeError, rowsOf, transposed } from './support/dense.js';
import { measured, rounding } from './support/measured-blocks.js';

/** y = x ⊙ w for x: [batch, features]: a layer of one weight for each feature. */
const gain: LayerKind = {
  kind: 'gain',
  factor: 'full',
  decays: false,
  match({ node, value }) {
    const activations = node.inputs.find((input) => input !== value);
    if (node.op !== 'Mul' || value.rank !== 1 || activations?.rank !== 2) return undefined;
    const [groups = 1] = value.dims;
    return { node, activations, groups, inputs: 1, outputs: 1, outputsFirst: false, outputAxes: [1, 2] };
  },
  inputRows: (b, { activations, groups }) => axisRows(b, activations, [1, 2], groups),
};
const kinds = [...layerKinds, gain];

function network(): Model {
  const b = new Builder();
  const source = random(3, 'own');
  const parameter = (name: string, dims: readonly number[], draw: () => number) => {
    const count = dims.reduce((product, size) => product * size, 1);
    return b.constant(tensorFrom('float32', dims, Array.from({ length: count }, draw)), name);
  };
  const gains = parameter('gains', [784], () => 1);
  const weight = parameter('weight', [784, 10], () => 0.05 * source.normal());
  const output = b.matmul(b.mul(b.input('input', 'float32', ['batch', 784]), gains), weight);
  return builtModel(
    'gains',
    b.build('network', { output }),
    new Map([
      ['gains', gains],
      ['weight', weight],
    ]),
  );
}

const engine = await nodeEngine({ worker: false, threads: 1 });
afterAll(() => engine.close());

test('a parameter that only the own kind knows gets a block', () => {
  expect(kroneckerBlocks(network()).rest.get('gains')).toBe('a parameter of rank 1 outside a dense layer');
  const { blocks, rest } = kroneckerBlocks(network(), { layerKinds: kinds });
  expect(blocks[0]).toMatchObject({ kind: 'gain', weight: 'gains', groups: 784, inputs: 1, outputs: 1 });
  expect([...rest]).toEqual([]);
});

test('its rows are those of the gradient', async () => {
  const { blocks, matrix } = await measured(
    { parameters: { w: [4] }, input: [5, 4], network: (b, x, p) => b.tanh(b.mul(x, p('w'))), kinds },
    'empirical',
  );
  expect(blocks).toMatchObject([{ groups: 4 }]);
  const sums = Array.from({ length: 4 }, (_, i) => {
    const [a, g] = [matrix('a0'), matrix('g0')].map((rows) => rowsOf(rows, 5 * i, 5 * (i + 1)));
    return a && g ? (multiplied(transposed(a), g).data[0] ?? 0) : 0;
  });
  expect(relativeError(matrixOf(1, 4, sums), matrix('slope.w'))).toBeLessThan(rounding);
});

test.each([cgfac({ layerKinds: kinds }), kfac({ layerKinds: kinds })])('$name trains it', async (optimizer) => {
  const data = drawnDigits({ trainSize: 60, testSize: 10, seed: 1 });
  const { record } = await train(network(), { engine, data, optimizer, batchSize: 20, steps: 12, seed: 1 });
  const losses = record.steps.map(({ loss }) => loss);
  expect(losses.at(-1)).toBeLessThan(losses[0] ?? 0);
});

test('a kind that counts wrong, or is none, is refused in words', () => {
  const wrong: LayerKind = {
    ...gain,
    match: (reading) => {
      const found = gain.match(reading);
      return typeof found === 'object' ? { ...found, outputs: 2 } : found;
    },
  };
  expect(() => kroneckerBlocks(network(), { layerKinds: [...layerKinds, wrong] })).toThrow(
    "layer kind 'gain' reads 'gains', [784], as 784 × 1 × 2 elements (groups, inputs, outputs); `match` " +
      'must return sizes with as many elements as the parameter',
  );
  const { inputRows, ...half } = gain as LayerKind & { readonly factor: 'full' };
  expect(() => cgfac({ layerKinds: [half as LayerKind] })).toThrow(
    'a kind of layer has kind, match, decays, and factor',
  );
  expect(() => cgfac({ layerKinds: 'dense' as unknown as LayerKind[] })).toThrow(
    "layerKinds is 'dense'; give a list such as [...layerKinds, own]",
  );
});

const full = gain as LayerKind & { readonly factor: 'full' };
const matched = (change: object): Partial<LayerKind> => ({
  match: (reading) => {
    const found = gain.match(reading);
    return typeof found === 'object' ? { ...found, ...change } : found;
  },
});

test.each([
  ['a flag for a match', { match: () => true }, 'match returned true; return { node, activations, inputs'],
  ['nothing for a match', { match: () => ({}) }, 'match returned an empty object; return { node,'],
  ['no activations', matched({ activations: 3 }), 'match returned an object with node, activations'],
  ['half an output', matched({ outputs: 0.5 }), 'match returned an object with node, activations'],
  [
    'axes beyond the output',
    matched({ outputAxes: [1, 3] }),
    'outputAxes is [1, 3], and the output of Mul is float32[',
  ],
  ['other axes', matched({ outputAxes: [0, 1] }), 'give the axes that hold its 784 outputs'],
  ['a number for rows', { inputRows: () => 3 }, 'inputRows returned 3; return float32[784, rows, 1]'],
  [
    'rows of integers',
    { inputRows: (b: Builder, use: LayerUse) => b.cast(full.inputRows(b, use), 'int64') },
    'inputRows returned int64[784, 20, 1]; return float32[784, rows, 1]',
  ],
  [
    'rows without groups',
    { inputRows: (_: Builder, { activations }: LayerUse) => activations },
    'inputRows returned float32[20, 784]; return float32[784, rows, 1]',
  ],
  [
    'no rows of outputs',
    { outputRows: () => undefined },
    'outputRows returned undefined; return float32[784, rows, 1]',
  ],
])('a kind that returns %s is refused by its name', async (_, wrong, message) => {
  const optimizer = cgfac({ layerKinds: [...layerKinds, { ...full, ...wrong } as LayerKind] });
  const training = train(network(), {
    ...{ engine, optimizer, batchSize: 20, steps: 1, seed: 1 },
    data: drawnDigits({ trainSize: 60, testSize: 10, seed: 1 }),
  });
  await expect(training).rejects.toThrow(OptionError);
  await expect(training).rejects.toThrow(`layer kind 'gain': ${message.startsWith('give') ? 'outputAxes' : message}`);
  await expect(training).rejects.toThrow(message);
});

test('two kinds of one name are refused', () => {
  expect(() => cgfac({ layerKinds: [...layerKinds, { ...gain, kind: 'dense' }] })).toThrow(
    "layerKinds has two kinds named 'dense'; give yours another name, or leave the other one out",
  );
});
