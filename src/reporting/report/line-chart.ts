// Line charts as SVG text, by d3-shape. Colours are CSS variables, so that one drawing serves light and dark.

import { line } from 'd3-shape';
import { type EndLabel, labelHeights } from './end-labels.js';
import { type Html, html } from './html.js';
import type { Ink } from './palette.js';
import type { Scale } from './scales.js';

/** One line of a chart. */
export interface ChartSeries {
  /** For the description, which screen readers read. */
  readonly name: string;
  /** Written at the end of the line; absent if another line of the same ink has it. */
  readonly label?: string;
  readonly ink: Ink;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** A measurement by default; `test`: few points, on the test set; `guide`: a target, behind all others. */
  readonly kind?: 'test' | 'guide';
  /** Ends with a cross: the run diverged after the last point. */
  readonly lost?: boolean;
}

/** A chart with a caption above it. */
export interface LineChart {
  readonly title: string;
  /** The axes and their scales, in small print beside the title. */
  readonly note: string;
  /** The meaning of solid and dashed lines, under the title. */
  readonly key?: Html | undefined;
  readonly xName: string;
  readonly x: Scale;
  readonly y: Scale;
  /** Format a value with so many digits. */
  readonly formatX: (value: number, digits?: number) => string;
  readonly formatY: (value: number, digits?: number) => string;
  readonly series: readonly ChartSeries[];
}

interface Size {
  readonly className: string;
  readonly width: number;
  readonly height: number;
  readonly font: number;
}

const wide: Size = { className: 'wide', width: 540, height: 310, font: 12.5 };
const narrow: Size = { className: 'narrow', width: 350, height: 250, font: 12 };
/** Letters that fit beside a chart. */
export const longestLabel = 14;
/** Space between the end of a line and its label. */
const labelGap = 6;
const mostDigits = 15;
/** More dots than these would look like a line. */
const mostDots = 20;

/** Return the chart as a figure: drawn for a wide page and for a phone, or once, small, for both. */
export function lineChart(chart: LineChart, small = false): Html {
  const drawings = (small ? [narrow] : [wide, narrow]).map((size) => draw(chart, size));
  const key = chart.key && html`<div class="key">${chart.key}</div>`;
  return html`<figure class="chart"><figcaption>${chart.title} <small>${chart.note}</small>${key}</figcaption>${drawings}</figure>`;
}

function draw(chart: LineChart, { className, width, height, font }: Size): Html {
  const { x, y, series } = chart;
  const em = font * 0.6; // the mean width of a letter
  const xLabels = tickLabels(x.ticks, chart.formatX);
  const yLabels = tickLabels(y.ticks, chart.formatY);
  const labelled = series.filter(({ label }) => label !== undefined);
  const longest = (texts: readonly string[]) => texts.reduce((most, { length }) => Math.max(most, length), 3);
  const left = 12 + em * longest(yLabels);
  const right = width - 16 - 1.1 * em * longest(labelled.map(({ label = '' }) => label));
  const [top, bottom] = [12, height - 46];
  const toX = (value: number) => rounded(left + x.at(value) * (right - left));
  const toY = (value: number) => rounded(bottom - y.at(value) * (bottom - top));

  const grid = y.ticks.map((tick, index) => {
    const at = toY(tick);
    return html`<path stroke="var(--grid)" d="M${rounded(left)},${at}H${rounded(right)}"/><text x="${rounded(left - 8)}" y="${at}" dy=".35em" text-anchor="end">${yLabels[index]}</text>`;
  });
  const marks = apart(x.ticks.map(toX), xLabels, em).map(
    ({ at, text }) =>
      html`<path stroke="var(--axis)" d="M${at},${bottom}v5"/><text x="${at}" y="${bottom + 18}" text-anchor="middle">${text}</text>`,
  );
  const axis = html`<path stroke="var(--axis)" d="M${rounded(left)},${bottom}H${rounded(right)}"/><text x="${rounded((left + right) / 2)}" y="${bottom + 38}" text-anchor="middle">${chart.xName}</text>`;
  const backToFront = [...series].sort((a, b) => depth(a) - depth(b));
  const lines = backToFront.map((entry) => drawnSeries(entry, toX, toY));
  const names = endLabels(labelled, toX, toY, { em, font, top, bottom });
  const description = `${[chart.title, chart.note].filter(Boolean).join(', ')}: ${series.map(({ name }) => name).join(', ')}`;
  return html`<svg class="${className}" role="img" aria-label="${description}" viewBox="0 0 ${width} ${height}" font-size="${font}" fill="var(--quiet)">${grid}${marks}${axis}<g fill="none" stroke-linejoin="round">${lines}</g>${names}</svg>
`;
}

const depth = ({ kind }: ChartSeries): number => (kind === 'guide' ? 0 : kind === 'test' ? 1 : 2);

function drawnSeries({ ink, points, kind, lost }: ChartSeries, toX: Position, toY: Position): Html {
  const placed = points.map(([x, y]): [number, number] => [toX(x), toY(y)]);
  const path = line().digits(1)(placed) ?? '';
  const [end] = placed.slice(-1);
  if (kind === 'guide')
    return html`<path stroke="${ink.colour}" stroke-width="1.2" stroke-dasharray="2 4" d="${path}"/>`;
  const dots =
    (kind === 'test' && placed.length <= mostDots) || placed.length === 1 ? placed.map(([x, y]) => dot(x, y, ink)) : [];
  const dashes = kind === 'test' ? '3 3' : ink.dashed ? '9 3' : undefined;
  const dashArray = dashes && html` stroke-dasharray="${dashes}"`;
  const cross =
    lost &&
    end &&
    html`<path class="lost" stroke="${ink.colour}" stroke-width="2" d="M${end[0] - 4},${end[1] - 4}l8,8m0,-8l-8,8"/>`;
  return html`<path stroke="${ink.colour}" stroke-width="${kind === 'test' ? 1.4 : 2}"${dashArray} d="${path}"/>${dots}${cross}`;
}

const dot = (x: number, y: number, { colour }: Ink): Html =>
  html`<circle cx="${x}" cy="${y}" r="2.1" fill="${colour}"/>`;

interface LabelSpace {
  readonly em: number;
  readonly font: number;
  readonly top: number;
  readonly bottom: number;
}

function endLabels(labelled: readonly ChartSeries[], toX: Position, toY: Position, space: LabelSpace): Html[] {
  const { em, font, top, bottom } = space;
  const wanted = labelled.map(({ label = '', points, lost }): EndLabel => {
    const [x = 0, y = 0] = points.at(-1) ?? [];
    return { x: toX(x) + labelGap + (lost ? 4 : 0), y: toY(y), width: 1.1 * em * label.length };
  });
  // Half a line above the axis, whose numbers would read as part of a label.
  const heights = labelHeights(wanted, 1.2 * font, top, bottom - font / 2);
  return labelled.map(({ label = '', ink, kind }, index) => {
    const weight = kind === undefined && html` font-weight="600"`;
    return html`<text class="end" x="${rounded(wanted[index]?.x ?? 0)}" y="${rounded(heights[index] ?? 0)}" dy=".35em" fill="${ink.colour}"${weight}>${label}</text>`;
  });
}

type Position = (value: number) => number;

/** The ticks' texts, with as many digits as make them distinct. */
function tickLabels(ticks: readonly number[], format: LineChart['formatY']): string[] {
  for (let digits = 3; digits < mostDigits; digits += 1) {
    const texts = ticks.map((tick) => format(tick, digits));
    if (new Set(texts).size === texts.length) return texts;
  }
  return ticks.map((tick) => format(tick, mostDigits));
}

/** The marks whose texts do not meet: all, every second, … */
function apart(places: readonly number[], texts: readonly string[], em: number): { at: number; text: string }[] {
  const marks = places.map((at, index) => ({ at, text: texts[index] ?? '' }));
  for (let every = 1; ; every += 1) {
    const kept = marks.filter((_, index) => index % every === 0);
    const meet = kept.some(({ at, text }, index) => {
      const next = kept[index + 1];
      return next !== undefined && next.at - at < (em * (text.length + next.text.length)) / 2 + em;
    });
    if (!meet) return kept;
  }
}

const rounded = (value: number): number => Math.round(10 * value) / 10;
