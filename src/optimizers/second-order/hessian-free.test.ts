// Hessian-free steps against dense (F + λI)⁻¹∇ of the exact Gauss–Newton matrix, and against the exact natural gradient.
import { describe, expect, test } from 'vitest';
import type { Numbers } from '../../../test/support/declared-step.js';
import { at, generate, minus, relativeError, rowsOf, scaled, shifted, solved } from '../../../test/support/dense.js';
import { denseNetwork, type Examples, examplesFor } from '../../../test/support/dense-network.js';
import { layouts } from '../../../test/support/layer-tensors.js';
import { stepOnce } from '../../../test/support/optimizer-step.js';
import { manyExamples } from '../../../test/support/setting.js';
import { fisherByHand, flat } from '../../../test/support/whole-network.js';
import { empirical, exact } from '../../curvature/fisher.js';
import type { LossWord } from '../../losses/index.js';
import { random } from '../../random.js';
import { byResidual } from '../../solvers/stopping.js';
import { scheduled } from '../steps/scheduled.js';
import { selfTuning } from '../steps/self-tuning.js';
import { dense, sketches } from './factors.js';
import { hessianFree } from './hessian-free.js';
import { naturalGradient } from './natural-gradient.js';

const rate = 0.3;
const damping = 0.07;
const step = scheduled({ learningRate: rate, momentum: 0, klClip: 0, damping });
const converged = { maxIterations: 300, stopping: byResidual({ tolerance: 1e-13 }) };
/** Targets are drawn for the units of the damping, which is absolute here. */
const noise = (_name: string, dims: readonly number[]): number[] =>
  Array.from(
    { length: dims.reduce((product, size) => product * size, 1) },
    (_, i) => 0.1 + (0.8 * ((i * 7) % 11)) / 11,
  );
/** Of the mean negative log-likelihood by the reported mean, for two outputs. */
const scales: readonly (readonly [LossWord, number])[] = [
  ['softmax-cross-entropy', 1],
  ['sigmoid-cross-entropy', 2],
  ['mean-squared-error', 1],
];

describe.each(scales)('%s', (loss, scale) => {
  test.each([
    ['cold', { warmStart: false }],
    ['warm', { warmStart: true }],
    ['preconditioned', { warmStart: false, preconditioner: dense({ decay: 0 }), fisher: empirical() }],
  ])('converged, two steps are (F + λI)⁻¹∇ of the dense matrix: %s', async (_name, own) => {
    const { warmStart } = own;
    const optimizer = hessianFree({ step, ...converged, ...own, curvatureRows: 4 });
    const source = random(91, loss);
    let network = denseNetwork([4, 3, 3, 2], {
      ...{ outputsFirst: false, hasBias: true, ...layouts[warmStart ? 1 : 2] },
      ...{ activation: 'tanh', seed: 90 },
    });
    let state: Numbers = {};
    for (let k = 0; k < 2; k++) {
      const examples = examplesFor(network, loss, 6, source);
      const outcome = await stepOnce({ network, loss, examples, optimizer, step: k, state, noise });
      const perExample = examples.targets.length / 6;
      const sample: Examples = {
        inputs: rowsOf(examples.inputs, 0, 4),
        targets: examples.targets.slice(0, 4 * perExample),
      };
      const matrix = shifted(fisherByHand(network, loss, sample, 'exact'), damping);
      const expected = scaled(solved(matrix, scaled(flat(outcome.gradients), scale)), -rate);
      const moved = minus(flat(outcome.network.layers), flat(network.layers));
      expect(relativeError(moved, expected)).toBeLessThan(1e-10);
      expect(outcome.diagnostics.residual).toBeLessThan(1e-13);
      ({ network, state } = outcome);
    }
    expect(Object.keys(state).some((name) => name.startsWith('solution.'))).toBe(warmStart);
  });
});

test('for squared error it is the exact natural gradient of the exact Fisher matrix', async () => {
  const loss = 'mean-squared-error';
  const network = denseNetwork([4, 3, 3, 2], { outputsFirst: false, hasBias: true, activation: 'tanh', seed: 92 });
  const examples = examplesFor(network, loss, 6, random(93));
  const [free, natural] = await Promise.all(
    [hessianFree({ step, ...converged }), naturalGradient({ step, fisher: exact() })].map((optimizer) =>
      stepOnce({ network, loss, examples, optimizer, step: 0, noise }),
    ),
  );
  const moved = [free, natural].map((outcome) => minus(flat(outcome?.network.layers ?? []), flat(network.layers)));
  expect(relativeError(moved[0] ?? flat([]), moved[1] ?? flat([]))).toBeLessThan(1e-10);
});

test.each(['softmax-cross-entropy', 'mean-squared-error'] as const)(
  'converged, self-tuning steps go all the way along it, without momentum, and the prior belongs to the system: %s',
  async (loss) => {
    const optimizer = hessianFree({ ...converged, step: selfTuning({ damping: 5 }), curvatureRows: 4 });
    const about = { ...manyExamples(loss), examples: 50 };
    const source = random(97, loss);
    let network = denseNetwork([4, 3, 2], { outputsFirst: false, hasBias: true, activation: 'tanh', seed: 96 });
    let state: Numbers = {};
    for (let k = 0; k < 2; k++) {
      const examples = examplesFor(network, loss, 6, source);
      const outcome = await stepOnce({ network, loss, examples, optimizer, about, step: k, state, noise });
      expect(outcome.diagnostics.learningRate).toBeCloseTo(1, 10);
      expect(outcome.diagnostics.momentum).toBeCloseTo(0, 10);
      ({ network, state } = outcome);
    }
  },
);

test('a warm start saves iterations', async () => {
  const loss = 'softmax-cross-entropy';
  const network = denseNetwork([4, 3, 3, 2], { outputsFirst: false, hasBias: true, activation: 'tanh', seed: 94 });
  const examples = examplesFor(network, loss, 6, random(95));
  const optimizer = hessianFree({ step, maxIterations: 100, stopping: byResidual({ tolerance: 1e-6 }) });
  const first = await stepOnce({ network, loss, examples, optimizer, step: 0, noise });
  // The same system again: the solution is there.
  const { state } = first;
  const again = await stepOnce({ network, loss, examples, optimizer, step: 1, state, noise });
  expect(first.diagnostics.iterations).toBeGreaterThan(3);
  expect(again.diagnostics.iterations).toBe(0);
});

test('Kronecker factors precondition: where they are exact, but for their damping, few iterations are left', async () => {
  const loss = 'mean-squared-error';
  const network = denseNetwork([20, 2], { outputsFirst: false, hasBias: true, activation: 'tanh', seed: 98 });
  const { inputs, targets } = examplesFor(network, loss, 40, random(99));
  const examples = { inputs: generate(40, 20, (i, j) => at(inputs, i, j) * 1.2 ** j), targets };
  const small = { step: scheduled({ learningRate: rate, momentum: 0, klClip: 0, damping: 1e-6 }), warmStart: false };
  const solve = { maxIterations: 200, stopping: byResidual({ tolerance: 1e-5 }) };
  const [plain = 0, preconditioned = 0] = await Promise.all(
    [
      hessianFree({ ...small, ...solve }),
      hessianFree({ ...small, ...solve, preconditioner: dense({ decay: 0 }), fisher: exact() }),
    ].map(async (optimizer) => {
      const { diagnostics } = await stepOnce({ network, loss, examples, optimizer, step: 0, noise });
      return diagnostics.iterations;
    }),
  );
  expect(plain).toBeGreaterThan(15);
  expect(preconditioned).toBeLessThan(plain / 2);
});

test('options without effect are refused, and its own are not those of a part', () => {
  expect(() => hessianFree({ maxIterations: 0 })).toThrow('maxIterations is 0');
  expect(() => hessianFree({ fisher: exact() })).toThrow('fisher has no effect: the solve has the exact');
  for (const preconditioner of [sketches(), dense({ inverseInterval: 3 })]) {
    expect(() => hessianFree({ preconditioner } as object)).toThrow(
      `preconditioner is ${preconditioner.name}(); it takes whole factors that are inverted in each step`,
    );
  }
  expect(() => hessianFree({ learningRate: 0.1 } as object)).toThrow(
    'learningRate is no option of hessianFree; write hessianFree({ step: scheduled({ learningRate }) })',
  );
});
