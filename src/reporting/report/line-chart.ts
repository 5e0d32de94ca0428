// Line charts as SVG text, drawn by ECharts without a browser. Colours are CSS variables, so that one drawing serves
// light and dark.

import { createHash } from 'node:crypto';
import { LineChart as EChartsLine, type LineSeriesOption } from 'echarts/charts';
import { GridComponent, type GridComponentOption } from 'echarts/components';
import { type ComposeOption, init, use } from 'echarts/core';
import { LabelLayout } from 'echarts/features';
import { SVGRenderer } from 'echarts/renderers';
import { escapeHtml, type Html, html, trusted } from './html.js';
import type { Ink } from './palette.js';
import type { Scale } from './scales.js';

use([EChartsLine, GridComponent, LabelLayout, SVGRenderer]);

type ChartOption = ComposeOption<LineSeriesOption | GridComponentOption>;

/** One line of a chart. */
export interface ChartSeries {
  readonly name: string;
  readonly ink: Ink;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Drawn thin and dashed, behind: a target, not a measurement. */
  readonly guide?: boolean;
}

/** A chart with a caption above it. */
export interface LineChart {
  readonly title: string;
  /** What the axes mean, in small print beside the title. */
  readonly note: string;
  readonly xName: string;
  readonly x: Scale;
  readonly y: Scale;
  readonly formatX: (value: number) => string;
  readonly formatY: (value: number) => string;
  readonly series: readonly ChartSeries[];
}

interface Size {
  readonly className: string;
  readonly width: number;
  readonly height: number;
  readonly font: number;
}

const WIDE: Size = { className: 'wide', width: 540, height: 310, font: 12.5 };
const NARROW: Size = { className: 'narrow', width: 350, height: 250, font: 12 };
const LONGEST_LABEL = 14;

/** The chart as a figure: drawn for a wide page and for a phone, or once, small, for both. */
export function lineChart(chart: LineChart, small = false): Html {
  const names = chart.series.map(({ name }) => name).join(', ');
  const label = `${chart.title}, ${chart.note}: ${names}`;
  const drawings = (small ? [NARROW] : [WIDE, NARROW]).map((size) => {
    const svg = draw(chart, size);
    return trusted(
      svg.replace('<svg ', `<svg class="${size.className}" role="img" aria-label="${escapeHtml(label)}" `),
    );
  });
  return html`<figure class="chart"><figcaption>${chart.title} <small>${chart.note}</small></figcaption>${drawings}</figure>`;
}

function draw(chart: LineChart, size: Size): string {
  const canvas = init(null, null, { renderer: 'svg', ssr: true, width: size.width, height: size.height });
  try {
    canvas.setOption(chartOption(chart, size));
    return compacted(canvas.renderToSVGString());
  } finally {
    canvas.dispose();
  }
}

function chartOption(chart: LineChart, { font }: Size): ChartOption {
  const em = font * 0.6; // the mean width of a letter
  const text = { fontSize: font, fontFamily: 'inherit', color: 'var(--quiet)' };
  const labels = chart.series.map(({ name }) => shortened(name));
  const right = 16 + 1.1 * em * Math.max(3, ...labels.map((label) => label.length));
  const left = 12 + em * Math.max(3, ...chart.y.ticks.map((tick) => chart.formatY(tick).length));
  return {
    animation: false,
    grid: { left, right, top: 12, bottom: 46, containLabel: false },
    xAxis: {
      type: 'value',
      min: chart.x.min,
      max: chart.x.max,
      name: chart.xName,
      nameLocation: 'middle',
      nameGap: 30,
      nameTextStyle: text,
      splitLine: { show: false },
      axisLine: { onZero: false, lineStyle: { color: 'var(--axis)' } },
      axisTick: { customValues: [...chart.x.ticks], lineStyle: { color: 'var(--axis)' } },
      axisLabel: { ...text, customValues: [...chart.x.ticks], formatter: chart.formatX, hideOverlap: true },
    },
    yAxis: {
      type: chart.y.kind === 'log' ? 'log' : 'value',
      min: chart.y.min,
      max: chart.y.max,
      axisLine: { show: false },
      axisTick: { show: false, customValues: [...chart.y.ticks] },
      axisLabel: { ...text, customValues: [...chart.y.ticks], formatter: chart.formatY },
      splitLine: { lineStyle: { color: 'var(--grid)' } },
    },
    series: chart.series.map(({ name, ink, points, guide }, index) => ({
      type: 'line',
      name: `${index}`,
      silent: true,
      showSymbol: false,
      z: guide ? 1 : 2,
      data: points.map(([x, y]) => [x, y]),
      lineStyle: {
        color: ink.colour,
        width: guide ? 1.2 : 2,
        type: guide ? [2, 4] : ink.dashed ? [6, 4] : 'solid',
        join: 'round',
      },
      endLabel: {
        show: true,
        distance: 6,
        formatter: () => shortened(name),
        color: ink.colour,
        fontSize: font,
        fontFamily: 'inherit',
        fontWeight: guide ? 'normal' : 600,
        textBorderColor: 'var(--paper)',
        textBorderWidth: 3,
      },
      labelLayout: { moveOverlap: 'shiftY' },
    })),
  };
}

function shortened(name: string): string {
  return name.length > LONGEST_LABEL ? `${name.slice(0, LONGEST_LABEL - 1)}…` : name;
}

/** Leaves out what an inline drawing without interaction does not need, and makes its ids unique on the page. */
function compacted(svg: string): string {
  const lean = svg
    .replace(/<style[^>]*>[\s\S]*?<\/style>/g, '')
    .replace(/ (?:xmlns(?::xlink)?|version|baseProfile)="[^"]*"/g, '')
    .replace(/ (?:class="zr[^"]*"|pointer-events="visible"|stroke-linejoin="bevel")/g, '')
    .replace(/<rect [^>]*fill="none"><\/rect>/, '')
    .replace(/ d="([^"]*)"/g, (_, path: string) => ` d="${path.replace(/\d+\.\d{2,}/g, (n) => Number(n).toFixed(1))}"`)
    .replace(/\n+/g, '\n')
    .replace(/zr\d+-/g, 'clip-');
  const unique = createHash('sha256').update(lean).digest('hex').slice(0, 8);
  return lean.replaceAll('clip-c', `clip-${unique}-`);
}
