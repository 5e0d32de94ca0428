// Line charts as SVG text, by d3-shape. Colours are CSS variables, so that one drawing serves light and dark. Each run has a
// marker beside its colour; names stand in a margin of their own at the right, on a phone in a list above the drawing.

import { line } from 'd3-shape';
import { type EndLabel, labelHeights } from './end-labels.js';
import { type Html, html } from './html.js';
import { chip, type Ink, markerPath } from './palette.js';
import type { Scale } from './scales.js';

type Point = readonly [x: number, y: number];

/** One line of a chart. */
export interface ChartSeries {
  /** For the description, which screen readers read. */
  readonly name: string;
  /** Written beside the chart; absent if another line of the same ink has it. */
  readonly label?: string;
  readonly ink: Ink;
  readonly points: readonly Point[];
  /** The same without smoothing, faint behind the line. */
  readonly raw?: readonly Point[];
  /** A measurement by default; `test`: few points, on the test set; `guide`: a target, behind all others; `dots`: no line. */
  readonly kind?: 'test' | 'guide' | 'dots';
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
  /** Whether names stand beside the drawing. */
  readonly hasNames: boolean;
}

const wide: Size = { className: 'wide', width: 540, height: 310, font: 12.5, hasNames: true };
const narrow: Size = { className: 'narrow', width: 350, height: 250, font: 12, hasNames: false };
const small: Size = { ...narrow, className: 'small', hasNames: true };
/** Letters that fit beside a chart. */
export const longestLabel = 16;
/** Space between the end of the plot and the names, which lines to displaced names cross. */
const labelGap = 14;
const mostDigits = 15;
/** Markers along a line, and the most evaluations that each get one. */
const markersOfLine = 5;
const mostMarked = 12;

/** Return the chart as a figure: drawn for a wide page and for a phone, or once, small, for both. */
export function lineChart(chart: LineChart, isSmall = false): Html {
  const drawings = (isSmall ? [small] : [wide, narrow]).map((size) => draw(chart, size));
  const names = isSmall ? [] : chart.series.filter(({ label }) => label !== undefined);
  const list =
    names.length > 0 &&
    html`<span class="names" aria-hidden="true">${names.map(({ label, ink, kind }) => html`<span>${kind === 'guide' ? html`<i class="guide"></i>` : chip(ink)}${label}</span>`)}</span>`;
  const key = (chart.key || list) && html`<div class="key">${chart.key}${list}</div>`;
  return html`<figure class="chart"><figcaption>${chart.title} <small>${chart.note}</small>${key}</figcaption>${drawings}</figure>`;
}

function draw(chart: LineChart, { className, width, height, font, hasNames }: Size): Html {
  const { x, y, series } = chart;
  const em = font * 0.6; // the mean width of a letter
  const xLabels = tickLabels(x.ticks, chart.formatX);
  const yLabels = tickLabels(y.ticks, chart.formatY);
  const labelled = hasNames ? series.filter(({ label }) => label !== undefined) : [];
  const longest = (texts: readonly string[], least: number) =>
    texts.reduce((most, { length }) => Math.max(most, length), least);
  const names =
    1.1 *
    em *
    longest(
      labelled.map(({ label = '' }) => label),
      0,
    );
  const left = 12 + em * longest(yLabels, 3);
  const right = width - (names > 0 ? labelGap + names : 1.5 * em);
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
  const raw = series.map(({ ink, raw: points }) => points && drawnRaw(points, ink, toX, toY));
  const backToFront = [...series].sort((a, b) => depth(a) - depth(b));
  const inks = new Set(series.filter(({ kind }) => kind !== 'guide').map(({ ink }) => ink.colour + ink.marker));
  const marked = inks.size > 1 ? [...inks] : [];
  const lines = backToFront.map((entry) => {
    const { ink } = entry;
    return drawnSeries(entry, toX, toY, { turn: marked.indexOf(ink.colour + ink.marker), of: marked.length });
  });
  const texts = endLabels(labelled, toX, toY, { right: rounded(right), em, font, top, bottom });
  const description = `${[chart.title, chart.note].filter(Boolean).join(', ')}: ${series.map(({ name }) => name).join(', ')}`;
  return html`<svg class="${className}" role="img" aria-label="${description}" viewBox="0 0 ${width} ${height}" font-size="${font}" fill="var(--quiet)">${grid}${marks}${axis}<g fill="none" stroke-linejoin="round">${raw}${lines}</g>${texts}</svg>
`;
}

const depth = ({ kind }: ChartSeries): number => (kind === 'guide' ? 0 : kind === 'test' ? 1 : 2);

const pathOf = (placed: readonly (readonly [number, number])[]): string =>
  line().digits(1)(placed.map(([x, y]): [number, number] => [x, y])) ?? '';

function drawnRaw(points: readonly Point[], ink: Ink, toX: Position, toY: Position): Html {
  const placed = points.map(([x, y]): [number, number] => [Math.round(toX(x)), Math.round(toY(y))]);
  return html`<path class="raw" stroke="${ink.colour}" d="${pathOf(placed)}"/>`;
}

/** Which marks of a line are its own: those of other lines lie between them. No marks if `turn` is below 0. */
interface Turn {
  readonly turn: number;
  readonly of: number;
}

function drawnSeries({ ink, points, kind, lost }: ChartSeries, toX: Position, toY: Position, turn: Turn): Html {
  const placed = points.map(([x, y]): [number, number] => [toX(x), toY(y)]);
  const [end] = placed.slice(-1);
  if (kind === 'guide')
    return html`<path stroke="${ink.colour}" stroke-width="1.2" stroke-dasharray="2 4" d="${pathOf(placed)}"/>`;
  if (kind === 'dots') {
    const dots = placed.map(([x, y]) => `M${Math.round(x)},${Math.round(y)}h0`).join('');
    return html`<path class="dots" stroke="${ink.colour}" d="${dots}"/>`;
  }
  const dashArray = kind === 'test' && html` stroke-dasharray="4 3"`;
  const cross =
    lost &&
    end &&
    html`<path class="lost" stroke="${ink.colour}" stroke-width="2" d="M${end[0] - 4},${end[1] - 4}l8,8m0,-8l-8,8"/>`;
  const markers = markedPoints(placed, kind === 'test', turn).map(([x, y]) =>
    drawnMarker(x, y, ink, kind === 'test' ? 'var(--paper)' : ink.colour),
  );
  return html`<path stroke="${ink.colour}" stroke-width="${kind === 'test' ? 1.4 : 2}"${dashArray} d="${pathOf(placed)}"/>${markers}${cross}`;
}

/** A few points at equal distances, those of several lines in turns; of few evaluations all. */
function markedPoints(placed: readonly (readonly [number, number])[], isTest: boolean, { turn, of }: Turn) {
  if (placed.length === 1 || (isTest && placed.length <= mostMarked)) return placed;
  if (turn < 0) return [];
  const [from = 0, to = 0] = [placed[0]?.[0], placed.at(-1)?.[0]];
  return Array.from({ length: markersOfLine }, (_, index) => {
    const x = from + ((index + (turn + 0.5) / of) / markersOfLine) * (to - from);
    return placed.reduce((near, point) => (Math.abs(point[0] - x) < Math.abs(near[0] - x) ? point : near), [
      Number.POSITIVE_INFINITY,
      0,
    ] as const);
  });
}

const drawnMarker = (x: number, y: number, ink: Ink, fill: string): Html =>
  html`<path class="mark" fill="${fill}" stroke="${ink.colour}" transform="translate(${x} ${y})" d="${markerPath(ink)}"/>`;

interface LabelSpace {
  /** Where the plot ends. */
  readonly right: number;
  readonly em: number;
  readonly font: number;
  readonly top: number;
  readonly bottom: number;
}

/** Names in the margin, each with a faint line from the end of its curve. */
function endLabels(labelled: readonly ChartSeries[], toX: Position, toY: Position, space: LabelSpace): Html[] {
  const { right, em, font, top, bottom } = space;
  const ends = labelled.map(({ points }): [number, number] => {
    const [x = 0, y = 0] = points.at(-1) ?? [];
    return [toX(x), toY(y)];
  });
  const wanted = labelled.map(({ label = '' }, index): EndLabel => {
    return { x: right + labelGap, y: ends[index]?.[1] ?? 0, width: 1.1 * em * label.length };
  });
  // Half a line above the axis, whose numbers would read as part of a label.
  const heights = labelHeights(wanted, 1.2 * font, top, bottom - font / 2);
  return labelled.map(({ label = '', ink, kind }, index) => {
    const [x, y] = ends[index] ?? [0, 0];
    const height = rounded(heights[index] ?? 0);
    const weight = kind === undefined && html` font-weight="600"`;
    const lead = html`<path class="lead" stroke="${ink.colour}" d="M${rounded(x + 4)},${y}H${right}L${right + labelGap - 4},${height}"/>`;
    return html`${x + 4 < right ? lead : html`<path class="lead" stroke="${ink.colour}" d="M${right + 1},${y}L${right + labelGap - 4},${height}"/>`}<text class="end" x="${right + labelGap}" y="${height}" dy=".35em" fill="${ink.colour}"${weight}>${label}</text>`;
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
