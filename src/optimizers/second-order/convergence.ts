// Options of conjugate gradients in optimizers, and a warning at the end of a run whose solves did not converge.
import { unstack } from '../../curvature/factors/matrices.js';
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { checkedCount, type OptionKeys } from '../../options.js';
import type { SystemSolves } from '../../solvers/conjugate-gradient.js';
import { byResidual, type Stopping } from '../../solvers/stopping.js';
import type { StepContext } from '../optimizer.js';
import { checkedObject } from '../options.js';

export interface SolveOptions {
  /** Most iterations of a solve; 50 by default. */
  readonly maxIterations?: number;
  /** When a solve ends before: `byResidual()` by default, or `byProgress()`. */
  readonly stopping?: Stopping;
}

export const solveKeys: OptionKeys<SolveOptions> = { maxIterations: true, stopping: true };

/**
 * Return the options with their defaults.
 * @throws OptionError for numbers out of range, and for anything but a stopping rule
 */
export const checkedSolve = ({ maxIterations = 50, stopping }: SolveOptions): Required<SolveOptions> => ({
  maxIterations: checkedCount('maxIterations', maxIterations),
  stopping: checkedObject('stopping', stopping, 'begin', ['byResidual', 'byProgress']) ?? byResidual(),
});

/** How solves are to be done. */
export interface SolveSettings extends Required<SolveOptions> {
  /** Whether to tell what the solve of each block took, too. */
  readonly apart?: boolean;
}

export interface Solve {
  /** Iterations of the solve, a scalar. */
  readonly iterations: Value;
  /** The relative residual at its end, a scalar. */
  readonly residual: Value;
  /** What the stopping rule measured at its end, a scalar. */
  readonly measure: Value;
  /** The same of each system, if asked for. */
  readonly systems?: SystemSolves;
}

/** What the solve of one block took, scalars: the most of its groups. */
export type BlockSolve = Pick<Solve, 'iterations' | 'residual'>;

/**
 * Return what the solve of one block of a batch took, to be added to the block; nothing if it was not asked for.
 * @param stacked the matrices that `stack` made the batch of
 * @param index of the block's matrix
 */
export function ownSolve(
  b: Builder,
  { systems }: Solve,
  stacked: readonly Value[],
  index: number,
): { readonly solve?: BlockSolve } {
  if (!systems) return {};
  const own = (values: Value): Value => b.reduceMax(unstack(b, b.unsqueeze(values, [1, 2]), stacked, index));
  return { solve: { iterations: own(systems.iterations), residual: own(systems.residual) } };
}

/**
 * Report the most iterations and the largest residual of a step's solves, and what ends them if it is not the residual, and
 * warn at the end of the run if most steps had a solve that ran out of iterations.
 */
export function reportSolves(context: StepContext, solves: readonly Solve[], options: Required<SolveOptions>): void {
  const { b } = context;
  const largest = (values: readonly Value[]): Value => values.reduce((x, y) => b.max(x, y));
  context.report('iterations', largest(solves.map(({ iterations, residual }) => b.cast(iterations, residual.dtype))));
  context.report('residual', largest(solves.map(({ residual }) => residual)));
  const { stopping, maxIterations } = options;
  const { measure, limit } = stopping;
  if (stopping.measured) context.report(measure, largest(solves.map((solve) => solve.measure)));
  let [steps, unfinished] = [0, 0];
  context.steer({
    observe(_step, { [measure]: measured = Number.NaN }) {
      steps += 1;
      // Not "measured > limit": NaN counts as unfinished.
      if (!(measured <= limit)) unfinished += 1;
    },
    snapshot: () => ({ steps, unfinished }),
    restore: (snapshot) => {
      ({ steps = 0, unfinished = 0 } = snapshot);
    },
    warning: () =>
      2 * unfinished > steps
        ? `In ${unfinished} of ${steps} steps conjugate gradients ended at maxIterations (${maxIterations}), before the ${measure} fell to ${limit}: allow more of them, or raise the damping.`
        : undefined,
  });
}
