// Dampings in eigenbases, against dense matrices: E-KFAC's diagonal is the nearest one, any power of the curvature, and bases
// that follow a large factor.
import { describe, expect, test } from 'vitest';
import { symmetricEigen } from '../../../test/support/damped-oracle.js';
import type { Numbers } from '../../../test/support/declared-step.js';
import {
  at,
  generate,
  kronecker,
  type Matrix,
  matrixOf,
  minus,
  multiplied,
  norm,
  relativeError,
  scaled,
  shifted,
  solved,
  transposed,
  vectorized,
} from '../../../test/support/dense.js';
import {
  backwardByHand,
  curvatureByHand,
  type DenseNetwork,
  denseNetwork,
  type Examples,
  examplesFor,
  forwardByHand,
  outputCotangent,
} from '../../../test/support/dense-network.js';
import { layouts } from '../../../test/support/layer-tensors.js';
import { stepOnce } from '../../../test/support/optimizer-step.js';
import { empirical, inputOnly } from '../../curvature/fisher.js';
import { random } from '../../random.js';
import { scheduled } from '../steps/scheduled.js';
import { cgfac } from './cgfac.js';
import { eigenCorrected, eigenvalues } from './eigen-damping.js';
import { dense, sketches } from './factors.js';
import { kfac } from './kfac.js';
import { gradientMoments } from './moments.js';

const loss = 'softmax-cross-entropy';
const [damping, rate] = [0.07, 0.3];
const bare = {
  step: scheduled({ learningRate: rate, momentum: 0, klClip: 0, damping }),
  fisher: empirical(),
  factors: dense({ decay: 0 }),
};

/** The gradients of the examples of each layer, `[examples, order]`, scaled so that the Fisher matrix is JᵀJ. */
function examplesByHand(network: DenseNetwork, { inputs, targets }: Examples): Matrix[] {
  const { activations, output } = forwardByHand(network, inputs);
  const gradients = backwardByHand(network, activations, outputCotangent(loss, output, targets));
  return gradients.map((g, layer) => {
    const a = activations[layer] ?? g;
    const root = Math.sqrt(a.rows);
    return generate(
      a.rows,
      a.columns * g.columns,
      (n, k) => (at(a, n, Math.floor(k / g.columns)) * at(g, n, k % g.columns)) / root,
    );
  });
}

/** The orthogonal matrix Q_A ⊗ Q_G of a layer. */
const basisOf = ({ a, g }: { readonly a: Matrix; readonly g: Matrix }): Matrix =>
  kronecker(symmetricEigen(a).vectors, symmetricEigen(g).vectors);

const diagonalOf = (x: Matrix): Matrix => generate(x.rows, x.rows, (i, j) => (i === j ? at(x, i, i) : 0));

/** Q·D·Qᵀ with the diagonal of QᵀFQ. */
const corrected = (whole: Matrix, basis: Matrix): Matrix =>
  multiplied(basis, diagonalOf(multiplied(transposed(basis), whole, basis)), transposed(basis));

const directionOf = (matrix: Matrix, gradient: Matrix): Matrix =>
  matrixOf(gradient.rows, gradient.columns, solved(shifted(matrix, damping), vectorized(gradient)).data);

describe.each(layouts)('outputs first: $outputsFirst, bias: $hasBias', (layout) => {
  const network = denseNetwork([4, 3, 2], { ...layout, activation: 'tanh', seed: 60 });
  const examples = examplesFor(network, loss, 7, random(61));
  const layers = curvatureByHand(network, loss, examples).map((layer, i) => {
    const j = examplesByHand(network, examples)[i] ?? layer.a;
    return { ...layer, j, whole: multiplied(transposed(j), j), basis: basisOf(layer) };
  });
  const moves = async (optimizer: ReturnType<typeof kfac>) => {
    const outcome = await stepOnce({ network, loss, examples, optimizer, step: 0 });
    return network.layers.map((layer, i) => scaled(minus(outcome.network.layers[i] ?? layer, layer), -1 / rate));
  };

  test('E-KFAC: the natural gradient of the nearest diagonal in the eigenbases', async () => {
    const moved = await moves(kfac({ ...bare, damping: eigenCorrected({ interval: 1, decay: 0 }) }));
    for (const [i, { gradient, whole, basis, a, g }] of layers.entries()) {
      const nearest = corrected(whole, basis);
      expect(relativeError(moved[i] ?? gradient, directionOf(nearest, gradient))).toBeLessThan(1e-10);
      // Every other diagonal is farther from the Fisher matrix in the Frobenius norm, that of K-FAC as well.
      const distance = norm(minus(whole, nearest));
      expect(distance).toBeLessThan(norm(minus(whole, kronecker(a, g))));
      const source = random(62);
      for (let trial = 0; trial < 5; trial++) {
        const shift = diagonalOf(generate(whole.rows, whole.rows, () => 0.01 * source.normal()));
        const other = minus(nearest, multiplied(basis, shift, transposed(basis)));
        // Pythagoras: the residual of the projection is orthogonal to all diagonals.
        const expected = Math.hypot(distance, norm(shift));
        expect(Math.abs(norm(minus(whole, other)) - expected)).toBeLessThan(1e-10 * expected);
      }
    }
  });

  test('moments of the sum of the examples’ gradients', async () => {
    const moments = gradientMoments();
    const moved = await moves(kfac({ ...bare, damping: eigenCorrected({ interval: 1, decay: 0, moments }) }));
    for (const [i, { gradient, j, basis }] of layers.entries()) {
      const sum = generate(1, j.columns, (_, k) => {
        let total = 0;
        for (let n = 0; n < j.rows; n++) total += at(j, n, k);
        return total;
      });
      const seen = multiplied(sum, basis);
      const squares = generate(j.columns, j.columns, (p, q) => (p === q ? at(seen, 0, p) ** 2 : 0));
      const matrix = multiplied(basis, squares, transposed(basis));
      expect(relativeError(moved[i] ?? gradient, directionOf(matrix, gradient))).toBeLessThan(1e-9);
    }
  });

  test.each([-1, -0.5, -0.25, -1.5])('the power %d of the damped product', async (power) => {
    const moved = await moves(kfac({ ...bare, damping: eigenvalues({ interval: 1, power }) }));
    for (const [i, { gradient, a, g }] of layers.entries()) {
      const { values, vectors } = symmetricEigen(kronecker(a, g));
      const powers = generate(values.length, values.length, (p, q) =>
        p === q ? (Math.max(0, values[p] ?? 0) + damping) ** power : 0,
      );
      const matrix = multiplied(vectors, powers, transposed(vectors));
      const expected = multiplied(matrix, vectorized(gradient));
      expect(relativeError(vectorized(moved[i] ?? gradient), expected)).toBeLessThan(1e-10);
    }
  });
});

test('moments are averaged between renewals, and begin with the products of eigenvalues at each', async () => {
  const network = denseNetwork([3, 2], { outputsFirst: false, hasBias: true, activation: 'tanh', seed: 63 });
  const optimizer = kfac({ ...bare, damping: eigenCorrected({ interval: 3, burnIn: 1, decay: 0.75 }) });
  const source = random(64);
  let state: Numbers = {};
  let [moments, basis] = [generate(0, 0, () => 0), generate(0, 0, () => 0)];
  const name = 'layer0.weight';
  for (let step = 0; step < 5; step++) {
    const examples = examplesFor(network, loss, 5, source);
    const outcome = await stepOnce({ network, loss, examples, optimizer, step, state });
    const [factors] = curvatureByHand(network, loss, examples);
    const [j] = examplesByHand(network, examples);
    if (!factors || !j) throw new Error('one layer');
    const square = (key: string, order: number) => matrixOf(order, order, outcome.state[key] ?? []);
    const held = kronecker(square(`eigenvectors.A.${name}`, 4), square(`eigenvectors.G.${name}`, 2));
    const seen = multiplied(j, held);
    const fresh = generate(1, seen.columns, (_, k) => at(multiplied(transposed(seen), seen), k, k));
    if (step % 3 === 0) {
      basis = held;
      const rotated = multiplied(transposed(held), kronecker(factors.a, factors.g), held);
      expect(relativeError(rotated, diagonalOf(rotated))).toBeLessThan(1e-12);
      moments = generate(1, seen.columns, (_, k) => at(rotated, k, k));
    }
    expect(held).toEqual(basis);
    moments = generate(1, seen.columns, (_, k) => 0.75 * at(moments, 0, k) + 0.25 * at(fresh, 0, k));
    expect(relativeError(matrixOf(1, 8, outcome.state[`moments.${name}`] ?? []), moments)).toBeLessThan(1e-10);
    ({ state } = outcome);
  }
});

test('a basis of more than 256 rows follows its factor by orthogonal iteration', async () => {
  const network = denseNetwork([260, 2], { outputsFirst: false, hasBias: false, activation: 'tanh', seed: 65 });
  const optimizer = kfac({ ...bare, damping: eigenvalues({ interval: 2, burnIn: 1 }) });
  const examples = examplesFor(network, loss, 3, random(66));
  const [factors] = curvatureByHand(network, loss, examples);
  if (!factors) throw new Error('one layer');
  // A and G have few eigenvalues above 0: by Woodbury the exact direction is that of the tikhonov damping.
  const left = symmetricEigen(factors.g);
  const seen = multiplied(factors.gradient, left.vectors);
  const columns = [0, 1].map((k) => {
    const column = generate(260, 1, (i) => at(seen, i, k));
    return solved(shifted(scaled(factors.a, Math.max(0, left.values[k] ?? 0)), damping), column);
  });
  const expected = multiplied(
    generate(260, 2, (i, k) => at(columns[k] ?? seen, i, 0)),
    transposed(left.vectors),
  );
  let state: Numbers = {};
  const errors: number[] = [];
  for (const step of [0, 2]) {
    const outcome = await stepOnce({ network, loss, examples, optimizer, step, state });
    const [before, after] = [network.layers[0], outcome.network.layers[0]];
    if (!before || !after) throw new Error('one layer');
    errors.push(relativeError(scaled(minus(after, before), -1 / rate), expected));
    ({ state } = outcome);
  }
  expect(errors[0]).toBeLessThan(0.05); // after 20 iterations
  expect(errors[1]).toBeLessThan(errors[0] ?? 0);
});

test('refusals', async () => {
  expect(() => eigenvalues({ power: 0 })).toThrow('power is 0');
  expect(() => eigenvalues({ interval: 0 })).toThrow('interval is 0');
  expect(() => eigenCorrected({ decay: 1 })).toThrow('decay is 1');
  expect(() => eigenCorrected({ moments: 'gradient' as unknown as ReturnType<typeof gradientMoments> })).toThrow(
    'moments is',
  );
  const wrong = { damping: eigenvalues(), factors: sketches() } as object;
  expect(() => cgfac(wrong)).toThrow('factors are sketches(); eigenvalues() damping needs the factors themselves');
  const idle = { damping: eigenvalues(), factors: dense({ inverseInterval: 3 }) } as object;
  expect(() => kfac(idle)).toThrow('inverseInterval has no effect: eigenvalues() damping keeps no inverses');
  const network = denseNetwork([3, 2], { outputsFirst: false, hasBias: true, activation: 'tanh', seed: 63 });
  const examples = examplesFor(network, loss, 5, random(64));
  const optimizer = cgfac({ damping: eigenCorrected(), fisher: inputOnly() });
  await expect(stepOnce({ network, loss, examples, optimizer, step: 0 })).rejects.toThrow(
    'eigenCorrected() measures gradients of examples, and the fisher measures inputs alone: use eigenvalues()',
  );
});
