// Charts of studies on logarithmic axes, where powers are straight lines: measured points joined by lines, guides behind them.

import { formatNumber } from '../format.js';
import type { Html } from '../reporting/report/html.js';
import { type ChartSeries, type LineChart, lineChart } from '../reporting/report/line-chart.js';
import type { Ink } from '../reporting/report/palette.js';
import { logScale } from '../reporting/report/scales.js';

export type LogSeries = Omit<ChartSeries, 'ink'> & { readonly ink: Ink | undefined };

export interface LogChart extends Pick<LineChart, 'title' | 'note' | 'xName'> {
  readonly series: readonly LogSeries[];
  readonly formatX?: (value: number) => string;
  readonly formatY?: (value: number) => string;
}

const tickCount = 6;
/** Up to so many different x are marked themselves. */
const mostSizes = 8;
export const quietInk: Ink = { colour: 'var(--quiet)', marker: 0 };

/** Return the chart; points that are not above 0 and series without points are left out. */
export function logChart({ series, formatX = formatNumber, formatY = formatNumber, ...chart }: LogChart): Html[] {
  const drawn = series.flatMap(({ ink = quietInk, points, ...rest }) => {
    const positive = points.filter(([x, y]) => x > 0 && y > 0);
    return positive.length > 0 ? [{ ...rest, ink, points: positive }] : [];
  });
  if (drawn.length === 0) return [];
  const values = (axis: 0 | 1) => drawn.flatMap(({ points }) => points.map((point) => point[axis]));
  const sizes = [...new Set(values(0))].sort((a, b) => a - b);
  return [
    lineChart({
      ...chart,
      x: { ...logScale(values(0), tickCount), ...(sizes.length <= mostSizes && { ticks: sizes }) },
      y: logScale(values(1), tickCount),
      formatX: (value) => formatX(value),
      formatY: (value) => formatY(value),
      series: drawn,
    }),
  ];
}
