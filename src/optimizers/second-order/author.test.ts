// The steps of the author of CG-FAC (arXiv 2101.00218, closest-git/DeepFormer, kfac/CG_KFAC.py): 20 of them, on the same batches.
// Averages of A and G start at the identity; conjugate gradients on X start at zero and end at a squared residual of 0.01 of the
// first, or after 10 iterations; their solution is multiplied by ν and goes through SGD with momentum.
import { expect, test } from 'vitest';
import { largestDifference, replayed, traceNamed } from '../../../test/support/optimizer-trace.js';
import { joinedRows } from '../../curvature/factors/moving-average.js';
import { denseInputSide, denseOutputSide } from '../../curvature/factors/sides.js';
import { empirical } from '../../curvature/fisher.js';
import type { Value } from '../../graph/graph.js';
import { byResidual } from '../../solvers/stopping.js';
import { scheduled } from '../steps/scheduled.js';
import { cgfac } from './cgfac.js';
import type { SolveOptions } from './convergence.js';
import { type ProductDamping, rootDampingOf } from './damping.js';
import type { FreshFactors } from './factors.js';
import { KroneckerOperator } from './kronecker-operator.js';
import { primalSolve } from './primal.js';
import { measuredNow } from './refresh.js';
import { RowCoordinates } from './row-coordinates.js';
import { tikhonov } from './tikhonov.js';

/**
 * Averages ρ·F + (1 − ρ)·new that start at the identity and take a new value every n-th step.
 * @param scale of the likelihood's gradients, whose squares G is made of
 */
const averages = (decay: number, { interval = 1, scale = 1 } = {}): FreshFactors => ({
  name: 'averages from the identity',
  begin({ b, scalar, state }) {
    const isDue = (step: number) => step % interval === 0;
    const keep = scalar('factors.keep', (step) => (isDue(step) ? decay : 1));
    const take = scalar('factors.take', (step) => (isDue(step) ? 1 - decay : 0));
    const ofIdentity = scalar('factors.identity', (step) => decay ** (Math.floor(step / interval) + 1));
    const average = (name: string, rows: Value, unit = 1): Value => {
      const size = rows.dims.at(-1) ?? 1;
      const sum = state(name, [size, size], (old) =>
        b.add(b.mul(old, keep), b.mul(b.gemm(rows, rows, undefined, { transposeX: true }), take)),
      );
      return b.add(sum, b.mul(b.op('EyeLike', [sum]), b.mul(ofIdentity, unit)));
    };
    return ({ block, rows }) =>
      new KroneckerOperator(
        denseInputSide(b, average(`A.${block.weight}`, joinedRows(b, rows.inputs))),
        denseOutputSide(b, average(`G.${block.weight}`, rows.outputs, scale ** 2)),
      );
  },
});

/** Conjugate gradients on X with those factors; a layer's solve is reported as `iterations`. */
const onX = (options: Required<SolveOptions>): ProductDamping => ({
  name: 'on X',
  precondition({ context, factors, delta, measure }) {
    const { b } = context;
    const blocks = measuredNow(measure);
    const operatorOf = factors.begin(context);
    const systems = blocks.map(({ rows, ...each }) => {
      const operator = operatorOf({ rows, ...each });
      return { each, v: each.smoothed, coordinates: new RowCoordinates(operator), delta: delta(b, operator) };
    });
    const { solutionOf } = primalSolve(b, systems, options);
    return systems.map((system) => ({
      ...system.each,
      direction: solutionOf(system),
      rootDamping: rootDampingOf(b, system.delta, system.coordinates.operator),
    }));
  },
});

const early = onX({ maxIterations: 10, stopping: byResidual({ tolerance: 0.1 }) });
const converged = { maxIterations: 300, stopping: byResidual({ tolerance: 1e-13 }), shrinkage: 0 };

/** ν after so many divisions. */
const nu = (divisions: number) => 1.01 ** -divisions;

/**
 * By the name of the trace. `scale` is that of the negative log-likelihood in units of the loss: λ is in units of its square,
 * and the solution in units of its inverse.
 */
const traced = [
  {
    name: 'mlp',
    damping: early,
    lambda: 0.003,
    factors: averages(0.95),
    scale: 1,
    divisions: (step: number) => step + 1,
  },
  {
    name: 'mlp-mse',
    damping: early,
    lambda: 0.003,
    factors: averages(0.95, { scale: 1.5 }),
    scale: 1.5,
    divisions: (step: number) => step + 1,
  },
  {
    name: 'defaults-mlp',
    damping: early,
    lambda: 0.001,
    factors: averages(0.95, { interval: 10 }),
    scale: 1,
    divisions: () => 1,
  },
  {
    name: 'exact-mlp',
    damping: tikhonov(converged),
    lambda: 0.003,
    factors: averages(0.5),
    scale: 1,
    divisions: (step: number) => step + 1,
  },
] as const;

test.each(traced)('$name', async ({ name, damping, lambda, factors, scale, divisions }) => {
  const trace = traceNamed(`cgfac-author-${name}`);
  const optimizer = cgfac({
    damping,
    factors,
    fisher: empirical(),
    curvatureRows: 1000,
    step: scheduled({
      learningRate: (step) => 0.05 * scale * nu(divisions(step)),
      damping: lambda * scale ** 2,
      momentum: 0.9,
      klClip: 0,
    }),
  });
  const ours = await replayed(trace, optimizer, 'float64');
  expect(largestDifference(trace, ours)).toBeLessThan(1e-9 * trace.amplification);
});
