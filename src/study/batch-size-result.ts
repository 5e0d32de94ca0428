// The result of `study batch-size`: steps and seconds to a target against the size of batches, over a grid of rates and dampings.
import { type Edge, edgeOf } from './grid-edge.js';
import { groupedBy, median } from './statistics.js';

/** An optimizer and its grid. */
export interface Sweep {
  /** As the command line writes it, without rate and damping. */
  readonly optimizer: string;
  readonly rates: readonly number[];
  /** Null if it has no damping. */
  readonly dampings: readonly number[] | null;
}

/** One run. */
export interface BatchRow {
  readonly optimizer: string;
  readonly batch: number;
  readonly rate: number;
  readonly damping: number | null;
  readonly seed: number;
  /** Null if the target was not reached within the planned steps. */
  readonly reached: { readonly steps: number; readonly seconds: number } | null;
  readonly diverged: boolean;
  readonly steps: number;
  readonly planned: number;
  readonly seconds: number;
}

/** A point of the grid, over its seeds. */
export interface GridCell {
  readonly optimizer: string;
  readonly batch: number;
  readonly rate: number;
  readonly damping: number | null;
  /** Medians over the seeds; null if most of them never reach the target. */
  readonly steps: number | null;
  readonly seconds: number | null;
  readonly reached: number;
  readonly diverged: number;
}

/** The best of an optimizer's grid at a size of batches, by steps. */
export interface BestCell {
  readonly optimizer: string;
  readonly batch: number;
  /** Null if no point of the grid reaches the target. */
  readonly best: {
    readonly steps: number;
    readonly seconds: number;
    readonly rate: number;
    readonly damping: number | null;
    readonly rateEdge: Edge;
    readonly dampingEdge: Edge;
    /** Steps if twice the batch halved them from the smallest batch on, and the share of them that are needed. */
    readonly idealSteps: number;
    readonly efficiency: number;
  } | null;
  /** The shortest time of the grid, which may be another point. */
  readonly fastest: { readonly seconds: number; readonly rate: number; readonly damping: number | null } | null;
  /** Share of the grid that reaches the target, and that does in at most twice the best's steps. */
  readonly reachingShare: number;
  readonly nearShare: number;
}

export interface BatchPlan {
  readonly problem: string;
  readonly title: string;
  readonly target: { readonly metric: string; readonly value: number };
  readonly examples: number;
  /** Passes over the examples of the longest run. */
  readonly epochs: number;
  readonly seeds: number;
  readonly batches: readonly number[];
  readonly sweeps: readonly Sweep[];
}

export interface BatchSizeResult extends BatchPlan {
  readonly study: 'batch-size';
  readonly best: readonly BestCell[];
  readonly cells: readonly GridCell[];
  readonly runs: readonly BatchRow[];
}

const finiteOr = (value: number): number | null => (Number.isFinite(value) ? value : null);

export function batchSizeResult(rows: readonly BatchRow[], plan: BatchPlan): BatchSizeResult {
  const groups = groupedBy(rows, ({ optimizer, batch, rate, damping }) =>
    JSON.stringify([optimizer, batch, rate, damping]),
  );
  const cells = [...groups.values()].flatMap((own): GridCell[] => {
    const [first] = own;
    if (!first) return [];
    const { optimizer, batch, rate, damping } = first;
    const of = (value: (row: BatchRow) => number | undefined) =>
      finiteOr(median(own.map((row) => value(row) ?? Number.POSITIVE_INFINITY)));
    return [
      {
        ...{ optimizer, batch, rate, damping },
        steps: of(({ reached }) => reached?.steps),
        seconds: of(({ reached }) => reached?.seconds),
        reached: own.filter(({ reached }) => reached !== null).length,
        diverged: own.filter(({ diverged }) => diverged).length,
      },
    ];
  });
  const best = plan.sweeps.flatMap((sweep) => bestOfSweep(sweep, plan.batches, cells));
  return { study: 'batch-size', ...plan, best, cells, runs: rows };
}

/** A point of the grid that reaches the target. */
type Reaching = GridCell & { readonly steps: number; readonly seconds: number };

function bestOfSweep(
  { optimizer, rates, dampings }: Sweep,
  batches: readonly number[],
  cells: readonly GridCell[],
): BestCell[] {
  const sorted = [...batches].sort((a, b) => a - b);
  let start: { readonly batch: number; readonly steps: number } | undefined;
  return sorted.map((batch) => {
    const own = cells.filter((cell) => cell.optimizer === optimizer && cell.batch === batch);
    const reaching = own.flatMap(({ steps, seconds, ...cell }): Reaching[] =>
      steps === null || seconds === null ? [] : [{ ...cell, steps, seconds }],
    );
    const [any] = reaching;
    const share = (some: readonly unknown[]) => (own.length === 0 ? 0 : some.length / own.length);
    if (!any) return { optimizer, batch, best: null, fastest: null, reachingShare: 0, nearShare: 0 };
    const least = (value: (cell: Reaching) => number): Reaching =>
      reaching.reduce((low, cell) => (value(cell) < value(low) ? cell : low), any);
    // Of equal steps the quickest.
    const { steps, seconds, rate, damping } = least((cell) => cell.steps + 1e-9 * cell.seconds);
    start ??= { batch, steps };
    const idealSteps = (start.steps * start.batch) / batch;
    const fastest = least((cell) => cell.seconds);
    return {
      optimizer,
      batch,
      best: {
        ...{ steps, seconds, rate, damping },
        rateEdge: edgeOf(rate, rates),
        dampingEdge: damping === null || dampings === null ? null : edgeOf(damping, dampings),
        idealSteps,
        efficiency: idealSteps / steps,
      },
      fastest: { seconds: fastest.seconds, rate: fastest.rate, damping: fastest.damping },
      reachingShare: share(reaching),
      nearShare: share(reaching.filter((cell) => cell.steps <= 2 * steps)),
    };
  });
}
