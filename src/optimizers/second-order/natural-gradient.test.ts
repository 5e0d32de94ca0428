// Whole steps of cgfac and kfac, every form of them, against dense natural gradients by hand.
import { describe, expect, test } from 'vitest';
import type { Numbers } from '../../../test/support/declared-step.js';
import {
  at,
  generate,
  gram,
  identity,
  inverted,
  kronecker,
  type Matrix,
  matrixOf,
  minus,
  multiplied,
  plus,
  relativeError,
  rowsOf,
  scaled,
  shifted,
  solved,
  trace,
  vectorized,
} from '../../../test/support/dense.js';
import {
  backwardByHand,
  curvatureByHand,
  denseNetwork,
  examplesFor,
  type Factors,
  forwardByHand,
  outputCotangent,
} from '../../../test/support/dense-network.js';
import { layouts } from '../../../test/support/layer-tensors.js';
import { type Snapshots, signs, stepOnce } from '../../../test/support/optimizer-step.js';
import { decayAt } from '../../curvature/factors/moving-average.js';
import { empirical, inputOnly } from '../../curvature/fisher.js';
import { random } from '../../random.js';
import { byResidual } from '../../solvers/stopping.js';
import type { Optimizer } from '../optimizer.js';
import { scheduled } from '../steps/scheduled.js';
import { type CgfacOptions, cgfac } from './cgfac.js';
import { eigenvalues } from './eigen-damping.js';
import { factored } from './factored.js';
import { dense, sketches } from './factors.js';
import { kfac } from './kfac.js';
import { primal } from './primal.js';
import { tikhonov } from './tikhonov.js';

const loss = 'softmax-cross-entropy';
const examplesPerStep = 4;
const damping = 0.07;
const rate = 0.3;
const bare = {
  step: scheduled({ learningRate: rate, momentum: 0, klClip: 0, damping }),
  fisher: empirical(),
};
const converged = { stopping: byResidual({ tolerance: 1e-14 }), maxIterations: 400 };

const byTikhonov = (v: Matrix, { a, g }: Factors): Matrix =>
  matrixOf(v.rows, v.columns, solved(shifted(kronecker(a, g), damping), vectorized(v)).data);

const piOf = ({ a, g }: Factors): number => Math.sqrt(trace(a) / a.rows / (trace(g) / g.rows));

function byFactors(v: Matrix, factors: Factors): Matrix {
  const pi = piOf(factors);
  const left = inverted(shifted(factors.a, pi * Math.sqrt(damping)));
  return multiplied(left, v, inverted(shifted(factors.g, Math.sqrt(damping) / pi)));
}

/** Both factors damped by √λ. */
const byFactorsAlike = (v: Matrix, { a, g }: Factors): Matrix =>
  multiplied(inverted(shifted(a, Math.sqrt(damping))), v, inverted(shifted(g, Math.sqrt(damping))));

/** (A + λI)⁻¹V */
const byInputs = (v: Matrix, { a }: Factors): Matrix => solved(shifted(a, damping), v);
const inputs = { fisher: inputOnly() };

type Direction = (v: Matrix, factors: Factors) => Matrix;
const ofBatch = (rank: number) => sketches({ rank, decay: 0 });
const cgfacForms: readonly (readonly [string, CgfacOptions, Direction])[] = [
  ['primal', { damping: primal(converged) }, byTikhonov],
  ['primal, warm', { damping: primal({ ...converged, warmStart: true }) }, byTikhonov],
  [
    'Gram space of all rows, Tikhonov',
    { factors: ofBatch(4), damping: tikhonov({ ...converged, shrinkage: 0 }) },
    byTikhonov,
  ],
  [
    'some sides dense, Tikhonov',
    { factors: ofBatch(5), damping: tikhonov({ ...converged, shrinkage: 0 }) },
    byTikhonov,
  ],
  [
    'all sides dense, Tikhonov',
    { factors: ofBatch(20), damping: tikhonov({ ...converged, shrinkage: 0 }) },
    byTikhonov,
  ],
  ['Gram space of all rows, factored', { factors: ofBatch(4) }, byFactors],
  ['some sides dense, factored', { factors: ofBatch(5) }, byFactors],
  ['all sides dense, factored', { factors: ofBatch(20) }, byFactors],
  ['dense factors, factored', { factors: dense({ decay: 0 }), damping: factored() }, byFactors],
  ['dense factors, Tikhonov', { factors: dense({ decay: 0 }), damping: tikhonov(converged) }, byTikhonov],
  ['eigenvalues', { factors: dense({ decay: 0 }), damping: eigenvalues({ interval: 1 }) }, byTikhonov],
  [
    'inputs alone, eigenvalues',
    { ...inputs, damping: eigenvalues({ interval: 1 }), factors: dense({ decay: 0 }) },
    byInputs,
  ],
  ['some sides dense, π = 1', { factors: ofBatch(5), damping: factored({ pi: 1 }) }, byFactorsAlike],
  ['inputs alone, primal', { ...inputs, damping: primal(converged) }, byInputs],
  ['inputs alone, Gram space', { ...inputs, factors: ofBatch(4) }, byInputs],
  ['inputs alone, some sides dense', { ...inputs, factors: ofBatch(5) }, byInputs],
  ['inputs alone, Tikhonov', { ...inputs, factors: ofBatch(5), damping: tikhonov(converged) }, byInputs],
];

// The damped solves are tested in all layouts: here one of each kind will do.
describe.each(layouts.slice(1, 3))('outputs first: $outputsFirst, bias: $hasBias', (layout) => {
  const start = denseNetwork([6, 5, 5, 3], { ...layout, activation: 'tanh', seed: 40 });

  test.each(cgfacForms)('cgfac, %s: two steps of this batch’s natural gradient', async (_name, options, direction) => {
    const optimizer = cgfac({ ...bare, ...options });
    const source = random(41);
    let network = start;
    let state: Numbers = {};
    for (let step = 0; step < 2; step++) {
      const examples = examplesFor(network, loss, examplesPerStep, source);
      const outcome = await stepOnce({
        network,
        loss,
        examples,
        optimizer,
        step,
        state,
        noise: signs(step),
      });
      for (const [i, { gradient, ...factors }] of curvatureByHand(network, loss, examples).entries()) {
        const moved = minus(outcome.network.layers[i] ?? gradient, network.layers[i] ?? gradient);
        expect(relativeError(moved, scaled(direction(gradient, factors), -rate))).toBeLessThan(1e-9);
      }
      ({ network, state } = outcome);
    }
  });

  const averaged: readonly (readonly [string, Optimizer, Direction])[] = [
    ['kfac, factored', kfac({ ...bare, factors: dense({ inverseInterval: 1 }) }), byFactors],
    ['kfac, Tikhonov', kfac({ ...bare, damping: tikhonov(converged) }), byTikhonov],
    [
      'kfac, π = 1, kept inverses',
      kfac({ ...bare, damping: factored({ pi: 1 }), factors: dense({ inverseInterval: 1 }) }),
      byFactorsAlike,
    ],
    ['kfac, eigenvalues', kfac({ ...bare, damping: eigenvalues() }), byTikhonov], // renewed in the first three steps
    ['kfac, inputs alone', kfac({ ...bare, ...inputs, factors: dense({ inverseInterval: 1 }) }), byInputs],
    ['cgfac with dense sides, factored', cgfac({ ...bare, factors: sketches({ rank: 20 }) }), byFactors],
    [
      'cgfac with dense sides, Tikhonov',
      cgfac({ ...bare, factors: sketches({ rank: 20 }), damping: tikhonov({ ...converged, shrinkage: 0 }) }),
      byTikhonov,
    ],
    ['cgfac with dense factors', cgfac({ ...bare, factors: dense() }), byFactors],
    ['cgfac with kept inverses', cgfac({ ...bare, factors: dense({ inverseInterval: 7 }) }), byFactors],
  ];

  test.each(averaged)('%s: natural gradients of the exact moving averages', async (_name, optimizer, direction) => {
    const source = random(42);
    let network = start;
    let state: Numbers = {};
    let snapshots: Snapshots = [];
    let averages: Factors[] = network.layers.map(({ rows, columns }) => ({
      a: generate(rows, rows, () => 0),
      g: generate(columns, columns, () => 0),
    }));
    for (let step = 0; step < 2; step++) {
      const examples = examplesFor(network, loss, examplesPerStep, source);
      const outcome = await stepOnce({ network, loss, examples, optimizer, step, state, snapshots });
      const keep = decayAt(step, 0.95);
      const batch = curvatureByHand(network, loss, examples);
      averages = averages.map(({ a, g }, i) => ({
        a: plus(scaled(a, keep), scaled(batch[i]?.a ?? a, 1 - keep)),
        g: plus(scaled(g, keep), scaled(batch[i]?.g ?? g, 1 - keep)),
      }));
      for (const [i, { gradient }] of batch.entries()) {
        const moved = minus(outcome.network.layers[i] ?? gradient, network.layers[i] ?? gradient);
        const expected = scaled(direction(gradient, averages[i] ?? { a: gradient, g: gradient }), -rate);
        expect(relativeError(moved, expected)).toBeLessThan(1e-9);
      }
      ({ network, state, snapshots } = outcome);
    }
  });
});

const layout = { outputsFirst: false, hasBias: true };

test('kfac keeps its inverses between refreshes, each the inverse of its damped factor', async () => {
  const optimizer = kfac({ ...bare, factors: dense({ inverseInterval: 5 }) });
  const source = random(43);
  let network = denseNetwork([4, 3, 2], { ...layout, activation: 'tanh', seed: 44 });
  let state: Numbers = {};
  const square = (numbers: readonly number[] = []): Matrix =>
    matrixOf(Math.sqrt(numbers.length), Math.sqrt(numbers.length), numbers);
  const refreshes: boolean[] = [];
  for (let step = 0; step < 7; step++) {
    const examples = examplesFor(network, loss, examplesPerStep, source);
    const outcome = await stepOnce({ network, loss, examples, optimizer, step, state });
    const name = 'layer0.weight';
    const [a, g] = [square(outcome.state[`A.${name}`]), square(outcome.state[`G.${name}`])];
    const [inverseA, inverseG] = [
      square(outcome.state[`inverse.A.${name}`]),
      square(outcome.state[`inverse.G.${name}`]),
    ];
    const pi = piOf({ a, g });
    const [deltaA, deltaG] = [pi * Math.sqrt(damping), Math.sqrt(damping) / pi];
    // δ(F + δI)⁻¹, which has no scale
    const errors = [
      relativeError(multiplied(inverseA, shifted(a, deltaA)), scaled(identity(a.rows), deltaA)),
      relativeError(multiplied(inverseG, shifted(g, deltaG)), scaled(identity(g.rows), deltaG)),
    ];
    refreshes.push(errors.every((error) => error < 1e-12));
    if (step > 0 && !refreshes[step]) expect(outcome.state[`inverse.A.${name}`]).toEqual(state[`inverse.A.${name}`]);
    ({ network, state } = outcome);
  }
  expect(refreshes).toEqual([true, true, true, false, false, true, false]);
});

test('cgfac’s sketches follow their recurrence, with signs of their own for each side', async () => {
  const [rank, examplesInCurvature] = [3, 6];
  const optimizer = cgfac({ ...bare, factors: sketches({ rank }), curvatureRows: examplesInCurvature });
  const source = random(45);
  let network = denseNetwork([5, 4], { ...layout, activation: 'tanh', seed: 46 });
  let state: Numbers = {};
  let snapshots: Snapshots = [];
  let expected = { a: generate(rank, 6, () => 0), g: generate(rank, 4, () => 0) };
  for (let step = 0; step < 3; step++) {
    const examples = examplesFor(network, loss, 8, source);
    const drawn = new Map<string, readonly number[]>();
    const draw = signs(step);
    const noise = (name: string, dims: readonly number[]) => {
      expect(dims).toEqual([examplesInCurvature, 1]);
      drawn.set(name, draw(name, dims));
      return drawn.get(name) ?? [];
    };
    const outcome = await stepOnce({ network, loss, examples, optimizer, step, state, snapshots, noise });
    expect([...drawn.keys()].sort()).toEqual(['signs.inputs.layer0.weight', 'signs.outputs.layer0.weight']);
    const inputs = rowsOf(examples.inputs, 0, examplesInCurvature);
    const { activations, output } = forwardByHand(network, inputs);
    const [g] = backwardByHand(network, activations, outputCotangent(loss, output, examples.targets));
    const keep = decayAt(step, 0.95);
    const next = (old: Matrix, rows: Matrix, side: string): Matrix => {
      const sign = drawn.get(`signs.${side}.layer0.weight`) ?? [];
      const folded = generate(rank, examplesInCurvature, (bucket, row) =>
        row % rank === bucket ? (sign[row] ?? 0) : 0,
      );
      const fresh = scaled(multiplied(folded, rows), Math.sqrt((1 - keep) / examplesInCurvature));
      return plus(scaled(old, Math.sqrt(keep)), fresh);
    };
    expected = { a: next(expected.a, activations[0] ?? inputs, 'inputs'), g: next(expected.g, g ?? inputs, 'outputs') };
    ({ network, state, snapshots } = outcome);
    const held = (name: string, columns: number): Matrix =>
      matrixOf(rank, columns, state[`${name}.layer0.weight`] ?? []);
    const [values, ones] = [held('activations', 5), held('homogeneous', 1)];
    const joined = generate(rank, 6, (i, j) => (j < 5 ? at(values, i, j) : at(ones, i, 0)));
    expect(relativeError(joined, expected.a)).toBeLessThan(1e-12);
    expect(relativeError(held('gradients', 4), expected.g)).toBeLessThan(1e-12);
  }
});

const [rank, decay, examplesInCurvature] = [4, 0.5, 4];
const seldom = { ...bare, curvatureInterval: 3, curvatureBurnIn: 2 };
const someRows = sketches({ rank, decay }); // the inputs of the layer as rows, the outputs dense
test.each<readonly [string, Optimizer, Direction]>([
  ['cgfac', cgfac({ ...seldom, factors: someRows }), byFactors],
  [
    'cgfac, Tikhonov',
    cgfac({ ...seldom, factors: someRows, damping: tikhonov({ ...converged, shrinkage: 0 }) }),
    byTikhonov,
  ],
  ['kfac', kfac({ ...seldom, factors: dense({ decay, inverseInterval: 1 }) }), byFactors],
])(
  '%s between measurements: factors and inverses of one measurement; averages forget by steps',
  async (_, optimizer, direction) => {
    const source = random(47);
    let network = denseNetwork([6, 3], { ...layout, activation: 'tanh', seed: 48 });
    let state: Numbers = {};
    let snapshots: Snapshots = [];
    const measured: number[] = [];
    const square = (numbers: readonly number[] = []): Matrix =>
      matrixOf(Math.sqrt(numbers.length), Math.sqrt(numbers.length), numbers);
    for (let step = 0; step < 9; step++) {
      const examples = examplesFor(network, loss, examplesInCurvature, source);
      const outcome = await stepOnce({
        ...{ network, loss, examples, optimizer, step, state, snapshots },
        noise: signs(step),
      });
      const held = (name: string): Matrix => {
        const numbers = outcome.state[`${name}.layer0.weight`] ?? [];
        return matrixOf(rank, numbers.length / rank, numbers);
      };
      const [values, ones, g] = [held('activations'), held('homogeneous'), square(outcome.state['G.layer0.weight'])];
      const whole = outcome.state['A.layer0.weight'];
      const rows = () => generate(rank, 7, (i, j) => (j < 6 ? at(values, i, j) : at(ones, i, 0)));
      const a = whole ? square(whole) : gram(rows());
      const [{ gradient, g: fresh } = { gradient: g, g }] = curvatureByHand(network, loss, examples);
      const moved = minus(outcome.network.layers[0] ?? gradient, network.layers[0] ?? gradient);
      expect(relativeError(moved, scaled(direction(gradient, { a, g }), -rate))).toBeLessThan(1e-9);
      const old = square(state['G.layer0.weight'] ?? Array.from(g.data, () => 0));
      if (relativeError(g, old) > 0) {
        const keep = Math.min(1 - 1 / (measured.length + 1), decay ** (step - (measured.at(-1) ?? 0)));
        expect(relativeError(g, plus(scaled(old, keep), scaled(fresh, 1 - keep)))).toBeLessThan(1e-12);
        measured.push(step);
      } else {
        // Each step has a momentum, and a solution that the next solve starts from.
        const names = Object.keys(state).filter((name) => !/^(step|solution)\./.test(name));
        for (const name of names) expect(outcome.state[name]).toEqual(state[name]);
      }
      ({ network, state, snapshots } = outcome);
    }
    expect(measured).toEqual([0, 1, 4, 7]);
  },
);
