// The result of `study defaults`: each optimizer's way to the best validation loss of a tuned baseline, on every problem.
import { type Edge, edgeOf } from './grid-edge.js';
import { geometricMean, groupedBy, median } from './statistics.js';
import type { Curve } from './training-run.js';

/** One run. */
export interface DefaultsRow extends Curve {
  readonly problem: string;
  /** As the command line writes it, without the rate of the grid. */
  readonly optimizer: string;
  /** Of the baseline's grid; null for an optimizer by default. */
  readonly rate: number | null;
  readonly seed: number;
  readonly planned: number;
}

interface GridPoint {
  readonly rate: number;
  /** Median over the seeds of the best validation loss of a run; null if most runs diverged. */
  readonly bestLoss: number | null;
  readonly diverged: number;
}

export interface TunedBaseline {
  readonly rate: number;
  /** The end of the grid if the best rate lies there: a better one may lie beyond. */
  readonly edge: Edge;
  readonly bestLoss: number;
  readonly grid: readonly GridPoint[];
}

/** An optimizer against the tuned baseline on one problem; ratios are medians over the seeds, of the same seed. */
export interface Contest {
  readonly optimizer: string;
  /** Steps to the baseline's best validation loss, divided by the baseline's; null if most seeds never reach it. */
  readonly stepRatio: number | null;
  readonly secondRatio: number | null;
  /** Seeds that reached it. */
  readonly reached: number;
  /** What the ratios are at least, if it was never reached: the whole run divided by the baseline's. */
  readonly stepBound: number;
  readonly secondBound: number;
  /** Best validation loss, divided by the baseline's; null if there was none. */
  readonly lossRatio: number | null;
  readonly bestLoss: number | null;
  readonly diverged: number;
  readonly millisecondsPerStep: number;
  readonly stateBytes: number;
}

export interface ProblemResult {
  readonly problem: string;
  readonly title: string;
  readonly parameters: number;
  readonly batchSize: number;
  readonly steps: number;
  /** Undefined values of the baseline: null if no rate of the grid kept a finite loss. */
  readonly tuned: TunedBaseline | null;
  readonly contests: readonly Contest[];
}

/** An optimizer over all problems. */
export interface OverallResult {
  readonly optimizer: string;
  /** Geometric means over the problems; where a problem was not reached its bound counts, and the mean is a bound. */
  readonly stepRatio: number | null;
  readonly secondRatio: number | null;
  readonly isBound: boolean;
  /** Problems on which most seeds reached the baseline's best validation loss. */
  readonly reached: number;
  readonly problems: number;
  readonly divergedRuns: number;
  readonly runs: number;
  readonly worst: { readonly problem: string; readonly lossRatio: number } | null;
}

export interface DefaultsResult {
  readonly study: 'defaults';
  readonly baseline: string;
  /** Of the grid before it was extended on problems whose best rate lay at its edge. */
  readonly rates: readonly number[];
  readonly seeds: number;
  readonly budget: number;
  readonly problems: readonly ProblemResult[];
  readonly optimizers: readonly OverallResult[];
  readonly runs: readonly DefaultsRow[];
}

/** A problem as the result names it. */
interface NamedProblem {
  readonly name: string;
  readonly title: string;
  readonly parameters: number;
  readonly batchSize: number;
  readonly steps: number;
}

export interface DefaultsPlan {
  readonly baseline: string;
  readonly rates: readonly number[];
  readonly seeds: number;
  readonly budget: number;
  readonly optimizers: readonly string[];
  readonly problems: readonly NamedProblem[];
}

/**
 * Return the rate by which a grid is to be extended: beyond the edge at which the best lies, unless it was extended
 * `mostExtensions` times already.
 */
export function nextRate(tuned: TunedBaseline | undefined, begun: readonly number[]): number | undefined {
  if (!tuned?.edge || tuned.grid.length >= begun.length + mostExtensions) return undefined;
  return Number((tuned.rate * (tuned.edge === 'highest' ? 2 : 1 / 2)).toPrecision(3));
}

/** Rates, each twice or half the one before, that are added beyond the edges of a grid. */
export const mostExtensions = 3;

/** Best validation loss of a run, where lower is better; infinite for a run that diverged or was never evaluated. */
const bestOf = ({ points, diverged }: DefaultsRow): number =>
  diverged
    ? Number.POSITIVE_INFINITY
    : points.reduce((best, [, , loss]) => Math.min(best, loss), Number.POSITIVE_INFINITY);

/** Where a run first has a loss of at most `target`. */
export function firstAt({ points }: Pick<DefaultsRow, 'points'>, target: number) {
  const found = points.find(([, , loss]) => loss <= target);
  return found && { steps: found[0], seconds: found[1] };
}

/**
 * Return the rate whose median best loss is the lowest, of all rates that were measured; undefined if none has one.
 * @param rows of the baseline on one problem
 */
export function tunedBaseline(rows: readonly DefaultsRow[]): TunedBaseline | undefined {
  const rates = [...new Set(rows.flatMap(({ rate }) => rate ?? []))].sort((a, b) => a - b);
  const grid = rates.map((rate) => {
    const own = rows.filter((row) => row.rate === rate);
    return { rate, bestLoss: median(own.map(bestOf)), diverged: own.filter(({ diverged }) => diverged).length };
  });
  const finite = grid.filter(({ bestLoss }) => Number.isFinite(bestLoss));
  const [first, ...others] = finite;
  if (!first) return undefined;
  const best = others.reduce((least, each) => (each.bestLoss < least.bestLoss ? each : least), first);
  return {
    rate: best.rate,
    edge: edgeOf(best.rate, rates),
    bestLoss: best.bestLoss,
    grid: grid.map(({ bestLoss, ...rest }) => ({ ...rest, bestLoss: finiteOr(bestLoss) })),
  };
}

const finiteOr = (value: number): number | null => (Number.isFinite(value) ? value : null);

export function defaultsResult(rows: readonly DefaultsRow[], plan: DefaultsPlan): DefaultsResult {
  const byProblem = groupedBy(rows, ({ problem }) => problem);
  const problems = plan.problems.map(({ name, ...rest }) => {
    const own = byProblem.get(name) ?? [];
    const tuned = tunedBaseline(own.filter(({ rate }) => rate !== null));
    const rivals = own.filter(({ rate }) => rate !== null && rate === tuned?.rate);
    const contests = plan.optimizers.map((optimizer) =>
      contest(
        optimizer,
        own.filter((row) => row.rate === null && row.optimizer === optimizer),
        rivals,
      ),
    );
    return { problem: name, ...rest, tuned: tuned ?? null, contests };
  });
  return {
    study: 'defaults',
    baseline: plan.baseline,
    rates: plan.rates,
    seeds: plan.seeds,
    budget: plan.budget,
    problems,
    optimizers: plan.optimizers.map((optimizer) => overall(optimizer, problems, plan.seeds)),
    runs: rows,
  };
}

/** Seeds are compared in pairs: a seed has the same initial parameters and the same batches for both. */
function contest(optimizer: string, own: readonly DefaultsRow[], rivals: readonly DefaultsRow[]): Contest {
  const pairs = own.flatMap((row) => {
    const rival = rivals.find(({ seed }) => seed === row.seed);
    const target = rival && bestOf(rival);
    const theirs = rival && target !== undefined && firstAt(rival, target);
    if (!rival || target === undefined || !theirs) return [];
    const mine = row.diverged ? undefined : firstAt(row, target);
    const perStep = row.seconds / Math.max(1, row.steps);
    return [
      {
        steps: mine ? mine.steps / theirs.steps : Number.POSITIVE_INFINITY,
        seconds: mine ? mine.seconds / theirs.seconds : Number.POSITIVE_INFINITY,
        // Never within the run: at least as long as the whole of it.
        stepBound: row.planned / theirs.steps,
        secondBound: (row.planned * perStep) / theirs.seconds,
        loss: bestOf(row) / target,
      },
    ];
  });
  const of = (value: (pair: (typeof pairs)[number]) => number) => median(pairs.map(value));
  return {
    optimizer,
    stepRatio: finiteOr(of(({ steps }) => steps)),
    secondRatio: finiteOr(of(({ seconds }) => seconds)),
    reached: pairs.filter(({ steps }) => Number.isFinite(steps)).length,
    stepBound: finiteOr(of(({ stepBound }) => stepBound)) ?? 0,
    secondBound: finiteOr(of(({ secondBound }) => secondBound)) ?? 0,
    lossRatio: finiteOr(of(({ loss }) => loss)),
    bestLoss: finiteOr(median(own.map(bestOf))),
    diverged: own.filter(({ diverged }) => diverged).length,
    millisecondsPerStep: finiteOr(median(own.map(({ seconds, steps }) => (1000 * seconds) / Math.max(1, steps)))) ?? 0,
    stateBytes: Math.max(0, ...own.map(({ stateBytes }) => stateBytes)),
  };
}

function overall(optimizer: string, problems: readonly ProblemResult[], seeds: number): OverallResult {
  const contests = problems.flatMap(({ problem, tuned, contests: all }) => {
    const own = all.find((each) => each.optimizer === optimizer);
    return own && tuned ? [{ problem, ...own }] : [];
  });
  const mean = (ratio: (each: Contest) => number | null, bound: (each: Contest) => number) =>
    finiteOr(geometricMean(contests.map((each) => ratio(each) ?? bound(each))));
  const worst = contests.reduce<OverallResult['worst']>((most, { problem, lossRatio }) => {
    if (lossRatio === null || (most && most.lossRatio >= lossRatio)) return most;
    return { problem, lossRatio };
  }, null);
  return {
    optimizer,
    stepRatio: mean(
      ({ stepRatio }) => stepRatio,
      ({ stepBound }) => stepBound,
    ),
    secondRatio: mean(
      ({ secondRatio }) => secondRatio,
      ({ secondBound }) => secondBound,
    ),
    isBound: contests.some(({ stepRatio }) => stepRatio === null),
    reached: contests.filter(({ stepRatio }) => stepRatio !== null).length,
    problems: contests.length,
    divergedRuns: contests.reduce((sum, { diverged }) => sum + diverged, 0),
    runs: seeds * contests.length,
    worst,
  };
}
