// Parallel coordinates: an axis for each option that a sweep varies and one for the value, and a line for each trial.
import { formatMetric, words } from '../../format.js';
import { type Html, html } from '../../reporting/report/html.js';
import { logScale } from '../../reporting/report/scales.js';
import { type Choice, choiceText, isRange } from './space.js';
import type { SweepResult, TrialRow } from './sweep.js';

const height = 360;
const axisGap = 170;
const margin = { left: 70, right: 90, top: 44, bottom: 24 };
/** Trials that stand out beside the best. */
const leaders = 5;

interface Axis {
  readonly name: string;
  readonly ticks: readonly { readonly at: number; readonly text: string }[];
  /** Where a trial crosses the axis: 0 at its lower end, 1 at its upper one; undefined if it has no value. */
  readonly of: (row: TrialRow) => number | undefined;
}

/** Return the chart; nothing if fewer than two trials have a value. */
export function parallelCoordinates(result: SweepResult): Html[] {
  const rows = result.trials.filter(({ value }) => value !== null);
  if (rows.length < 2) return [];
  const axes = [...result.vary.map((dimension) => optionAxis(dimension, result.trials)), valueAxis(result, rows)];
  const width = margin.left + margin.right + axisGap * (axes.length - 1);
  const x = (index: number) => margin.left + axisGap * index;
  const y = (share: number) =>
    Math.round(10 * (height - margin.bottom - share * (height - margin.top - margin.bottom))) / 10;
  // The best is drawn last, above the others.
  const lines = [...rows].reverse().map((row) => {
    const rank = rows.indexOf(row);
    const points = axes.flatMap((axis, index) => {
      const at = axis.of(row);
      return at === undefined ? [] : [`${x(index)},${y(at)}`];
    });
    const [colour, stroke, opacity] = lineStyle(rank);
    return html`<path d="M${points.join('L')}" stroke="${colour}" stroke-width="${stroke}" opacity="${opacity}"><title>trial ${row.trial}</title></path>`;
  });
  const drawnAxes = axes.map(
    ({ name, ticks }, index) =>
      html`<path stroke="var(--axis)" d="M${x(index)},${margin.top}V${height - margin.bottom}"/><text x="${x(index)}" y="${margin.top - 18}" text-anchor="middle" font-weight="600">${name}</text>${ticks.map(
        ({ at, text }) =>
          html`<path stroke="var(--axis)" d="M${x(index) - 4},${y(at)}h8"/><text x="${x(index) + 8}" y="${y(at)}" dy=".35em" stroke="var(--paper)" stroke-width="3" paint-order="stroke">${text}</text>`,
      )}`,
  );
  const description = `Parallel coordinates of ${rows.length} trials: ${axes.map(({ name }) => name).join(', ')}; the table has the same numbers`;
  return [
    html`<figure class="chart study"><figcaption>Which options go with which value <small>a line for each trial; the best is thick, the next ${leaders - 1} are coloured</small></figcaption><div class="scroll" tabindex="0" role="region" aria-label="Parallel coordinates"><svg role="img" aria-label="${description}" viewBox="0 0 ${width} ${height}" width="${width}" font-size="12" fill="var(--quiet)"><g fill="none" stroke-linejoin="round">${lines}</g>${drawnAxes}</svg></div></figure>`,
  ];
}

function lineStyle(rank: number): readonly [colour: string, width: number, opacity: number] {
  if (rank === 0) return ['var(--ink-0)', 3.5, 1];
  return rank < leaders ? ['var(--ink-1)', 1.8, 0.9] : ['var(--quiet)', 1, 0.45];
}

function optionAxis({ name, values }: SweepResult['vary'][number], rows: readonly TrialRow[]): Axis {
  if (isRange(values)) {
    const { from, to, scale } = values;
    const share = (value: number) =>
      scale === 'log' ? Math.log(value / from) / Math.log(to / from) : (value - from) / (to - from);
    const middle = scale === 'log' ? Math.sqrt(from * to) : (from + to) / 2;
    return {
      name,
      ticks: [from, middle, to].map((value) => ({ at: share(value), text: choiceText(Number(value.toPrecision(2))) })),
      of: ({ settings }) => (typeof settings[name] === 'number' ? share(settings[name]) : undefined),
    };
  }
  const choices: readonly Choice[] = values.filter((value) => rows.some(({ settings }) => settings[name] === value));
  const place = (value: Choice | undefined) => {
    const index = value === undefined ? -1 : choices.indexOf(value);
    return index < 0 ? undefined : choices.length === 1 ? 0.5 : index / (choices.length - 1);
  };
  return {
    name,
    ticks: choices.map((value) => ({ at: place(value) ?? 0, text: choiceText(value) })),
    of: ({ settings }) => place(settings[name]),
  };
}

/** The better, the higher. */
function valueAxis({ metric, lowerIsBetter }: SweepResult, rows: readonly TrialRow[]): Axis {
  const values = rows.flatMap(({ value }) => (value === null ? [] : [value]));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const isWide = low > 0 && high > 10 * low;
  const up = (value: number) =>
    isWide ? logScale(values, 3).at(value) : high === low ? 0.5 : (value - low) / (high - low);
  const at = (value: number) => (lowerIsBetter ? 1 - up(value) : up(value));
  const ticks = high === low ? [low] : isWide ? [low, Math.sqrt(low * high), high] : [low, (low + high) / 2, high];
  return {
    name: words(metric),
    ticks: ticks.map((value) => ({ at: at(value), text: formatMetric(metric, value) })),
    of: ({ value }) => (value === null ? undefined : at(value)),
  };
}
