// Two-level corrections against the dense formula, for all bases, and against another program's first step.
import { describe, expect, test } from 'vitest';
import {
  generate,
  inverted,
  type Matrix,
  minus,
  multiplied,
  norm,
  plus,
  relativeError,
  rowsOf,
  scaled,
  shifted,
  solved,
  trace,
  transposed,
} from '../../../test/support/dense.js';
import {
  curvatureByHand,
  type DenseNetwork,
  denseNetwork,
  type Examples,
  examplesFor,
} from '../../../test/support/dense-network.js';
import { layouts } from '../../../test/support/layer-tensors.js';
import { stepOnce } from '../../../test/support/optimizer-step.js';
import { largestDifference, replayed, type Trace, traceNamed } from '../../../test/support/optimizer-trace.js';
import { fisherByHand, flat } from '../../../test/support/whole-network.js';
import { joinedRows } from '../../curvature/factors/moving-average.js';
import { empirical, type Fisher } from '../../curvature/fisher.js';
import { type LayerRows, layerRows } from '../../curvature/statistics.js';
import type { Value } from '../../graph/graph.js';
import { tensorFrom } from '../../graph/tensor.js';
import type { LossWord } from '../../losses/index.js';
import { random } from '../../random.js';
import { normalized } from '../steps/normalized.js';
import { scheduled } from '../steps/scheduled.js';
import type { AcrossLayers } from './across-layers.js';
import { cgfac } from './cgfac.js';
import { type CoarseBasis, gradientBasis, krylovBasis, naturalGradientBasis, onesBasis } from './coarse-basis.js';
import { dense } from './factors.js';
import { kfac } from './kfac.js';
import { additiveCorrection, balancingCorrection, type CoarseCorrection, twoLevel } from './two-level.js';

const rate = 0.3;
const damping = 0.07;

/** What a basis by hand is made of, each a column with the parameters of all layers. */
interface ByHand {
  readonly network: DenseNetwork;
  readonly gradient: Matrix;
  readonly naturalGradient: Matrix;
  readonly fisher: Matrix;
}

const ones = (x: Matrix): Matrix => generate(x.rows, 1, () => 1);
const power = ({ fisher, naturalGradient }: ByHand, k: number): Matrix =>
  Array.from({ length: k }).reduce<Matrix>((y) => multiplied(fisher, y), naturalGradient);

const both: CoarseBasis = {
  name: 'both',
  vectors: (input) => [...naturalGradientBasis().vectors(input), ...gradientBasis().vectors(input)],
};
const half: CoarseCorrection = { name: 'half', target: (b, { gradient }) => b.mul(gradient, 0.5) };

/** Each basis with sets of vectors by hand, which are divided into the layers. */
const bases: readonly (readonly [string, CoarseBasis, (from: ByHand) => Matrix[]])[] = [
  ['natural gradients', naturalGradientBasis(), ({ naturalGradient }) => [naturalGradient]],
  ['gradients', gradientBasis(), ({ gradient }) => [gradient]],
  ['ones', onesBasis(), ({ gradient }) => [ones(gradient)]],
  ['Krylov', krylovBasis({ dimension: 3 }), (from) => [0, 1, 2].map((k) => power(from, k))],
  ['both', both, ({ gradient, naturalGradient }) => [gradient, naturalGradient]],
];
const corrections: readonly (readonly [string, CoarseCorrection, (from: ByHand, image: Matrix) => Matrix])[] = [
  ['balancing', balancingCorrection(), ({ gradient }, image) => minus(gradient, image)],
  ['additive', additiveCorrection(), ({ gradient }) => gradient],
  ['half', half, ({ gradient }) => scaled(gradient, 0.5)],
];

/** The columns of Z: each vector with the parameters of one layer, zero elsewhere. */
function columnsOf(sets: readonly Matrix[], { layers }: DenseNetwork): Matrix {
  const columns: Matrix[] = [];
  let from = 0;
  for (const { data } of layers) {
    const [first, to] = [from, from + data.length];
    for (const set of sets) {
      columns.push(generate(set.rows, 1, (i) => (i >= first && i < to ? (set.data[i] ?? Number.NaN) : 0)));
    }
    from = to;
  }
  const [{ rows } = { rows: 0 }] = columns;
  return generate(rows, columns.length, (i, j) => columns[j]?.data[i] ?? Number.NaN);
}

/** (A + π√λ I)⁻¹ V (G + √λ/π I)⁻¹ of each layer. */
function naturalGradients(network: DenseNetwork, loss: LossWord, examples: Examples, gradients: readonly Matrix[]) {
  return curvatureByHand(network, loss, examples).map(({ a, g }, i) => {
    const pi = Math.sqrt(trace(a) / a.rows / (trace(g) / g.rows));
    const left = inverted(shifted(a, pi * Math.sqrt(damping)));
    return multiplied(left, gradients[i] ?? a, inverted(shifted(g, Math.sqrt(damping) / pi)));
  });
}

const step = scheduled({ learningRate: rate, momentum: 0, klClip: 0, damping });

describe.each(corrections)('%s', (_correction, correction, targetOf) => {
  test.each(bases)('%s: y + Z·C⁻¹·t of the dense Gauss–Newton matrix', async (_basis, basis, sets) => {
    for (const [loss, layout] of [
      ['softmax-cross-entropy', layouts[1]],
      ['mean-squared-error', layouts[2]],
    ] as const) {
      const network = denseNetwork([4, 3, 3, 2], {
        ...{ outputsFirst: false, hasBias: true, ...layout },
        ...{ activation: 'tanh', seed: 80 },
      });
      const examples = examplesFor(network, loss, 6, random(81, loss));
      const acrossLayers = twoLevel({ basis, correction });
      const shared = { step, acrossLayers, fisher: empirical() };
      const kind = loss === 'mean-squared-error' ? kfac : cgfac;
      const optimizer = kind({ ...shared, factors: dense({ decay: 0 }) });
      const outcome = await stepOnce({ network, loss, examples, optimizer, step: 0 });
      const fisher = fisherByHand(network, loss, examples, 'exact');
      const natural = flat(naturalGradients(network, loss, examples, outcome.gradients));
      const from = { network, fisher, gradient: flat(outcome.gradients), naturalGradient: natural };
      const z = columnsOf(sets(from), network);
      const matrix = shifted(fisher, damping);
      const coarse = multiplied(transposed(z), matrix, z);
      const target = multiplied(transposed(z), targetOf(from, multiplied(matrix, natural)));
      const direction = plus(natural, multiplied(z, solved(coarse, target)));
      const moved = minus(flat(outcome.network.layers), flat(network.layers));
      expect(relativeError(moved, scaled(direction, -rate))).toBeLessThan(1e-10);
      expect(relativeError(direction, natural)).toBeGreaterThan(1e-3);
    }
  });
});

test('the balancing correction minimizes the quadratic model: none of its vectors is left in the residual', async () => {
  const loss = 'softmax-cross-entropy';
  const network = denseNetwork([4, 3, 3, 2], { outputsFirst: false, hasBias: true, activation: 'tanh', seed: 82 });
  const examples = examplesFor(network, loss, 6, random(83));
  const optimizer = kfac({ step, fisher: empirical(), acrossLayers: twoLevel({ basis: onesBasis() }) });
  const outcome = await stepOnce({ network, loss, examples, optimizer, step: 0 });
  const direction = scaled(minus(flat(outcome.network.layers), flat(network.layers)), -1 / rate);
  const matrix = shifted(fisherByHand(network, loss, examples, 'exact'), damping);
  const residual = minus(flat(outcome.gradients), multiplied(matrix, direction));
  let from = 0;
  for (const { data } of network.layers) {
    const own = rowsOf(residual, from, from + data.length);
    expect(Math.abs(own.data.reduce((sum, x) => sum + x, 0))).toBeLessThan(1e-10 * norm(own));
    from += data.length;
  }
});

test('a correction of lengths alone is refused with steps of given lengths, and bad parts are', async () => {
  const loss = 'softmax-cross-entropy';
  const network = denseNetwork([4, 3, 2], { outputsFirst: false, hasBias: true, activation: 'tanh', seed: 84 });
  const examples = examplesFor(network, loss, 4, random(85));
  const stepped = (basis: CoarseBasis) => {
    const optimizer = kfac({ step: normalized(), fisher: empirical(), acrossLayers: twoLevel({ basis }) });
    return stepOnce({ network, loss, examples, optimizer, step: 0 });
  };
  await expect(stepped(naturalGradientBasis())).rejects.toThrow(
    'the two-level correction of kfac changes lengths of steps alone, and normalized steps set them',
  );
  await expect(stepped({ name: 'none', vectors: () => [] })).rejects.toThrow("basis 'none' made no vectors");
  const short: CoarseBasis = { name: 'short', vectors: ({ naturalGradients }) => [naturalGradients.slice(1)] };
  await expect(stepped(short)).rejects.toThrow('a basis made 1 vectors for 2 blocks');
  const { network: next } = await stepped(onesBasis());
  expect(relativeError(flat(next.layers), flat(network.layers))).toBeGreaterThan(1e-5);
});

test('of dependent vectors, and of a gradient of zero, the correction is that of the others', async () => {
  const loss = 'mean-squared-error';
  const network = denseNetwork([4, 3, 2], { outputsFirst: false, hasBias: true, activation: 'tanh', seed: 86 });
  const examples = examplesFor(network, loss, 4, random(87));
  const twice: CoarseBasis = {
    name: 'twice',
    vectors: ({ b, naturalGradients }) => [
      naturalGradients,
      naturalGradients.map((each) => each.map((part) => b.mul(part, 2))),
      naturalGradients.map((each) => each.map((part) => b.zerosLike(part))),
    ],
  };
  const [once, more] = await Promise.all(
    [naturalGradientBasis(), twice].map((basis) => {
      const optimizer = kfac({ step, fisher: empirical(), acrossLayers: twoLevel({ basis }) });
      return stepOnce({ network, loss, examples, optimizer, step: 0 });
    }),
  );
  const moved = [once, more].map((outcome) => minus(flat(outcome?.network.layers ?? []), flat(network.layers)));
  expect(relativeError(moved[1] ?? flat([]), moved[0] ?? flat([]))).toBeLessThan(1e-10);
});

const traced = { learningRate: 0.05, momentum: 0.9, klClip: 1e-3, damping: 0.003 };

/**
 * The correction of ntselepidis/KFAC-Pytorch: a vector of ones a layer, C of Kronecker products of the layers' factors,
 * Cᵢⱼ = (1ᵀAᵢⱼ1)·(1ᵀGᵢⱼ1) + λδᵢⱼ, added to the natural gradients.
 */
const ofKroneckerFactors: AcrossLayers = {
  name: 'two-level K-FAC',
  correct({ context: { b }, sample: { forward, likelihood, fisher, noise }, blocks }) {
    const layers = blocks.map(({ block }) => block);
    const rows = layerRows(b, forward, likelihood, layers, fisher, noise);
    const columns = (of: (rows: LayerRows) => Value) => b.concat(rows.map(of), 1);
    const a = columns(({ inputs }) => b.sum(joinedRows(b, inputs), [1], true));
    const g = columns(({ outputs }) => b.sum(outputs, [1], true));
    const gramOf = (x: Value) => b.gemm(x, x, undefined, { transposeX: true });
    const count = blocks.length;
    const identity = b.constant(
      tensorFrom(
        a.dtype,
        [count, count],
        Array.from({ length: count ** 2 }, (_, i) => Number(i % (count + 1) === 0)),
      ),
    );
    const matrix = b.add(b.mul(gramOf(a), gramOf(g)), b.mul(identity, traced.damping));
    const sums = blocks.map(({ smoothed }) =>
      b.reshape(b.add(b.sum(smoothed.weight), b.sum(smoothed.bias ?? a)), [1, 1]),
    );
    const solution = b.matmul(b.op('com.microsoft.Inverse', [matrix]), b.concat(sums, 0));
    return blocks.map((each, i) => {
      const c = b.mul(b.reshape(b.slice(solution, 0, i, i + 1), []), b.square(each.rootDamping));
      return { ...each, direction: each.direction.map((part) => b.add(part, c)) };
    });
  },
};

test('the first step of another program, whose correction is one of our own', async () => {
  const trace = traceNamed('ntselepidis-two-level-mlp') as Trace & { readonly sampledTargets: readonly number[] };
  const { sampledTargets } = trace;
  const drawn: Fisher = {
    name: 'the targets that the program drew',
    cotangents({ b, forward, likelihood }) {
      const targets = b.constant(tensorFrom('int64', [sampledTargets.length], sampledTargets));
      return [likelihood.cotangent(b, { ...forward, targets })];
    },
  };
  const plain = { step: scheduled(traced), fisher: drawn };
  const [first, alone] = [
    await replayed(trace, kfac({ ...plain, acrossLayers: ofKroneckerFactors }), 'float64'),
    await replayed(trace, kfac(plain), 'float64'),
  ];
  expect(Object.keys(first.after)).toEqual(['1']);
  expect(largestDifference(trace, first)).toBeLessThan(1e-12);
  expect(largestDifference(trace, alone)).toBeGreaterThan(1e-3);
});
