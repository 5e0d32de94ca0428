// The form of each block's Fisher matrix: which rule decides, and the natural gradient of each form against dense matrices.
import { describe, expect, test } from 'vitest';
import type { Numbers } from '../../../test/support/declared-step.js';
import {
  at,
  generate,
  identity,
  type Matrix,
  matrixOf,
  minus,
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
  type DenseNetwork,
  denseNetwork,
  type Examples,
  examplesFor,
} from '../../../test/support/dense-network.js';
import { layouts } from '../../../test/support/layer-tensors.js';
import { type Snapshots, stepOnce } from '../../../test/support/optimizer-step.js';
import { fisherByHand, layerBlock } from '../../../test/support/whole-network.js';
import { decayAt } from '../../curvature/factors/moving-average.js';
import { empirical, inputOnly } from '../../curvature/fisher.js';
import { random } from '../../random.js';
import { byResidual } from '../../solvers/stopping.js';
import { sgd } from '../sgd.js';
import { scheduled } from '../steps/scheduled.js';
import type { BlockRule } from './block-choice.js';
import { type BlockForm, kronecker, none, reduced } from './block-form.js';
import { cgfac } from './cgfac.js';
import { dense } from './factors.js';
import { kfac } from './kfac.js';
import { diagonal, full, scaledIdentity } from './measured-forms.js';
import { primal } from './primal.js';
import { tikhonov } from './tikhonov.js';

const loss = 'softmax-cross-entropy';
const [damping, rate] = [0.07, 0.3];
const step = scheduled({ learningRate: rate, momentum: 0, klClip: 0, damping });
const bare = { step, fisher: empirical() };
const layout = { outputsFirst: false, hasBias: true };

/** Each layer's Fisher matrix of one batch. */
function fishersByHand(network: DenseNetwork, examples: Examples): Matrix[] {
  const whole = fisherByHand(network, loss, examples, 'empirical');
  return network.layers.map((_, i) => layerBlock(whole, network, i));
}

/** The block's matrix by its whole Fisher matrix and its factors. */
type Approximation = (whole: Matrix, factors: { readonly a: Matrix; readonly g: Matrix }) => Matrix;
const forms: readonly (readonly [name: string, form: BlockForm, decay: number, Approximation])[] = [
  ['full', full(), 0.95, (whole) => whole],
  ['full, this batch', full({ decay: 0 }), 0, (whole) => whole],
  [
    'diagonal',
    diagonal(),
    0.95,
    (whole) => generate(whole.rows, whole.rows, (i, j) => (i === j ? at(whole, i, i) : 0)),
  ],
  [
    'scaled identity',
    scaledIdentity(),
    0.95,
    (_, { a, g }) => scaled(identity(a.rows * g.rows), (trace(a) / a.rows) * (trace(g) / g.rows)),
  ],
];

describe.each(layouts)('outputs first: $outputsFirst, bias: $hasBias', (one) => {
  test.each(forms)('%s: (F + λI)⁻¹∇ of the moving average', async (_name, form, decay, approximation) => {
    const source = random(31);
    let network = denseNetwork([4, 3, 2], { ...one, activation: 'tanh', seed: 30 });
    let state: Numbers = {};
    let snapshots: Snapshots = [];
    let averages: readonly Matrix[] | undefined;
    const optimizer = cgfac({ ...bare, blocks: [['*.weight', form]] });
    for (let k = 0; k < 2; k++) {
      const examples = examplesFor(network, loss, 5, source);
      const whole = fishersByHand(network, examples);
      const batch = curvatureByHand(network, loss, examples);
      const fresh = batch.map((factors, i) => approximation(whole[i] ?? factors.a, factors));
      const keep = decayAt(k, decay);
      averages = fresh.map((matrix, i) => plus(scaled(averages?.[i] ?? matrix, keep), scaled(matrix, 1 - keep)));
      const outcome = await stepOnce({ network, loss, examples, optimizer, step: k, state, snapshots });
      for (const [i, { gradient }] of batch.entries()) {
        const moved = minus(outcome.network.layers[i] ?? gradient, network.layers[i] ?? gradient);
        const direction = solved(shifted(averages[i] ?? gradient, damping), vectorized(gradient));
        const expected = matrixOf(gradient.rows, gradient.columns, scaled(direction, -rate).data);
        expect(relativeError(moved, expected)).toBeLessThan(1e-9);
      }
      ({ network, state, snapshots } = outcome);
    }
  });
});

/** How the layers of a network of three move in one step. */
async function moved(blocks: readonly BlockRule[], rest = sgd({ learningRate: 1, momentum: 0 })) {
  const network = denseNetwork([4, 3, 3, 2], { ...layout, activation: 'tanh', seed: 32 });
  const examples = examplesFor(network, loss, 6, random(33));
  const optimizer = kfac({
    ...bare,
    ...(blocks.length > 0 && { blocks }),
    rest,
    damping: tikhonov({ stopping: byResidual({ tolerance: 1e-14 }), maxIterations: 200 }),
  });
  const outcome = await stepOnce({ network, loss, examples, optimizer, step: 0 });
  const changes = network.layers.map((layer, i) => minus(outcome.network.layers[i] ?? layer, layer));
  return { changes, states: Object.keys(outcome.state), gradients: curvatureByHand(network, loss, examples) };
}

test('the first rule that takes a weight decides; other blocks are Kronecker products', async () => {
  const [plain, chosen] = [
    await moved([]),
    await moved([
      ['layer2.*', none()],
      [({ name }) => name === 'layer1.weight', diagonal()],
      ['layer*', kronecker()],
    ]),
  ];
  expect(chosen.changes[0]).toEqual(plain.changes[0]);
  expect(relativeError(chosen.changes[1] ?? identity(1), plain.changes[1] ?? identity(1))).toBeGreaterThan(0.01);
  const { gradient } = chosen.gradients[2] ?? { gradient: identity(1) };
  expect(relativeError(chosen.changes[2] ?? gradient, scaled(gradient, -1))).toBeLessThan(1e-12);
  expect(chosen.states.filter((name) => name.startsWith('A.'))).toEqual(['A.layer0.weight']);
});

test('without shared weights a reduced block is the same Kronecker product', async () => {
  const [plain, chosen] = [await moved([]), await moved([['*', reduced()]])];
  for (const [i, change] of chosen.changes.entries()) {
    expect(relativeError(change, plain.changes[i] ?? change)).toBeLessThan(1e-12);
  }
});

test('a single block of a chosen form needs neither factors nor damping of a product', async () => {
  const network = denseNetwork([3, 2], { ...layout, activation: 'tanh', seed: 34 });
  const examples = examplesFor(network, loss, 4, random(35));
  const [whole = identity(1)] = fishersByHand(network, examples);
  const [{ gradient } = { gradient: whole }] = curvatureByHand(network, loss, examples);
  const optimizer = cgfac({ ...bare, damping: primal(), blocks: [['*', full({ decay: 0 })]] });
  const outcome = await stepOnce({ network, loss, examples, optimizer, step: 0 });
  const direction = solved(shifted(whole, damping), vectorized(gradient));
  const change = minus(outcome.network.layers[0] ?? gradient, network.layers[0] ?? gradient);
  expect(relativeError(vectorized(change), scaled(direction, -rate))).toBeLessThan(1e-9);
  expect(Object.keys(outcome.state)).toEqual(['step.layer0.weight', 'step.layer0.bias']); // of the momentum
});

describe('refusals', () => {
  test.each<readonly [string, readonly BlockRule[], string]>([
    ['a glob without a match', [['head.*', full()]], "'head.*' matches no parameter that is trained"],
    [
      'a bias alone',
      [['*.bias', diagonal()]],
      "rule 1 of blocks takes the bias 'layer0.bias', which belongs to the block of 'layer0.weight': match that name",
    ],
    [
      'a rule that comes too late',
      [
        ['layer*', full()],
        ['layer1.*', diagonal()],
      ],
      'rule 2 of blocks decides no block: the rules before it take all that it matches',
    ],
    ['a predicate that takes nothing', [[() => false, full()]], 'rule 1 of blocks takes no parameter; leave it out'],
    ['no block left', [['*', none()]], 'kfac finds no Kronecker block in'],
  ])('%s', async (_, blocks, message) => {
    await expect(moved(blocks)).rejects.toThrow(message);
  });

  test('what is no rule', () => {
    const kfacWith = (blocks: unknown) => () => kfac({ blocks: blocks as readonly BlockRule[] });
    expect(kfacWith([])).toThrow('blocks is an array of 0; give pairs such as');
    expect(kfacWith([['*', 'full']])).toThrow("rule 1 of blocks is 'full'; give pairs such as");
    expect(kfacWith([[7, full()]])).toThrow('a rule for parameters is 7');
    expect(() => diagonal({ decay: 1 })).toThrow('decay is 1');
    expect(() => full({ rank: 3 } as object)).toThrow('rank');
  });

  test('a whole block that is too large, and one of unmeasured gradients', async () => {
    const network = denseNetwork([2049, 1], { ...layout, hasBias: false, activation: 'tanh', seed: 36 });
    const examples = examplesFor(network, 'mean-squared-error', 2, random(37));
    const run = (options: object) =>
      stepOnce({ network, loss: 'mean-squared-error', examples, optimizer: kfac({ ...bare, ...options }), step: 0 });
    await expect(run({ blocks: [['*', full()]] })).rejects.toThrow(
      "full() of 'layer0.weight' would be a matrix of order 2049; it is for blocks of at most 2048 weights",
    );
    await expect(run({ fisher: inputOnly(), factors: dense(), blocks: [['*', diagonal()]] })).rejects.toThrow(
      "diagonal() of 'layer0.weight' measures gradients of examples, and the fisher measures inputs alone",
    );
  });
});
