// What `study defaults` shows: the geometric means, each problem, the baseline's grid, and where an optimizer loses.
import { formatBytes, formatCount, formatMeasured, formatNumber, formatSteps, listed } from '../format.js';
import { shortLabels } from '../reporting/names.js';
import type { Html } from '../reporting/report/html.js';
import { lineChart, longestLabel } from '../reporting/report/line-chart.js';
import { assignInks, type Ink } from '../reporting/report/palette.js';
import { fittingScale, logScale, tightScale } from '../reporting/report/scales.js';
import { quietInk } from './charts.js';
import {
  type Contest,
  type DefaultsResult,
  type DefaultsRow,
  mostExtensions,
  type OverallResult,
  type ProblemResult,
} from './defaults-result.js';
import type { Presentation, Section } from './study.js';
import type { StudyCell, StudyTable } from './table.js';

const tuned = (baseline: string): string => `tuned ${baseline}`;

/** A loss ratio above this is a problem on which an optimizer ends worse. */
const worse = 1.1;

export function defaultsPresentation(result: DefaultsResult): Presentation {
  const { optimizers, problems, baseline } = result;
  const [first] = optimizers;
  return {
    headline: first ? headline(first, baseline) : 'No optimizer to judge',
    findings: [
      ...optimizers.flatMap((each) => lossesOf(each, result)),
      ...optimizers.slice(1).map((each) => `${headline(each, baseline)}.`),
      ...edgeFindings(result),
    ],
    sections: [overallSection(result), problemSection(result), gridSection(result), curveSection(result)].filter(
      ({ tables, charts }) => problems.length > 0 && (tables.length > 0 || charts.length > 0),
    ),
  };
}

const atLeast = (isBound: boolean): string => (isBound ? 'at least ' : '');

function headline({ optimizer, stepRatio, secondRatio, isBound, problems }: OverallResult, baseline: string): string {
  if (stepRatio === null || secondRatio === null) return `${optimizer} could not be compared with ${tuned(baseline)}`;
  const means = `${atLeast(isBound)}${formatNumber(stepRatio)} times the steps and ${atLeast(isBound)}${formatNumber(secondRatio)} times the seconds`;
  return `${optimizer} without options takes ${means} of ${tuned(baseline)} to its best validation loss (${problems === 1 ? 'one problem' : `geometric means over ${problems} problems`})`;
}

/** Where an optimizer loses: what it never reached, where it is slower, where it ends worse, and what diverged. */
function lossesOf({ optimizer, divergedRuns, runs }: OverallResult, { problems, baseline }: DefaultsResult): string[] {
  const own = problems.flatMap(({ problem, tuned: found, contests }) => {
    const contest = contests.find((each) => each.optimizer === optimizer);
    return contest && found ? [{ problem, ...contest }] : [];
  });
  const names = (some: readonly { readonly problem: string }[]) => listed(some.map(({ problem }) => problem));
  const missed = own.filter(({ stepRatio }) => stepRatio === null);
  const moreSteps = own.filter(({ stepRatio }) => stepRatio !== null && stepRatio >= 1);
  const moreSeconds = own.filter(({ secondRatio }) => secondRatio !== null && secondRatio >= 1);
  const ends = own.filter(({ lossRatio }) => lossRatio === null || lossRatio > worse);
  const rival = tuned(baseline);
  const parts = [
    missed.length > 0 && `in most seeds it never reaches ${rival}’s best validation loss on ${names(missed)}`,
    moreSteps.length > 0 && `it needs at least as many steps on ${names(moreSteps)}`,
    moreSeconds.length > 0 && `it needs at least as many seconds on ${names(moreSeconds)}`,
    ends.length > 0 && `its best validation loss is more than ${worse} times ${rival}’s on ${names(ends)}`,
    divergedRuns > 0 && `${divergedRuns} of its ${runs} runs diverged`,
  ].filter((part) => part !== false);
  if (parts.length === 0)
    return [`${optimizer} loses to ${rival} nowhere: fewer steps and seconds on every problem, and no run diverged.`];
  return [`Where ${optimizer} loses: ${parts.join('; ')}.`];
}

function edgeFindings({ problems, baseline }: DefaultsResult): string[] {
  const atEdge = problems.filter(({ tuned: found }) => found?.edge);
  if (atEdge.length === 0) return [];
  const places = atEdge.map(({ problem, tuned: found }) => `${problem} (the ${found?.edge})`);
  return [
    `The best rate of ${baseline} lies at the end of its extended grid on ${listed(places)}: a better one may lie beyond, and ratios there flatter its rivals.`,
  ];
}

/** A ratio, or its bound if most seeds never reached the target. */
function ratioCell(ratio: number | null, bound: number, best: number | undefined): StudyCell {
  if (ratio === null) return { text: `> ${formatNumber(bound)}`, mark: 'warning' };
  return { text: formatMeasured(ratio), mark: ratio === best ? 'best' : undefined };
}

function overallSection({ optimizers, baseline, seeds, budget }: DefaultsResult): Section {
  const least = (values: readonly (number | null)[]) =>
    Math.min(...values.filter((value): value is number => value !== null));
  const usable = optimizers.filter(({ isBound }) => !isBound);
  const bestSteps = least(usable.map(({ stepRatio }) => stepRatio));
  const bestSeconds = least(usable.map(({ secondRatio }) => secondRatio));
  const cell = (value: number | null, best: number, isBound: boolean): StudyCell => {
    if (value === null) return { text: '–' };
    if (isBound) return { text: `≥ ${formatMeasured(value)}`, mark: 'warning' };
    return { text: formatMeasured(value), mark: value === best ? 'best' : undefined };
  };
  const table: StudyTable = {
    caption: `Against ${tuned(baseline)}, over all problems`,
    columns: ['optimizer', 'steps ÷', 'seconds ÷', 'reached', 'diverged runs', 'worst loss ÷', 'on'],
    rows: optimizers.map((each) => [
      each.optimizer,
      cell(each.stepRatio, bestSteps, each.isBound),
      cell(each.secondRatio, bestSeconds, each.isBound),
      `${each.reached} of ${each.problems}`,
      each.divergedRuns > 0
        ? { text: `${each.divergedRuns} of ${each.runs}`, mark: 'warning' as const }
        : `0 of ${each.runs}`,
      each.worst
        ? {
            text: formatMeasured(each.worst.lossRatio),
            mark: each.worst.lossRatio > worse ? ('warning' as const) : undefined,
          }
        : '–',
      each.worst?.problem ?? '–',
    ]),
  };
  return {
    title: 'Over all problems',
    notes: [
      `Steps and seconds of training to the best validation loss that ${tuned(baseline)} reaches with the same seed, divided by its own (runs are evaluated fifty times); medians over ${formatCount(seeds)} ${seeds === 1 ? 'seed' : 'seeds'}, then geometric means over problems. Below 1 an optimizer is ahead. A problem that most seeds never reach counts with the whole length of the run, so the mean is a lower bound (≥).`,
      `Each optimizer has its default, the same on all problems; ${baseline} has the best of its rates on each problem, constant in a run. Seconds are of training steps alone, without evaluation and compilation, one run at a time. The validation set is the one on which ${baseline} is tuned.${budget === 1 ? '' : ` Runs have ${formatNumber(budget)} times their usual steps.`}`,
    ],
    tables: [table],
    charts: [],
  };
}

function problemSection({ problems, baseline, seeds }: DefaultsResult): Section {
  return {
    title: 'Each problem',
    notes: [
      `“> x”: in most seeds the loss was never reached within the run, which is x times as long as ${tuned(baseline)} took. “reached”: seeds of ${seeds}. “loss ÷”: best validation loss over that of ${tuned(baseline)}, median over seeds.`,
    ],
    tables: problems.map((each) => problemTable(each, baseline, seeds)),
    charts: [],
  };
}

function problemTable(problem: ProblemResult, baseline: string, seeds: number): StudyTable {
  const { title, parameters, batchSize, steps, tuned: found, contests } = problem;
  const best = (value: (contest: Contest) => number | null) =>
    Math.min(...contests.map((each) => value(each) ?? Number.POSITIVE_INFINITY));
  const [steppest, fastest, lowest] = [
    best(({ stepRatio }) => stepRatio),
    best(({ secondRatio }) => secondRatio),
    best(({ lossRatio }) => lossRatio),
  ];
  const rows = contests.map((each) => [
    each.optimizer,
    ratioCell(each.stepRatio, each.stepBound, steppest),
    ratioCell(each.secondRatio, each.secondBound, fastest),
    `${each.reached} of ${seeds}`,
    each.lossRatio === null
      ? { text: 'diverged', mark: 'warning' as const }
      : {
          text: formatMeasured(each.lossRatio),
          mark:
            each.lossRatio > worse ? ('warning' as const) : each.lossRatio === lowest ? ('best' as const) : undefined,
        },
    each.bestLoss === null ? '–' : formatMeasured(each.bestLoss),
    each.diverged > 0 ? { text: String(each.diverged), mark: 'warning' as const } : '0',
    formatMeasured(each.millisecondsPerStep),
    formatBytes(each.stateBytes),
  ]);
  const rival = found
    ? `${tuned(baseline)}: rate ${formatNumber(found.rate)}${found.edge ? ` (the ${found.edge} of its grid)` : ''}, best loss ${formatMeasured(found.bestLoss)}`
    : `no rate of ${baseline} kept a finite loss`;
  return {
    caption: `${title} · ${formatCount(parameters)} parameters, ${formatSteps(steps)} of ${batchSize} · ${rival}`,
    columns: ['optimizer', 'steps ÷', 'seconds ÷', 'reached', 'loss ÷', 'best loss', 'diverged', 'ms/step', 'state'],
    rows,
  };
}

/** The baseline's losses by rate: how it was tuned. */
function gridSection({ problems, baseline, rates: begun, seeds }: DefaultsResult): Section {
  const measured = problems.flatMap(({ tuned: found }) => found?.grid.map(({ rate }) => rate) ?? []);
  const rates = [...new Set([...begun, ...measured])].sort((a, b) => a - b);
  const table: StudyTable = {
    caption: `Best validation loss of ${baseline} by learning rate`,
    columns: ['problem', ...rates.map((rate) => formatNumber(rate)), 'at the edge'],
    rows: problems.map(({ problem, tuned: found }) => [
      problem,
      ...rates.map((rate): StudyCell => {
        const point = found?.grid.find((each) => each.rate === rate);
        if (found && !point) return { text: '–' };
        if (!point || point.bestLoss === null) return { text: 'diverged', mark: 'warning' };
        return { text: formatMeasured(point.bestLoss), mark: rate === found?.rate ? 'best' : undefined };
      }),
      found?.edge ? { text: found.edge, mark: 'warning' as const } : 'no',
    ]),
  };
  return {
    title: `How ${baseline} was tuned`,
    notes: [
      `The rate with the lowest median over ${seeds === 1 ? 'one seed' : `${seeds} seeds`} of the best validation loss of a run, on each problem by itself. The grid has ${begun.length} rates. Where the best is the lowest or the highest, half or twice that rate is added, up to ${mostExtensions} times; if it lies at the edge then, it is marked: the best rate may lie beyond.`,
    ],
    tables: [table],
    charts: [],
  };
}

/** Curves of the first seed, by steps and by seconds. */
function curveSection({ problems, runs, baseline, optimizers }: DefaultsResult): Section {
  const rival = tuned(baseline);
  const names = [...optimizers.map(({ optimizer }) => optimizer), rival];
  const inks = assignInks(names);
  const labels = shortLabels(names, longestLabel);
  const charts = problems.flatMap(({ problem, title, tuned: found }) => {
    const drawn = runs.flatMap((run) => {
      if (run.problem !== problem || run.seed !== 0 || run.points.length === 0) return [];
      if (run.rate === null) return [{ name: run.optimizer, run }];
      return run.rate === found?.rate ? [{ name: rival, run }] : [];
    });
    return curveCharts(title, found?.bestLoss, drawn, inks, labels);
  });
  return {
    title: 'Curves',
    notes: [`Validation loss of the runs of the first seed; dotted: the best of ${rival}, the median over seeds.`],
    tables: [],
    charts,
  };
}

function curveCharts(
  title: string,
  target: number | undefined,
  drawn: readonly { readonly name: string; readonly run: DefaultsRow }[],
  inks: ReadonlyMap<string, Ink>,
  labels: ReadonlyMap<string, string>,
): Html[] {
  if (drawn.length === 0) return [];
  const losses = drawn.flatMap(({ run }) => run.points.map(([, , loss]) => loss));
  const usual =
    target === undefined ? undefined : 4 * Math.max(target, ...drawn.map(({ run }) => run.points.at(-1)?.[2] ?? 0));
  const y = losses.every((loss) => loss > 0) ? logScale(losses, 5, usual) : fittingScale(losses, 5);
  return ([0, 1] as const).map((axis) => {
    const x = tightScale(
      drawn.flatMap(({ run }) => run.points.map((point) => point[axis])),
      5,
    );
    const series = drawn.map(({ name, run }) => ({
      name,
      label: labels.get(name) ?? name,
      ink: inks.get(name) ?? quietInk,
      points: run.points.map((point): [number, number] => [point[axis], point[2]]),
      lost: run.diverged,
    }));
    const guide = target !== undefined && {
      name: 'target',
      ink: quietInk,
      kind: 'guide' as const,
      points: [x.min, x.max].map((end): [number, number] => [end, target]),
    };
    return lineChart({
      title,
      note: axis === 0 ? 'by steps' : 'by seconds',
      xName: axis === 0 ? 'steps' : 'seconds of training',
      x,
      y,
      formatX: formatNumber,
      formatY: formatNumber,
      series: guide ? [...series, guide] : series,
    });
  });
}
