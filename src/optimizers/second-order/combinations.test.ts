// Parts of second-order optimizers together: curvature that is measured at some steps, with every damping, form of blocks and
// correction; forms of blocks beside exact matrices; curvature of inputs alone. Each against dense matrices by hand, or refused.
import { describe, expect, test } from 'vitest';
import type { Numbers } from '../../../test/support/declared-step.js';
import {
  at,
  generate,
  identity,
  inverted,
  kronecker as kroneckerProduct,
  type Matrix,
  matrixOf,
  minus,
  multiplied,
  plus,
  relativeError,
  scaled,
  shifted,
  solved,
  trace,
  transposed,
  vectorized,
} from '../../../test/support/dense.js';
import {
  curvatureByHand,
  type DenseNetwork,
  denseNetwork,
  type Examples,
  examplesFor,
  type Factors,
} from '../../../test/support/dense-network.js';
import { type Snapshots, signs, stepOnce } from '../../../test/support/optimizer-step.js';
import { coupled, fisherByHand, flat, layerBlock } from '../../../test/support/whole-network.js';
import { empirical, exact, inputOnly } from '../../curvature/fisher.js';
import { random } from '../../random.js';
import { byResidual } from '../../solvers/stopping.js';
import type { Optimizer } from '../optimizer.js';
import { scheduled } from '../steps/scheduled.js';
import type { CorrectionInput } from './across-layers.js';
import type { BlockRule } from './block-choice.js';
import { type BlockForm, kronecker, reduced } from './block-form.js';
import { type CgfacOptions, cgfac } from './cgfac.js';
import { gradientBasis } from './coarse-basis.js';
import type { RowDamping } from './damping.js';
import { eigenCorrected, eigenvalues } from './eigen-damping.js';
import { dense, sketches } from './factors.js';
import { hessianFree } from './hessian-free.js';
import { inverseFree } from './inverse-free.js';
import { kfac } from './kfac.js';
import { eachLayer } from './khatri-rao.js';
import { diagonal, full, scaledIdentity } from './measured-forms.js';
import { naturalGradient } from './natural-gradient.js';
import { primal } from './primal.js';
import { tikhonov } from './tikhonov.js';
import { additiveCorrection, twoLevel } from './two-level.js';

const loss = 'softmax-cross-entropy';
const [damping, rate] = [0.07, 0.3];
const step = scheduled({ learningRate: rate, momentum: 0, klClip: 0, damping });
const bare = { step, fisher: empirical() };
const inputs = { step, fisher: inputOnly() };
const converged = { stopping: byResidual({ tolerance: 1e-14 }), maxIterations: 400 };
const layout = { outputsFirst: false, hasBias: true };

/** What a layer's curvature is measured by: its factors, and its whole Fisher matrix. */
interface Measured extends Factors {
  readonly whole: Matrix;
}
type Direction = (v: Matrix, measured: Measured, layer: number) => Matrix;

const solvedBy =
  (matrixBy: (measured: Measured) => Matrix): Direction =>
  (v, measured) =>
    matrixOf(v.rows, v.columns, solved(shifted(matrixBy(measured), damping), vectorized(v)).data);
const byTikhonov = solvedBy(({ a, g }) => kroneckerProduct(a, g));
const byInputs: Direction = (v, { a }) => solved(shifted(a, damping), v);
const byFactors: Direction = (v, { a, g }) => {
  const pi = Math.sqrt(trace(a) / a.rows / (trace(g) / g.rows));
  const left = inverted(shifted(a, pi * Math.sqrt(damping)));
  return multiplied(left, v, inverted(shifted(g, Math.sqrt(damping) / pi)));
};
const byWhole = solvedBy(({ whole }) => whole);
const byDiagonal = solvedBy(({ whole }) => generate(whole.rows, whole.rows, (i, j) => (i === j ? at(whole, i, i) : 0)));
const byTraces = solvedBy(({ a, g, whole }) => scaled(identity(whole.rows), (trace(a) / a.rows) * (trace(g) / g.rows)));
/** Each layer by a form of its own. */
const each =
  (...forms: readonly Direction[]): Direction =>
  (v, measured, layer) =>
    (forms[layer] ?? byFactors)(v, measured, layer);

function measuredOn(network: DenseNetwork, examples: Examples): Measured[] {
  const whole = fisherByHand(network, loss, examples, 'empirical');
  return curvatureByHand(network, loss, examples).map((factors, i) => ({
    ...factors,
    whole: layerBlock(whole, network, i),
  }));
}

const seldom = { curvatureInterval: 2, curvatureBurnIn: 1 };
const now = { factors: dense({ decay: 0 }) };
const ofRows = { factors: sketches({ rank: 4, decay: 0 }) };
const oneForm = (form: BlockForm): readonly BlockRule[] => [['*', form]];
const firstFull: readonly BlockRule[] = [['layer0.*', full({ decay: 0 })]];

const forms: readonly (readonly [string, Optimizer, Direction])[] = [
  ['Tikhonov, dense', cgfac({ ...bare, ...seldom, ...now, damping: tikhonov(converged) }), byTikhonov],
  [
    'Tikhonov, rows',
    cgfac({ ...bare, ...seldom, ...ofRows, damping: tikhonov({ ...converged, shrinkage: 0 }) }),
    byTikhonov,
  ],
  [
    'kfac, Tikhonov without a warm start',
    kfac({ ...bare, ...seldom, ...now, damping: tikhonov({ ...converged, warmStart: false }) }),
    byTikhonov,
  ],
  ['eigenvalues', kfac({ ...bare, ...seldom, ...now, damping: eigenvalues({ interval: 1 }) }), byTikhonov],
  ['eigenvalues of renewed bases', cgfac({ ...bare, ...seldom, ...now, damping: eigenvalues() }), byTikhonov],
  ['inputs alone, rows', cgfac({ ...inputs, ...seldom, ...ofRows }), byInputs],
  ['inputs alone, dense', kfac({ ...inputs, ...seldom, factors: dense({ decay: 0, inverseInterval: 1 }) }), byInputs],
  ['inputs alone, Tikhonov', cgfac({ ...inputs, ...seldom, ...ofRows, damping: tikhonov() }), byInputs],
  ['inputs alone, Tikhonov, dense', kfac({ ...inputs, ...seldom, ...now, damping: tikhonov() }), byInputs],
  ['inputs alone, eigenvalues', kfac({ ...inputs, ...seldom, ...now, damping: eigenvalues() }), byInputs],
  ['full', cgfac({ ...bare, ...seldom, blocks: oneForm(full({ decay: 0 })) }), byWhole],
  ['diagonal', cgfac({ ...bare, ...seldom, blocks: oneForm(diagonal({ decay: 0 })) }), byDiagonal],
  [
    'scaled identity',
    kfac({ ...bare, ...seldom, ...now, damping: tikhonov(), blocks: oneForm(scaledIdentity({ decay: 0 })) }),
    byTraces,
  ],
  ['one full, the others factored', cgfac({ ...bare, ...seldom, ...ofRows, blocks: firstFull }), each(byWhole)],
  [
    'one full, one diagonal, one Tikhonov',
    cgfac({
      ...{ ...bare, ...seldom, ...now, damping: tikhonov(converged) },
      blocks: [...firstFull, ['layer2.*', diagonal({ decay: 0 })]],
    }),
    each(byWhole, byTikhonov, byDiagonal),
  ],
  [
    'one full, the others by eigenvalues',
    kfac({ ...bare, ...seldom, ...now, damping: eigenvalues(), blocks: firstFull }),
    each(byWhole, byTikhonov, byTikhonov),
  ],
];

/** Run three steps, of which the first and the last measure, with what each step's curvature was measured on. */
async function threeSteps(
  optimizer: Optimizer,
  check: (seen: {
    readonly moved: readonly Matrix[];
    readonly network: DenseNetwork;
    readonly examples: Examples;
    readonly measured: readonly Measured[];
    readonly gradients: readonly Matrix[];
  }) => void,
): Promise<void> {
  const source = random(91);
  let network = denseNetwork([5, 4, 3, 2], { ...layout, activation: 'tanh', seed: 90 });
  let state: Numbers = {};
  let snapshots: Snapshots = [];
  let measured: readonly Measured[] = [];
  for (let k = 0; k < 3; k++) {
    const examples = examplesFor(network, loss, 4, source);
    if (k !== 1) measured = measuredOn(network, examples);
    const noise = signs(k);
    const outcome = await stepOnce({ network, loss, examples, optimizer, step: k, state, snapshots, noise });
    const moved = network.layers.map((layer, i) => minus(outcome.network.layers[i] ?? layer, layer));
    check({ moved, network, examples, measured, gradients: outcome.gradients });
    ({ network, state, snapshots } = outcome);
  }
}

describe('curvature of every second step', () => {
  test.each(forms)('%s', async (_name, optimizer, direction) => {
    await threeSteps(optimizer, ({ moved, measured, gradients }) => {
      for (const [i, gradient] of gradients.entries()) {
        const { a, g, whole } = measured[i] ?? { a: gradient, g: gradient, whole: gradient };
        const expected = scaled(direction(gradient, { a, g, whole }, i), -rate);
        expect(relativeError(moved[i] ?? gradient, expected)).toBeLessThan(1e-9);
      }
    });
  });

  test('across layers: kept factors of the blocks, and the Gauss–Newton matrix of each step', async () => {
    const acrossLayers = twoLevel({ basis: gradientBasis(), correction: additiveCorrection() });
    const optimizer = kfac({ ...bare, ...seldom, ...now, damping: eigenvalues(), blocks: firstFull, acrossLayers });
    const ofBlock = each(byWhole, byTikhonov, byTikhonov);
    await threeSteps(optimizer, ({ moved, network, examples, measured, gradients }) => {
      const natural = gradients.map((v, i) => ofBlock(v, measured[i] ?? { a: v, g: v, whole: v }, i));
      const matrix = shifted(fisherByHand(network, loss, examples, 'exact'), damping);
      const gradient = flat(gradients);
      let from = 0;
      const columns = gradients.map(({ data }) => {
        const [first, to] = [from, from + data.length];
        from = to;
        return generate(gradient.rows, 1, (i) => (i >= first && i < to ? (gradient.data[i] ?? 0) : 0));
      });
      const z = generate(gradient.rows, columns.length, (i, j) => columns[j]?.data[i] ?? 0);
      const coarse = multiplied(transposed(z), matrix, z);
      const added = multiplied(z, solved(coarse, multiplied(transposed(z), gradient)));
      const expected = scaled(plus(flat(natural), added), -rate);
      expect(relativeError(flat(moved), expected)).toBeLessThan(1e-9);
    });
  });

  test.each<readonly [string, () => unknown]>([
    ['primal', () => cgfac({ damping: primal(), curvatureInterval: 2 })],
    ['inverseFree', () => cgfac({ damping: inverseFree(), curvatureInterval: 2 })],
    ['eigenCorrected', () => cgfac({ damping: eigenCorrected(), curvatureInterval: 2 })],
    ['eigenCorrected', () => kfac({ damping: eigenCorrected(), curvatureInterval: 2 })],
    ['khatri-rao', () => naturalGradient({ curvatureInterval: 2 })],
    ['hessian-free', () => hessianFree({ curvatureInterval: 2 })],
  ])('is refused with %s', (name, make) => {
    expect(make).toThrow(`curvatureInterval is 2, and ${name}() damping needs the rows of each step: leave it out`);
  });
});

describe('exact matrices', () => {
  /** How the parameters move in one step, and the matrices by hand. */
  const movedBy = async (optimizer: Optimizer) => {
    const network = denseNetwork([4, 3, 3, 2], { ...layout, activation: 'tanh', seed: 92 });
    const examples = examplesFor(network, loss, 5, random(93));
    const noise = signs(0);
    const outcome = await stepOnce({ network, loss, examples, optimizer, step: 0, noise });
    return {
      moved: minus(flat(outcome.network.layers), flat(network.layers)),
      gradient: flat(outcome.gradients),
      exactly: fisherByHand(network, loss, examples, 'exact'),
      /** The Fisher matrix without the interactions of layers of different groups. */
      coupledBy: (matrix: Matrix, groups: readonly number[]) => coupled(matrix, network, groups),
      empirically: fisherByHand(network, loss, examples, 'empirical'),
    };
  };
  const expectSolved = (moved: Matrix, matrix: Matrix, gradient: Matrix) =>
    expect(relativeError(moved, scaled(solved(shifted(matrix, damping), gradient), -rate))).toBeLessThan(1e-9);

  test('natural gradients of some layers; another has a form of its own', async () => {
    const blocks: readonly BlockRule[] = [['layer0.*', full({ decay: 0 })]];
    const { moved, empirically, coupledBy, gradient } = await movedBy(naturalGradient({ ...bare, blocks }));
    expectSolved(moved, coupledBy(empirically, [1, 2]), gradient);
  });

  test('natural gradients of no layer: all have forms of their own', async () => {
    const blocks = oneForm(full({ decay: 0 }));
    const optimizer = naturalGradient({ ...bare, blocks, coupling: eachLayer() });
    const { moved, empirically, coupledBy, gradient } = await movedBy(optimizer);
    expectSolved(moved, coupledBy(empirically, [1, 1, 1]), gradient);
  });

  test('Hessian-free steps of some layers; another has a form of its own', async () => {
    const blocks: readonly BlockRule[] = [['layer0.*', full({ decay: 0 })]];
    const shared = { ...converged, step, blocks, fisher: exact(), preconditioner: dense({ decay: 0 }) };
    const { moved, exactly, coupledBy, gradient } = await movedBy(hessianFree(shared));
    expectSolved(moved, coupledBy(exactly, [1, 2]), gradient);
  });

  test('a preconditioner of inputs alone, and of reduced blocks, changes no solution', async () => {
    const shared = { ...converged, step, preconditioner: dense({ decay: 0 }), blocks: oneForm(reduced()) };
    const { moved, exactly, gradient } = await movedBy(hessianFree({ ...shared, fisher: inputOnly() }));
    expectSolved(moved, exactly, gradient);
  });

  test.each<readonly [string, () => unknown]>([
    [
      'natural-gradient makes no Kronecker products of which reduced()',
      () => naturalGradient({ blocks: oneForm(reduced()) }),
    ],
    [
      'natural-gradient makes no Kronecker products of which kronecker()',
      () => naturalGradient({ blocks: oneForm(kronecker()) }),
    ],
    ['hessian-free makes no Kronecker products of which reduced()', () => hessianFree({ blocks: oneForm(reduced()) })],
  ])('%s is a form', (message, make) => {
    expect(make).toThrow(`rule 1 of blocks has no effect: ${message} is a form; leave the rule out`);
  });

  test('no natural gradient of inputs alone', async () => {
    await expect(movedBy(naturalGradient(inputs))).rejects.toThrow(
      'fisher is inputOnly(), which measures inputs alone, and the Fisher matrix of examples is made of their gradients',
    );
    const own = { name: 'own', cotangents: () => [] };
    await expect(movedBy(naturalGradient({ step, fisher: own }))).rejects.toThrow("fisher 'own' returns no cotangent");
  });
});

test('parts of one’s own that leave out a block are refused', async () => {
  const network = denseNetwork([4, 3, 2], { ...layout, activation: 'tanh', seed: 94 });
  const examples = examplesFor(network, loss, 5, random(95));
  const run = (optimizer: Optimizer) => stepOnce({ network, loss, examples, optimizer, step: 0, noise: signs(0) });
  const damping = { ...eigenvalues(), name: 'own', precondition: () => [] };
  await expect(run(kfac({ ...bare, damping }))).rejects.toThrow(
    "damping 'own' returns no direction of 'layer0.weight'; return one for each block",
  );
  const acrossLayers = { name: 'own', correct: ({ blocks }: CorrectionInput) => blocks.slice(0, 1) };
  await expect(run(cgfac({ ...bare, acrossLayers }))).rejects.toThrow(
    "acrossLayers 'own' returns no direction of 'layer1.weight'",
  );
});

test('a damping of one’s own that measures nothing leaves blocks their forms', async () => {
  const still: RowDamping = {
    name: 'still',
    usesRows: true,
    precondition: ({ context: { b }, blocks }) =>
      blocks.map((block) => ({
        ...block,
        direction: block.smoothed,
        rootDamping: b.scalar(1, block.gradient.weight.dtype),
      })),
  };
  const network = denseNetwork([4, 3, 2], { ...layout, activation: 'tanh', seed: 94 });
  const examples = examplesFor(network, loss, 5, random(95));
  const options: CgfacOptions = { ...bare, damping: still, blocks: firstFull };
  const outcome = await stepOnce({ network, loss, examples, optimizer: cgfac(options), step: 0 });
  const [first, second] = measuredOn(network, examples);
  const moved = network.layers.map((layer, i) => minus(outcome.network.layers[i] ?? layer, layer));
  for (const [i, expected] of [
    first && byWhole(outcome.gradients[0] ?? first.a, first, 0),
    second && outcome.gradients[1],
  ].entries()) {
    expect(relativeError(moved[i] ?? identity(1), scaled(expected ?? identity(1), -rate))).toBeLessThan(1e-9);
  }
});
