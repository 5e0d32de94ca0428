// The Gaussian prior against ½·s·|w|² in plain TypeScript: gradient and Hessian by differences, and its strength.
import { expect, test } from 'vitest';
import { blockOf } from '../../../test/support/blocks.js';
import { generate, type Matrix, minus, plus, relativeError, scaled } from '../../../test/support/dense.js';
import { FedBuilder, randomMatrix } from '../../../test/support/fed-builder.js';
import { joinedOf, type Layout, layerTensorOf } from '../../../test/support/layer-tensors.js';
import type { KroneckerBlock } from '../../curvature/kronecker-block.js';
import type { LayerTensor } from '../../curvature/layer-tensor.js';
import { convolution } from '../../curvature/layers/convolution.js';
import { dense } from '../../curvature/layers/dense.js';
import { embedding } from '../../curvature/layers/embedding.js';
import { scaleAndShift } from '../../curvature/layers/scale-and-shift.js';
import type { Value } from '../../graph/graph.js';
import { crossEntropy } from '../../losses/cross-entropy.js';
import { lossNames, lossOf } from '../../losses/index.js';
import { random } from '../../random.js';
import { Prior, precisionPerInput, priorChangeOf, priorMean, priorProduct, priorStrength } from './prior.js';

interface Layer {
  readonly block: KroneckerBlock;
  readonly layout: Layout;
  /** Whether the prior is on its weight: not on scales, nor on tables. */
  readonly decays: boolean;
}

const layers: readonly Layer[] = (
  [
    [[dense], true, { outputsFirst: false, hasBias: true }],
    [[scaleAndShift], false, { outputsFirst: false, hasBias: true }],
    [[convolution], true, { outputsFirst: true, hasBias: true }],
    [[embedding], false, { outputsFirst: false, hasBias: false }],
    [[embedding, dense], true, { outputsFirst: false, hasBias: false }],
  ] as const
).map(([kinds, decays, layout], i) => ({
  block: blockOf(`layer${i}`, kinds, { inputs: 3, outputs: 2, layout }),
  layout,
  decays,
}));

const source = random(90, 'prior');
const drawn = (): Matrix[] => layers.map(({ layout }) => randomMatrix(source, 3 + Number(layout.hasBias), 2));
const [weights, gradient, x, y] = [drawn(), drawn(), drawn(), drawn()] as const;
const precision = 0.37;

/** ½·s·Σw² over the weights that decay, biases left out. */
const energy = (at: readonly Matrix[]): number =>
  layers.reduce((sum, { decays }, i) => {
    const squares = [...(at[i]?.data ?? [])].slice(0, 6).map((w) => w ** 2); // a bias is the last row
    return decays ? sum + (precision / 2) * squares.reduce((total, square) => total + square, 0) : sum;
  }, 0);

const along = (at: readonly Matrix[], step: readonly Matrix[], offset: number): Matrix[] =>
  at.map((part, i) => plus(part, scaled(step[i] ?? part, offset)));

const tensorsOf = (b: FedBuilder, matrices: readonly Matrix[]): LayerTensor[] =>
  layers.map(({ layout }, i) => layerTensorOf(b, matrices[i] as Matrix, layout)); // one a layer

/** Each layer with its prior, if its weights decay. */
const priorsOf = (b: FedBuilder) =>
  tensorsOf(b, weights).map((distance, i) => {
    const { block } = layers[i] as Layer; // one a tensor
    return block.decays ? { prior: new Prior(distance, b.given([], [precision])) } : {};
  });

test('the gradient is that of likelihood and prior together', async () => {
  const b = new FedBuilder();
  const priors = priorsOf(b);
  expect(priors.map(({ prior }) => prior !== undefined)).toEqual(layers.map((layer) => layer.decays));
  const added = tensorsOf(b, gradient).map((own, i) => priors[i]?.prior?.addedTo(b, own) ?? own);
  const sums = await b.matrices(Object.fromEntries(added.map((tensor, i) => [`layer${i}`, joinedOf(b, tensor)])));
  for (const [k, part] of weights.entries()) {
    const slopes = generate(part.rows, part.columns, (i, j) => {
      const unit = weights.map((w, other) =>
        generate(w.rows, w.columns, (r, c) => Number(other === k && r === i && c === j)),
      );
      return (energy(along(weights, unit, 0.5)) - energy(along(weights, unit, -0.5))) / 1; // exact: it is quadratic
    });
    const sum = sums[`layer${k}`] ?? part;
    const own = gradient[k] ?? part;
    if (layers[k]?.decays) expect(relativeError(minus(sum, own), slopes)).toBeLessThan(1e-12);
    else expect(sum).toEqual(own);
  }
});

test('product and change are those of its Hessian', async () => {
  const b = new FedBuilder();
  const [u, v] = [tensorsOf(b, x), tensorsOf(b, y)];
  const blocks = priorsOf(b).map((each, i) => ({ ...each, x: u[i] as LayerTensor, y: v[i] as LayerTensor }));
  const scalar = async (value: Value | undefined) => (value ? (await b.compute({ value })).value[0] : undefined);
  const mixed = (energy(along(x, y, 1)) - energy(along(x, y, -1))) / 2; // xᵀHy of ½·xᵀHx
  const product = priorProduct(
    b,
    blocks,
    (block) => block.x,
    (block) => block.y,
  );
  expect(await scalar(product)).toBeCloseTo(mixed, 12);
  const change = energy(along(weights, x, 1)) - energy(weights);
  const stepped = priorChangeOf(
    b,
    blocks.map((block) => ({ ...block, step: block.x })),
  );
  expect(await scalar(stepped)).toBeCloseTo(change, 12);
  expect(Math.abs(change)).toBeGreaterThan(0.1);
});

test.each([
  ['p/N', 2, 100, 2 / 100],
  ['nothing if p is 0', 0, 100, 0],
  ['nothing if so many examples say more', 0.99, 10_000, 0],
  ['something up to there', 1, 10_000, 1e-4],
])('its strength is %s', (_what, precision, examples, expected) => {
  expect(priorStrength(precision, { examples })).toBeCloseTo(expected, 12);
});

test('its variance is that of initial weights, and twice as much for a categorical likelihood', () => {
  const categorical = lossNames.filter((name) => precisionPerInput({ loss: lossOf(name) }) === 1 / 4);
  expect(categorical).toEqual(['softmax-cross-entropy']);
  expect(precisionPerInput({ loss: crossEntropy({ labelSmoothing: 0.1 }) })).toBe(1 / 4);
  for (const name of ['mean-squared-error', 'sigmoid-cross-entropy', 'focal']) {
    expect(precisionPerInput({ loss: lossOf(name) })).toBe(1 / 2);
  }
});

test('weights that may be trained already are drawn to themselves, fresh ones to half of themselves', () => {
  expect(priorMean({ isPretrained: true })).toBe(1);
  expect(priorMean({ isPretrained: false })).toBe(0.5);
});
