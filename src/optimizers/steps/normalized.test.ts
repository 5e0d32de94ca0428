// Normalized steps against dense natural gradients by hand, and what they do not depend on.
import { describe, expect, test } from 'vitest';
import type { Numbers } from '../../../test/support/declared-step.js';
import {
  at,
  generate,
  inverted,
  kronecker,
  type Matrix,
  matrixOf,
  minus,
  multiplied,
  norm,
  plus,
  relativeError,
  scaled,
  shifted,
  solved,
  trace,
  vectorized,
} from '../../../test/support/dense.js';
import {
  curvatureByHand,
  denseNetwork,
  type Examples,
  examplesFor,
  type Factors,
} from '../../../test/support/dense-network.js';
import { type Layout, layouts } from '../../../test/support/layer-tensors.js';
import { signs, stepOnce } from '../../../test/support/optimizer-step.js';
import { empirical } from '../../curvature/fisher.js';
import { random } from '../../random.js';
import { byResidual } from '../../solvers/stopping.js';
import type { Optimizer } from '../optimizer.js';
import { cgfac } from '../second-order/cgfac.js';
import { sketches } from '../second-order/factors.js';
import { kfac } from '../second-order/kfac.js';
import { primal } from '../second-order/primal.js';
import { tikhonov } from '../second-order/tikhonov.js';
import { normalized } from './normalized.js';

const loss = 'softmax-cross-entropy';
const [epsilon, momentum, weightDecay] = [0.2, 0.8, 0.03];
const rates = (step: number): number => 0.05 / (step + 1);
const options = {
  step: normalized({ learningRate: rates, damping: epsilon, momentum, weightDecay }),
  fisher: empirical(),
};
const ofBatch = (rank: number) => sketches({ rank, decay: 0 });
const converged = { stopping: byResidual({ tolerance: 1e-14 }), maxIterations: 400 };

const meanEigenvalue = (x: Matrix): number => trace(x) / x.rows;
/** A layer after weight decay: its bias, the last row, has none. */
const decayed = (layer: Matrix, { hasBias }: Layout, rate: number): Matrix =>
  generate(layer.rows, layer.columns, (i, j) =>
    hasBias && i === layer.rows - 1 ? at(layer, i, j) : at(layer, i, j) * (1 - rate * weightDecay),
  );

/** Both sides are damped by √ε times their own mean eigenvalue. */
function byFactors(v: Matrix, { a, g }: Factors): Matrix {
  const [left, right] = [a, g].map((x) => inverted(shifted(x, Math.sqrt(epsilon) * meanEigenvalue(x))));
  return multiplied(left ?? v, v, right ?? v);
}

const byTikhonov = (v: Matrix, { a, g }: Factors): Matrix =>
  matrixOf(
    v.rows,
    v.columns,
    solved(shifted(kronecker(a, g), epsilon * meanEigenvalue(a) * meanEigenvalue(g)), vectorized(v)).data,
  );

const forms: readonly (readonly [string, Optimizer, typeof byFactors])[] = [
  ['Gram space of all rows', cgfac({ ...options, factors: ofBatch(4) }), byFactors],
  ['dense sides', cgfac({ ...options, factors: ofBatch(20) }), byFactors],
  [
    'Tikhonov damping',
    cgfac({ ...options, factors: ofBatch(5), damping: tikhonov({ ...converged, shrinkage: 0 }) }),
    byTikhonov,
  ],
  ['the primal form', cgfac({ ...options, damping: primal(converged) }), byTikhonov],
];

describe.each(layouts.slice(1, 3))('outputs first: $outputsFirst, bias: $hasBias', (layout) => {
  const start = denseNetwork([6, 5, 5, 3], { ...layout, activation: 'tanh', seed: 80 });

  test.each(forms)(
    '%s: natural gradients of the averaged gradient, of given length',
    async (_name, optimizer, form) => {
      const source = random(81);
      let network = start;
      let state: Numbers = {};
      let average = network.layers.map((layer) => scaled(layer, 0));
      for (let step = 0; step < 3; step++) {
        const examples = examplesFor(network, loss, 4, source);
        const noise = signs(step);
        const outcome = await stepOnce({ network, loss, examples, optimizer, step, state, noise });
        const layers = curvatureByHand(network, loss, examples);
        average = average.map((old, i) =>
          plus(scaled(old, momentum), scaled(layers[i]?.gradient ?? old, 1 - momentum)),
        );
        for (const [i, factors] of layers.entries()) {
          const [before, after] = [network.layers[i] ?? factors.a, outcome.network.layers[i] ?? factors.a];
          const moved = minus(after, decayed(before, layout, rates(step)));
          expect(norm(moved) / Math.sqrt(moved.data.length)).toBeCloseTo(rates(step), 10);
          const direction = form(average[i] ?? factors.gradient, factors);
          expect(relativeError(moved, scaled(direction, -norm(moved) / norm(direction)))).toBeLessThan(1e-9);
        }
        expect(outcome.diagnostics).toMatchObject({ learningRate: rates(step), damping: epsilon });
        ({ network, state } = outcome);
      }
    },
  );
});

// Inputs c times as large, first weights 1/c of theirs: the same function, gradients c times as large and A c² times.
test.each([cgfac({ ...options, factors: ofBatch(128) }), kfac(options)])(
  '$name: steps do not depend on the scale of the inputs',
  async (optimizer) => {
    const network = denseNetwork([6, 5, 3], { outputsFirst: false, hasBias: false, activation: 'tanh', seed: 82 });
    const examples = examplesFor(network, loss, 4, random(83));
    const [first, ...others] = network.layers;
    if (!first) throw new Error('the network has layers');
    const moved = async (scale: number): Promise<readonly Matrix[]> => {
      const layers = [scaled(first, 1 / scale), ...others];
      const given: Examples = { ...examples, inputs: scaled(examples.inputs, scale) };
      const noise = signs(0);
      const at = { ...network, layers };
      const outcome = await stepOnce({ network: at, loss, examples: given, optimizer, step: 0, noise });
      return outcome.network.layers.map((layer, i) =>
        minus(layer, scaled(layers[i] ?? layer, 1 - rates(0) * weightDecay)),
      );
    };
    const [small, large] = [await moved(1e-3), await moved(1e3)];
    for (const [i, step] of small.entries()) expect(relativeError(large[i] ?? step, step)).toBeLessThan(1e-9);
  },
);

test('a layer without gradient stays where it is, and nothing becomes infinite', async () => {
  const network = denseNetwork([4, 5, 3], { outputsFirst: true, hasBias: true, activation: 'tanh', seed: 84 });
  const [first, last] = network.layers;
  if (!first || !last) throw new Error('the network has two layers');
  const optimizer = cgfac({ step: normalized({ weightDecay: 0 }), fisher: empirical() });
  const outcome = await stepOnce({
    network: { ...network, layers: [first, scaled(last, 0)] },
    loss,
    examples: examplesFor(network, loss, 4, random(85)),
    optimizer,
    step: 0,
    noise: signs(0),
  });
  expect(outcome.network.layers[0]).toEqual(first);
  expect(outcome.network.layers[1]?.data.every((x) => Number.isFinite(x) && x !== 0)).toBe(true);
});
