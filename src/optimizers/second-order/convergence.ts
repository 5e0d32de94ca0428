// Options of conjugate gradients in optimizers, and a warning at the end of a run whose solves did not converge.
import type { Value } from '../../graph/graph.js';
import { checkedCount, checkedNumber } from '../../options.js';
import type { StepContext } from '../optimizer.js';

export interface SolveOptions {
  /** Most iterations of a solve; 50 by default. */
  readonly maxIterations?: number;
  /** Relative residual at which a solve ends; 0.001 by default. */
  readonly tolerance?: number;
}

/**
 * Return the options with their defaults.
 * @throws OptionError for numbers out of range
 */
export const checkedSolve = ({ maxIterations = 50, tolerance = 1e-3 }: SolveOptions): Required<SolveOptions> => ({
  maxIterations: checkedCount('maxIterations', maxIterations),
  tolerance: checkedNumber('tolerance', tolerance, { above: 0 }),
});

export interface Solve {
  /** Iterations of the solve, a scalar. */
  readonly iterations: Value;
  /** The relative residual at its end, a scalar. */
  readonly residual: Value;
}

/**
 * Report the most iterations and the largest residual of a step's solves, and warn at the end of the run if most steps
 * had one that did not reach the tolerance.
 */
export function reportSolves(context: StepContext, solves: readonly Solve[], options: Required<SolveOptions>): void {
  const { b } = context;
  const largest = (values: readonly Value[]): Value => values.reduce((x, y) => b.max(x, y));
  context.report('iterations', largest(solves.map(({ iterations, residual }) => b.cast(iterations, residual.dtype))));
  context.report('residual', largest(solves.map(({ residual }) => residual)));
  let [steps, unfinished] = [0, 0];
  context.steer({
    observe(_step, { residual = Number.NaN }) {
      steps += 1;
      // Not "residual > tolerance": NaN counts as unfinished.
      if (!(residual <= options.tolerance)) unfinished += 1;
    },
    snapshot: () => ({ steps, unfinished }),
    restore: (snapshot) => {
      ({ steps = 0, unfinished = 0 } = snapshot);
    },
    warning: () =>
      2 * unfinished > steps
        ? `In ${unfinished} of ${steps} steps conjugate gradients ended at maxIterations (${options.maxIterations}), before the residual fell to ${options.tolerance}: allow more of them, or raise the damping.`
        : undefined,
  });
}
