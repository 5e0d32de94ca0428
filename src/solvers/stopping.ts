// When conjugate gradients end: by the residual, or by the progress of the quadratic that they minimize.
import type { Value } from '../graph/graph.js';
import { tensorFrom } from '../graph/tensor.js';
import type { Builder } from '../ops/builder.js';
import { checkedCount, checkedNumber, checkKeys } from '../options.js';

/** A solve before its first iteration. Numbers are scalars, or `[systems]` of a batch. */
export interface SolveStart {
  /** ‖b − A·x₀‖²/‖b‖² */
  readonly squaredResidual: Value;
  /** Return φ(x₀) in units of ‖b‖², for φ(x) = ½·xᵀAx − bᵀx. */
  quadratic(): Value;
  readonly maxIterations: number;
}

/** A solve after an iteration. */
export interface SolveProgress {
  /** Iterations before this one, an int64 scalar. */
  readonly iteration: Value;
  readonly squaredResidual: Value;
  /** Return how much φ fell in this iteration, in units of ‖b‖². */
  decrease(): Value;
  readonly memory: readonly Value[];
}

export interface StoppingState {
  /** Whether the solve goes on. */
  readonly running: Value;
  /** What the rule remembers. */
  readonly memory: readonly Value[];
}

/** Decides when a solve ends before its last iteration. */
export interface Stopping {
  readonly name: string;
  /** The name of what it measures. */
  readonly measure: string;
  /** A solve has ended by the rule if its measure is at most this. */
  readonly limit: number;
  begin(b: Builder, start: SolveStart): StoppingState;
  next(b: Builder, progress: SolveProgress): StoppingState;
  /** Return the measure at the end of a solve from what the rule remembers; left out if it is the residual. */
  measured?(memory: readonly Value[]): Value;
}

export interface ResidualOptions {
  /** Relative residual ‖b − A·x‖/‖b‖ at which a solve ends; 0.001 by default. */
  readonly tolerance?: number;
}

/**
 * Return the rule that ends a solve when ‖b − A·x‖ ≤ tolerance·‖b‖.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = cgfac({ damping: tikhonov({ stopping: byResidual({ tolerance: 0.01 }) }) });
 */
export function byResidual(options: ResidualOptions = {}): Stopping {
  checkKeys('byResidual', options, { tolerance: true });
  const tolerance = checkedNumber('tolerance', options.tolerance ?? 1e-3, { above: 0 });
  const running = (b: Builder, squared: Value): Value =>
    b.greater(squared, b.square(b.scalar(tolerance, squared.dtype)));
  return {
    name: 'byResidual',
    measure: 'residual',
    limit: tolerance,
    begin: (b, { squaredResidual }) => ({ running: running(b, squaredResidual), memory: [] }),
    next: (b, { squaredResidual }) => ({ running: running(b, squaredResidual), memory: [] }),
  };
}

export interface ProgressOptions {
  /** ε: relative progress of the quadratic in an iteration at which a solve ends; 0.0005 by default. */
  readonly tolerance?: number;
  /** Least number of iterations that the progress is measured over; 10 by default. */
  readonly window?: number;
}

/** The progress is measured over at least this share of the iterations so far. */
const windowShare = 0.1;

/**
 * Return the rule that ends a solve when the quadratic φ(x) = ½·xᵀAx − bᵀx hardly falls any more: after i > k iterations with
 * φ(xᵢ) < 0 and (φ(xᵢ) − φ(xᵢ₋ₖ))/φ(xᵢ) < k·ε, with k = max(window, ⌈i/10⌉) (Martens 2010, section 4.4). The residual can
 * rise while φ falls, and it is φ that a step wants low.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = cgfac({ damping: tikhonov({ stopping: byProgress({ tolerance: 1e-4 }), maxIterations: 100 }) });
 */
export function byProgress(options: ProgressOptions = {}): Stopping {
  checkKeys('byProgress', options, { tolerance: true, window: true });
  const tolerance = checkedNumber('tolerance', options.tolerance ?? 5e-4, { above: 0 });
  const window = checkedCount('window', options.window ?? 10);
  /** k for each number of iterations. */
  const windowAt = (i: number): number => Math.max(window, Math.ceil(windowShare * i));
  return {
    name: 'byProgress',
    measure: 'progress',
    limit: tolerance,
    begin(b, { squaredResidual, quadratic, maxIterations }) {
      const start = quadratic();
      // φ of each iterate in a column, the start in the first.
      const columns = b.filled([...start.dims, maxIterations + 1], 1, start.dtype);
      return {
        running: b.greater(squaredResidual, 0),
        memory: [start, b.onesLike(start), b.mul(columns, b.unsqueeze(start, [-1]))],
      };
    },
    next(b, { iteration, squaredResidual, decrease, memory: [last, , history] }) {
      if (!last || !history) throw new Error('byProgress begins with a memory');
      const counts = Array.from({ length: history.dims.at(-1) ?? 1 }, (_, i) => i);
      const integers = (numbers: readonly number[]) => b.constant(tensorFrom('int64', [counts.length], numbers));
      const done = b.add(iteration, b.scalar(1, 'int64'));
      const value = b.sub(last, decrease());
      const next = b.where(b.equal(integers(counts), done), b.unsqueeze(value, [-1]), history);
      const window = b.gather(integers(counts.map(windowAt)), done);
      const before = b.gather(
        next,
        b.gather(integers(counts.map((i) => Math.max(0, i - windowAt(i)))), done),
        next.rank - 1,
      );
      const progress = b.div(b.div(b.sub(value, before), b.min(value, -1e-30)), b.cast(window, value.dtype));
      const measured = b.where(b.and(b.greater(done, window), b.less(value, 0)), progress, 1);
      // Only rounding is left of the residual: there is no more progress to be made.
      const measure = b.where(b.greater(squaredResidual, value.dtype === 'float64' ? 1e-28 : 1e-12), measured, 0);
      const running = b.greater(measure, tolerance);
      return { running, memory: [value, measure, next] };
    },
    measured([, measure]) {
      if (!measure) throw new Error('byProgress begins with a memory');
      return measure;
    },
  };
}
