// Exact natural gradients against dense (JᵀJ + λI)⁻¹∇ of gradients by hand, of the whole network and of each layer.
import { describe, expect, test } from 'vitest';
import type { Numbers } from '../../../test/support/declared-step.js';
import {
  minus,
  multiplied,
  relativeError,
  rowsOf,
  scaled,
  shifted,
  solved,
  trace,
  transposed,
} from '../../../test/support/dense.js';
import { denseNetwork, type Examples, examplesFor } from '../../../test/support/dense-network.js';
import { layouts } from '../../../test/support/layer-tensors.js';
import { stepOnce } from '../../../test/support/optimizer-step.js';
import { coupled, fisherByHand, flat } from '../../../test/support/whole-network.js';
import { empirical, exact, type Fisher } from '../../curvature/fisher.js';
import type { LossWord } from '../../losses/index.js';
import { random } from '../../random.js';
import { normalized } from '../steps/normalized.js';
import { scheduled } from '../steps/scheduled.js';
import { type Coupling, eachLayer, wholeNetwork } from './khatri-rao.js';
import { naturalGradient } from './natural-gradient.js';

const rate = 0.3;
const damping = 0.07;
const sizes = [4, 3, 3, 2];

const lastTwo: Coupling = {
  name: 'the last two layers',
  systems: (blocks) => [...blocks.slice(0, -2).map((block) => [block]), blocks.slice(-2)],
};
const couplings: readonly (readonly [string, Coupling, readonly number[]])[] = [
  ['whole network', wholeNetwork(), [3]],
  ['each layer', eachLayer(), [1, 1, 1]],
  ['the last two layers', lastTwo, [1, 2]],
];
const fishers = [
  ['exact', exact()],
  ['empirical', empirical()],
] as const;
/** Of the mean negative log-likelihood by the reported mean, for two outputs. */
const scales: readonly (readonly [LossWord, number])[] = [
  ['softmax-cross-entropy', 1],
  ['sigmoid-cross-entropy', 2],
  ['mean-squared-error', 1],
];

describe.each(couplings)('%s', (_name, coupling, together) => {
  test.each(scales)('%s: two steps are (F + λI)⁻¹∇ of the dense matrix', async (loss, scale) => {
    for (const [kind, fisher] of fishers) {
      for (const layout of layouts.slice(1, 3)) {
        const source = random(61, loss);
        let network = denseNetwork(sizes, { ...layout, activation: 'tanh', seed: 60 });
        let state: Numbers = {};
        for (let step = 0; step < 2; step++) {
          const examples = examplesFor(network, loss, 6, source);
          const outcome = await stepOnce({
            ...{ network, loss, examples, step, state },
            optimizer: naturalGradient({
              step: scheduled({ learningRate: rate, momentum: 0, klClip: 0, damping }),
              ...{ coupling, fisher },
            }),
          });
          const whole = fisherByHand(network, loss, examples, kind);
          const matrix = coupled(whole, network, together);
          const expected = scaled(solved(shifted(matrix, damping), scaled(flat(outcome.gradients), scale)), -rate);
          const moved = minus(flat(outcome.network.layers), flat(network.layers));
          expect(relativeError(moved, expected)).toBeLessThan(1e-10);
          // The interactions of layers matter here.
          const alone = coupled(whole, network, [1, 1, 1]);
          const block = scaled(solved(shifted(alone, damping), scaled(flat(outcome.gradients), scale)), -rate);
          if (together.length < 3) expect(relativeError(moved, block)).toBeGreaterThan(1e-3);
          ({ network, state } = outcome);
        }
      }
    }
  });
});

test('relative damping is in units of the mean eigenvalue of the whole matrix', async () => {
  const loss = 'softmax-cross-entropy';
  const network = denseNetwork(sizes, { outputsFirst: false, hasBias: true, activation: 'tanh', seed: 62 });
  const examples = examplesFor(network, loss, 5, random(63));
  const optimizer = naturalGradient({
    step: normalized({ learningRate: rate, damping: 0.2, momentum: 0, weightDecay: 0 }),
    fisher: empirical(),
  });
  const outcome = await stepOnce({ network, loss, examples, optimizer, step: 0 });
  const matrix = fisherByHand(network, loss, examples, 'empirical');
  const lambda = (0.2 * trace(matrix)) / matrix.rows;
  const direction = solved(shifted(matrix, lambda), flat(outcome.gradients));
  let from = 0;
  for (const [i, layer] of network.layers.entries()) {
    const own = rowsOf(direction, from, from + layer.data.length);
    const rms = Math.sqrt(multiplied(transposed(own), own).data.reduce((sum, x) => sum + x, 0) / own.rows);
    const moved = minus(flat([outcome.network.layers[i] ?? layer]), flat([layer]));
    expect(relativeError(moved, scaled(own, -rate / rms))).toBeLessThan(1e-10);
    from += layer.data.length;
  }
});

test('several samples are further rows; the curvature of some examples is that of the first ones', async () => {
  const loss = 'mean-squared-error';
  const network = denseNetwork(sizes, { outputsFirst: false, hasBias: true, activation: 'tanh', seed: 64 });
  const examples = examplesFor(network, loss, 6, random(65));
  const first: Examples = { inputs: rowsOf(examples.inputs, 0, 3), targets: examples.targets.slice(0, 6) };
  const twice: Fisher = {
    name: 'the targets of the data, twice',
    cotangents(input) {
      const [only] = empirical().cotangents(input);
      return only ? [only, input.b.mul(only, 2)] : [];
    },
  };
  const optimizer = naturalGradient({
    step: scheduled({ learningRate: rate, momentum: 0, klClip: 0, damping }),
    ...{ fisher: twice, curvatureRows: 3 },
  });
  const outcome = await stepOnce({ network, loss, examples, optimizer, step: 0 });
  const matrix = scaled(fisherByHand(network, loss, first, 'empirical'), 5);
  const expected = scaled(solved(shifted(matrix, damping), flat(outcome.gradients)), -rate);
  expect(relativeError(minus(flat(outcome.network.layers), flat(network.layers)), expected)).toBeLessThan(1e-10);
});

test('a coupling that leaves a block out is refused', async () => {
  const loss = 'softmax-cross-entropy';
  const network = denseNetwork(sizes, { outputsFirst: false, hasBias: true, activation: 'tanh', seed: 64 });
  const examples = examplesFor(network, loss, 4, random(65));
  const coupling: Coupling = { name: 'the last', systems: (blocks) => [blocks.slice(-1)] };
  const optimizer = naturalGradient({ coupling, fisher: empirical() });
  await expect(stepOnce({ network, loss, examples, optimizer, step: 0 })).rejects.toThrow(
    "coupling 'the last' has no system with the block of 'layer0.weight'",
  );
});
