// What `study batch-size` shows: steps and seconds by batch beside ideal scaling, and how sensitive they are to rate and damping.
import { capitalized, formatCount, formatMeasured, formatNumber, formatTarget, listed, words } from '../format.js';
import { shortLabels } from '../reporting/names.js';
import { longestLabel } from '../reporting/report/line-chart.js';
import { assignInks } from '../reporting/report/palette.js';
import type { BatchSizeResult, BestCell, GridCell, Sweep } from './batch-size-result.js';
import { type LogSeries, logChart } from './charts.js';
import type { Presentation, Section } from './study.js';
import type { StudyCell, StudyTable } from './table.js';

export function batchSizePresentation(result: BatchSizeResult): Presentation {
  return {
    headline: headline(result),
    findings: result.sweeps.flatMap((sweep) => findingsOf(sweep, result)),
    sections: [scalingSection(result), ...result.sweeps.map((sweep) => heatSection(sweep, result))],
  };
}

const targetText = ({ target }: BatchSizeResult): string =>
  `${words(target.metric).replace(/^test /, 'validation ')} ${formatTarget(target.metric, target.value)}`;

type Reached = BestCell & { readonly best: NonNullable<BestCell['best']> };
const isReached = (cell: BestCell): cell is Reached => cell.best !== null;

/** Who needs the fewest steps and who the fewest seconds at the largest batch that anyone reaches the target with. */
function headline(result: BatchSizeResult): string {
  const reached = result.best.filter(isReached);
  if (reached.length === 0)
    return `No optimizer reaches ${targetText(result)} within ${formatNumber(result.epochs)} epochs`;
  const batch = Math.max(...reached.map((each) => each.batch));
  const there = reached.filter((each) => each.batch === batch);
  const least = (value: (each: Reached) => number) =>
    there.reduce((low, each) => (value(each) < value(low) ? each : low));
  const fewest = least(({ best }) => best.steps);
  const seconds = ({ fastest, best }: Reached) => fastest?.seconds ?? best.seconds;
  const quickest = least(seconds);
  const to = `to ${targetText(result)} with batches of ${formatCount(batch)}`;
  const same = fewest.optimizer === quickest.optimizer;
  return same
    ? `${fewest.optimizer} needs the fewest steps (${fewest.best.steps}) and seconds (${formatMeasured(seconds(quickest))}) ${to}`
    : `${fewest.optimizer} needs the fewest steps (${fewest.best.steps}) ${to}, and ${quickest.optimizer} the fewest seconds (${formatMeasured(seconds(quickest))})`;
}

function findingsOf({ optimizer }: Sweep, { best }: BatchSizeResult): string[] {
  const own = best.filter((each) => each.optimizer === optimizer);
  const reached = own.filter(isReached);
  const missed = own.filter((each) => !isReached(each)).map(({ batch }) => formatCount(batch));
  const [first] = reached;
  const last = reached.at(-1);
  const found: string[] = [];
  if (missed.length > 0)
    found.push(`${optimizer} never reaches the target with batches of ${listed(missed)}, at no point of its grid.`);
  if (first && last && first !== last) {
    const gain = last.batch / first.batch;
    const saved = first.best.steps / last.best.steps;
    found.push(
      `${optimizer}: ${formatNumber(gain)} times the batch (${formatCount(first.batch)} to ${formatCount(last.batch)}) divides its steps by ${formatNumber(saved)}, ${formatNumber(100 * last.best.efficiency)} % of ideal scaling; its seconds go from ${formatMeasured(first.fastest?.seconds ?? first.best.seconds)} to ${formatMeasured(last.fastest?.seconds ?? last.best.seconds)}.`,
    );
  }
  const atEdge = reached.filter(({ best: { rateEdge, dampingEdge } }) => rateEdge !== null || dampingEdge !== null);
  if (atEdge.length > 0)
    found.push(
      `The best of ${optimizer} lies at the edge of its grid with batches of ${listed(atEdge.map(({ batch }) => formatCount(batch)))}: a better one may lie beyond.`,
    );
  return found;
}

function scalingSection(result: BatchSizeResult): Section {
  const { best, sweeps, title, examples, epochs, seeds } = result;
  const names = sweeps.map(({ optimizer }) => optimizer);
  const inks = assignInks(names);
  const labels = shortLabels(names, longestLabel);
  const lines = (value: (cell: Reached) => number): LogSeries[] =>
    names.map((name) => ({
      name,
      label: labels.get(name) ?? name,
      ink: inks.get(name),
      points: best
        .filter(isReached)
        .flatMap((each): [number, number][] => (each.optimizer === name ? [[each.batch, value(each)]] : [])),
    }));
  const ideal = lines(({ best: { idealSteps } }) => idealSteps).map(
    ({ label: _, ...line }): LogSeries => ({
      ...line,
      name: `${line.name} if it scaled ideally`,
      kind: 'guide',
    }),
  );
  return {
    title: 'Steps and seconds by batch',
    notes: [
      `${capitalized(title)}, ${formatCount(examples)} training examples: the best of each grid to ${targetText(result)}, within ${formatNumber(epochs)} epochs (at least 40 steps). Medians over ${seeds === 1 ? 'one seed' : `${seeds} seeds`}; rates and dampings are constant in a run.`,
      'Dotted: ideal scaling from the smallest batch that reaches the target, where twice the batch halves the steps. “ideal”: the share of it that is left. “grid that reaches” and “within twice” say how much of the grid reaches the target, and how much of it in at most twice the best’s steps: the larger, the less there is to tune. ! marks a best at the edge of its grid: a better one may lie beyond.',
    ],
    tables: [bestTable(result)],
    charts: [
      ...logChart({
        title: 'Steps to the target',
        note: 'by batch, log scales',
        xName: 'examples of a batch',
        series: [...lines(({ best: { steps } }) => steps), ...ideal],
      }),
      ...logChart({
        title: 'Seconds to the target',
        note: 'by batch, log scales; of training alone',
        xName: 'examples of a batch',
        series: lines(({ fastest, best: { seconds } }) => fastest?.seconds ?? seconds),
      }),
    ],
  };
}

function bestTable({ best }: BatchSizeResult): StudyTable {
  const percent = (share: number) => `${Math.round(100 * share)} %`;
  const least = (batch: number, value: (cell: Reached) => number) =>
    Math.min(...best.filter(isReached).flatMap((each) => (each.batch === batch ? [value(each)] : [])));
  const seconds = (each: Reached) => each.fastest?.seconds ?? each.best.seconds;
  const rows = best.map((each): (StudyCell | string)[] => {
    const { optimizer, batch, reachingShare, nearShare } = each;
    if (!isReached(each)) {
      const never: StudyCell = { text: 'never', mark: 'warning' };
      return [optimizer, formatCount(batch), never, never, '–', '–', '–', percent(reachingShare), percent(nearShare)];
    }
    const { steps, rate, damping, rateEdge, dampingEdge, efficiency } = each.best;
    const time = seconds(each);
    return [
      optimizer,
      formatCount(batch),
      { text: formatCount(steps), mark: steps === least(batch, (cell) => cell.best.steps) ? 'best' : undefined },
      { text: formatMeasured(time), mark: time === least(batch, seconds) ? 'best' : undefined },
      percent(efficiency),
      { text: formatNumber(rate), mark: rateEdge === null ? undefined : 'warning' },
      damping === null ? '–' : { text: formatNumber(damping), mark: dampingEdge === null ? undefined : 'warning' },
      percent(reachingShare),
      percent(nearShare),
    ];
  });
  return {
    caption: 'The best of each grid',
    columns: [
      'optimizer',
      'batch',
      'steps',
      'seconds',
      'ideal',
      'rate',
      'damping',
      'grid that reaches',
      'within twice',
    ],
    rows,
  };
}

/** Heat maps of an optimizer: rates by dampings for each batch, or rates by batches if it has no damping. */
function heatSection({ optimizer, rates, dampings }: Sweep, { cells, batches }: BatchSizeResult): Section {
  const own = cells.filter((cell) => cell.optimizer === optimizer);
  const table = (
    caption: string,
    corner: string,
    lines: readonly { readonly name: string; readonly of: (cell: GridCell) => boolean }[],
  ): StudyTable => {
    const inside = own.filter((cell) => lines.some(({ of }) => of(cell)));
    return {
      caption,
      columns: [corner, ...rates.map((rate) => `rate ${formatNumber(rate)}`)],
      rows: lines.map(({ name, of }) => [
        name,
        ...rates.map((rate) =>
          heatCell(
            inside.find((cell) => cell.rate === rate && of(cell)),
            dampings === null ? inside.filter(of) : inside,
          ),
        ),
      ]),
    };
  };
  const tables =
    dampings === null
      ? [
          table(
            `Steps of ${optimizer} by batch and rate`,
            'batch',
            batches.map((batch) => ({ name: formatCount(batch), of: (cell) => cell.batch === batch })),
          ),
        ]
      : batches.map((batch) =>
          table(
            `Steps of ${optimizer} with batches of ${formatCount(batch)}`,
            'damping',
            dampings.map((damping) => ({
              name: formatNumber(damping),
              of: (cell) => cell.batch === batch && cell.damping === damping,
            })),
          ),
        );
  return {
    title: `Sensitivity of ${optimizer}`,
    notes: [
      'Steps to the target at each point of the grid, deeper if fewer among the points of the same batch; the best in bold. “never”: not within the run; “diverged”: most seeds lost a finite loss.',
    ],
    tables,
    charts: [],
  };
}

/** @param together the cells among which the fewest steps are deepest */
function heatCell(cell: GridCell | undefined, together: readonly GridCell[]): StudyCell {
  if (!cell) return { text: '–' };
  if (cell.steps === null) return { text: cell.diverged > cell.reached && cell.diverged > 0 ? 'diverged' : 'never' };
  const all = together.flatMap(({ steps }) => (steps === null ? [] : [steps]));
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const strength = most === least ? 1 : Math.log(most / cell.steps) / Math.log(most / least);
  return { text: formatCount(cell.steps), strength, mark: cell.steps === least ? 'best' : undefined };
}
