// K-FAC of other programs over 20 steps, from the same start on the same batches: their averages, scales and dampings are made
// of public parts. What each program departs in is in the notes of its trace.

import { expect, test } from 'vitest';
import {
  largestDifference,
  type Precision,
  type Replay,
  replayed,
  type Trace,
  traceNamed,
} from '../../../test/support/optimizer-trace.js';
import { joinedRows } from '../../curvature/factors/moving-average.js';
import { denseInputSide, denseOutputSide, identityOutputSide } from '../../curvature/factors/sides.js';
import { empirical, type Fisher, inputOnly } from '../../curvature/fisher.js';
import type { KroneckerBlock } from '../../curvature/kronecker-block.js';
import type { Value } from '../../graph/graph.js';
import { tensorFrom } from '../../graph/tensor.js';
import { byResidual } from '../../solvers/stopping.js';
import type { Optimizer, StepContext } from '../optimizer.js';
import { at } from '../schedules.js';
import { scheduled } from '../steps/scheduled.js';
import { type CgfacOptions, cgfac } from './cgfac.js';
import type { Damping } from './damping.js';
import { eigenCorrected, eigenvalues } from './eigen-damping.js';
import { factored } from './factored.js';
import type { WholeFactors } from './factors.js';
import { inverseFree } from './inverse-free.js';
import { type KfacOptions, kfac } from './kfac.js';
import { KroneckerOperator } from './kronecker-operator.js';
import { exampleMoments, gradientMoments, type Moments } from './moments.js';
import { tikhonov } from './tikhonov.js';

/** How a program holds the factors A and G of a batch. */
interface Kept {
  /** What multiplies our A and G of a layer with T positions. */
  readonly scales?: (positions: number) => readonly [number, number];
  /** Make the average from the old one, which is the identity before the first step, and from the factor of the batch. */
  readonly average?: Average;
  /** What the average is divided by at step k, counted from 1. */
  readonly bias?: (k: number) => number;
}

type Average = (context: StepContext, old: Value, fresh: Value) => Value;

function factorsOf({ scales = () => [1, 1], average, bias }: Kept): WholeFactors {
  return {
    name: 'traced',
    areWhole: true,
    begin(context) {
      const { b } = context;
      const held = (name: string, rows: Value, scale: number): Value => {
        const fresh = b.mul(b.gemm(rows, rows, undefined, { transposeX: true }), scale);
        const [size = 0] = fresh.dims;
        const identity = Array.from({ length: size * size }, (_, i) => Number(i % (size + 1) === 0));
        if (!average) return fresh;
        const start = tensorFrom(fresh.dtype, fresh.dims, identity);
        const kept = context.state(name, fresh.dims, (old) => average(context, old, fresh), start);
        return bias
          ? b.div(
              kept,
              shared(context, 'factors.bias', (step) => bias(step + 1)),
            )
          : kept;
      };
      return ({ block, rows }) => {
        const [left, right] = scales(positionsOf(block));
        const inputs = denseInputSide(b, held(`A.${block.weight}`, joinedRows(b, rows.inputs), left));
        const outputs = rows.outputsAreIdentity
          ? identityOutputSide(b, 1, rows.outputs.dtype)
          : denseOutputSide(b, held(`G.${block.weight}`, rows.outputs, right));
        return new KroneckerOperator(inputs, outputs);
      };
    },
  };
}

const positionsOf = ({ uses: [{ preActivations }] }: KroneckerBlock): number =>
  preActivations.dims.slice(2).reduce((product, size) => product * size, 1);

interface Traced extends Kept {
  /** λ */
  readonly damping: number;
  readonly learningRate: number | ((step: number) => number);
  readonly klClip?: number;
  readonly preconditioner?: { readonly damping: Damping };
  readonly fisher?: Fisher;
}

/** The loss of `mlp-mse` is a mean over 3 outputs: gradients of it are 2/3 of those of the likelihood. */
const unitOf = (network: string): number => (network === 'mlp-mse' ? 2 / 3 : 1);

function tracedOptimizer(network: string, traced: Traced): Optimizer {
  const { damping, learningRate, klClip = 0, preconditioner, fisher = empirical() } = traced;
  const unit = unitOf(network);
  const inverts = preconditioner ? preconditioner.damping.invertsFactors : true;
  const { scales = () => [1, 1] as const } = traced;
  const inUnits = (positions: number): readonly [number, number] => {
    const [left, right] = scales(positions);
    return [left, right * unit ** 2];
  };
  const usesRows = preconditioner?.damping.usesRows;
  return (usesRows ? cgfac : kfac)({
    ...preconditioner,
    // Tikhonov damping keeps no inverses; factored damping inverts in each step.
    ...(!usesRows && {
      factors: { ...factorsOf({ ...traced, scales: inUnits }), ...(inverts && { inverseInterval: 1 }) },
    }),
    fisher,
    curvatureRows: 8,
    step: scheduled({ learningRate: (step) => at(learningRate, step) * unit, damping, klClip }),
  } as CgfacOptions & KfacOptions); // each damping with factors that it takes
}

/** θ·old + (1 − θ)·new, from the identity. */
const fromIdentity =
  (keep: number): Average =>
  ({ b }, old, fresh) =>
    b.add(b.mul(old, keep), b.mul(fresh, 1 - keep));

/** The same, from the first batch's factor. */
const fromFirst =
  (keep: number): Average =>
  (context, old, fresh) => {
    const { b } = context;
    const past = shared(context, 'factors.keep', (step) => (step === 0 ? 0 : keep));
    return b.add(b.mul(old, past), b.mul(fresh, b.sub(1, past)));
  };

const declared = new WeakMap<StepContext['scalar'], Map<string, Value>>();

/** A scalar that several factors of one run read. */
function shared({ scalar }: StepContext, name: string, at: (step: number) => number): Value {
  const own = declared.get(scalar) ?? new Map<string, Value>();
  declared.set(scalar, own);
  const value = own.get(name) ?? scalar(name, at);
  own.set(name, value);
  return value;
}

// thrandis: A and G are means over all rows, and the block is T·(A⊗G).
const alike = { damping: factored({ pi: 1 }) };
const acrossPositions = (positions: number) => [Math.sqrt(positions), 1 / Math.sqrt(positions)] as const;
const thrandis = { damping: 0.003, learningRate: 0.01, preconditioner: alike, scales: acrossPositions };
const thrandisPi = { damping: 0.003, learningRate: 0.02 };
// gpauloski: G is of the gradient of the mean loss, patches and gradients are divided by T.
const gpauloski = (examples: number) => ({
  learningRate: 0.01,
  scales: (positions: number) => [1 / positions ** 2, 1 / (examples ** 2 * positions ** 3)] as const,
  average: fromIdentity(0.95),
});
const eachByLambda = { damping: 0.003 ** 2, preconditioner: alike };
const converged = tikhonov({ stopping: byResidual({ tolerance: 1e-14 }), maxIterations: 400 });
const clipped = { learningRate: 0.1, klClip: 1e-3 };
// ntselepidis: sampled targets are in the trace.
const growing: Average = (context, old, fresh) => {
  const { b } = context;
  const past = shared(context, 'factors.keep', (step) => Math.min(1 - 1 / (step + 1), 0.95));
  return b.add(b.mul(old, past), b.mul(fresh, b.sub(1, past)));
};
const recorded: Fisher = {
  name: 'recorded',
  cotangents: ({ b, forward, likelihood, noise }) => {
    const { output, targets } = forward;
    const drawn = noise(targets.dims, 'uniform');
    return [likelihood.cotangent(b, { output, targets: b.cast(drawn, targets.dtype) })];
  },
};
const ntselepidis = { damping: 0.003, learningRate: 0.05, klClip: 1e-3, average: growing, fisher: recorded };
// foof: the average starts at the identity and is divided by 1 − 0.95^k.
const foof: Traced = {
  damping: 0.1,
  learningRate: 0.05,
  fisher: inputOnly(),
  average: fromIdentity(0.95),
  bias: (k) => 1 - 0.95 ** k,
};

const exactly = { damping: 0.003, preconditioner: { damping: eigenvalues({ interval: 1 }) } };
/** The moments of the examples' gradients of the mean loss. */
const momentsIn = (network: string): Moments => ({
  name: 'in units',
  of: (b, examples, eigen) => b.mul(exampleMoments().of(b, examples, eigen), unitOf(network) ** 2),
});
const thrandisCorrected = (network: string): Traced => ({
  ...{ damping: 0.003, learningRate: 0.01 },
  preconditioner: { damping: eigenCorrected({ interval: 1, decay: 0, moments: momentsIn(network) }) },
});
const thrandisAveraged: Traced = {
  ...{ damping: 0.003, learningRate: 0.01 },
  preconditioner: { damping: eigenCorrected({ interval: 5, burnIn: 1, decay: 0.75, moments: gradientMoments() }) },
};

// singd: no factors; gradients of the mean loss times N.
const singd = (network: string): Traced => ({
  ...{ damping: 0.003, learningRate: 0.02, preconditioner: { damping: inverseFree() } },
  fisher: {
    name: 'in units',
    cotangents: (input) =>
      empirical()
        .cotangents(input)
        .map((each) => input.b.mul(each, unitOf(network))),
  },
});

const cases: readonly (readonly [name: string, network: string, Traced, Precision, rounding: number])[] = [
  ['thrandis-kfac', 'mlp', thrandis, 'float64', 1e-12],
  ['thrandis-kfac', 'mlp-mse', thrandis, 'float64', 1e-12],
  ['thrandis-kfac', 'conv', thrandis, 'float32', 1e-5],
  ['thrandis-kfac-average', 'mlp', { ...thrandis, average: fromFirst(0.75) }, 'float64', 1e-12],
  ['thrandis-kfac-pi', 'mlp', thrandisPi, 'float64', 1e-12],
  ['thrandis-kfac-pi', 'mlp-mse', thrandisPi, 'float64', 1e-12],
  ['thrandis-kfac-pi', 'conv', thrandisPi, 'float32', 1e-5],
  ['thrandis-kfac-pi-average', 'mlp', { ...thrandisPi, average: fromFirst(0.75) }, 'float64', 1e-12],
  ['gpauloski-inverse-no-clip', 'mlp', { ...gpauloski(8), ...eachByLambda }, 'float64', 1e-12],
  ['gpauloski-inverse-no-clip', 'mlp-mse', { ...gpauloski(8), ...eachByLambda }, 'float64', 1e-12],
  ['gpauloski-inverse-clip', 'mlp', { ...gpauloski(8), ...eachByLambda, ...clipped }, 'float64', 1e-12],
  ['gpauloski-inverse-clip', 'conv', { ...gpauloski(6), ...eachByLambda, ...clipped }, 'float32', 1e-5],
  ['ntselepidis-kfac-approx', 'mlp', ntselepidis, 'float64', 1e-12],
  ['ntselepidis-kfac-approx', 'mlp-mse', ntselepidis, 'float64', 1e-12],
  ['ntselepidis-kfac-approx', 'conv', ntselepidis, 'float32', 1e-5],
  ['ntselepidis-kfac-approx-no-clip', 'mlp', { ...ntselepidis, learningRate: 0.01, klClip: 0 }, 'float64', 1e-12],
  ['thrandis-ekfac', 'mlp', thrandisCorrected('mlp'), 'float64', 1e-11],
  ['thrandis-ekfac', 'mlp-mse', thrandisCorrected('mlp-mse'), 'float64', 1e-11],
  ['thrandis-ekfac', 'conv', thrandisCorrected('conv'), 'float32', 1e-5],
  ['thrandis-ekfac-average', 'mlp', thrandisAveraged, 'float64', 1e-11],
  ['gpauloski-eigen-no-clip', 'mlp', { ...gpauloski(8), ...exactly }, 'float64', 1e-11],
  ['gpauloski-eigen-clip', 'mlp', { ...gpauloski(8), ...exactly, ...clipped }, 'float64', 1e-11],
  ['gpauloski-eigen-clip', 'conv', { ...gpauloski(6), ...exactly, ...clipped }, 'float32', 1e-5],
  ['ntselepidis-kfac-symeig', 'mlp', { ...ntselepidis, ...exactly }, 'float64', 1e-11],
  ['ntselepidis-kfac-symeig', 'mlp-mse', { ...ntselepidis, ...exactly }, 'float64', 1e-11],
  ['ntselepidis-kfac-symeig', 'conv', { ...ntselepidis, ...exactly }, 'float32', 1e-5],
  ['singd-diagonal', 'mlp', singd('mlp'), 'float64', 1e-12],
  ['singd-diagonal', 'mlp-mse', singd('mlp-mse'), 'float64', 1e-12],
  ['foof', 'mlp', foof, 'float64', 1e-12],
  ['foof', 'mlp-mse', foof, 'float64', 1e-12],
  ['foof', 'conv', foof, 'float32', 1e-5],
  [
    'cgfac-author-exact',
    'mlp',
    // All solutions are multiplied by ν, which shrinks in each step.
    {
      learningRate: (step) => 0.05 / 1.01 ** (step + 1),
      damping: 0.003,
      average: fromIdentity(0.5),
      preconditioner: { damping: converged },
    },
    'float64',
    1e-12,
  ],
];

test.each(cases)('%s in %s', async (name, network, traced, precision, rounding) => {
  const trace: RecordedTrace = traceNamed(`../kfac/${name}-${network}`);
  const noise: Replay['noise'] = (step) => trace.sampledTargets?.[step] ?? [];
  const ours = await replayed(trace, tracedOptimizer(network, traced), precision, { noise });
  expect(Object.keys(ours.after)).toContain('20');
  const tolerance = rounding * Math.max(1, trace.amplification);
  expect(largestDifference(trace, ours)).toBeLessThan(tolerance);
  for (const [k, loss] of ours.losses.entries()) {
    expect(Math.abs(loss - (trace.losses[k] ?? Number.NaN)), `loss ${k}`).toBeLessThan(10 * tolerance);
  }
});

/** With the targets that a program has drawn for each step. */
interface RecordedTrace extends Trace {
  readonly sampledTargets?: readonly (readonly number[])[];
}
