// The page of a search for a learning rate: one chart of the loss against the rate, with what it suggests.
import { formatMeasured, formatNumber } from '../format.js';
import type { RateSearch } from '../training/rate-search.js';
import { type DocumentParts, htmlDocument } from './report/document.js';
import { type Html, html } from './report/html.js';
import { lineChart } from './report/line-chart.js';
import type { Ink } from './report/palette.js';
import { linearScale, logScale } from './report/scales.js';

const [strong, quiet]: readonly [Ink, Ink] = [
  { colour: 'var(--ink-1)', marker: 0 },
  { colour: 'var(--quiet)', marker: 1 },
];

/** Return the page as one document. */
export function ratePage(search: RateSearch, about: Pick<DocumentParts, 'title' | 'command' | 'environment'>): string {
  const { suggestion, steepest, lowest } = search;
  const found =
    suggestion === undefined || steepest === undefined || !lowest
      ? html`<p>The loss did not fall at any of these rates.</p>`
      : html`<p>Suggested: <strong>${formatNumber(suggestion)}</strong>. The loss falls most steeply at ${formatNumber(steepest)} and is lowest, ${formatMeasured(lowest.smoothed)}, at ${formatNumber(lowest.rate)}.</p>`;
  return htmlDocument({ ...about, contents: false, main: [html`<section>${found}${chart(search)}</section>`] });
}

function chart({ points, suggestion, diverged }: RateSearch): Html | false {
  if (points.length < 2) return false;
  const smoothed = points.map(({ smoothed: loss }) => loss);
  // A diverged end would press the curve flat: the axis ends a little above where the search began.
  const [first = 0] = smoothed;
  const lowest = Math.min(...smoothed);
  const ceiling = first + 0.5 * Math.max(first - lowest, Math.abs(first) / 10);
  const y = linearScale([lowest, ceiling], 6);
  const within = (loss: number) => Math.min(loss, y.max);
  return lineChart({
    title: 'Loss against the learning rate',
    note: 'logarithmic rate; each point is a step; thick: smoothed',
    xName: 'learning rate',
    x: logScale(
      points.map(({ rate }) => rate),
      6,
    ),
    y,
    formatX: (value) => formatNumber(value),
    formatY: (value, digits) => formatNumber(value, digits),
    series: [
      {
        name: 'loss of each batch',
        ink: quiet,
        kind: 'test',
        points: points.map(({ rate, loss }) => [rate, within(loss)]),
      },
      {
        name: 'smoothed loss',
        ink: strong,
        lost: diverged,
        points: points.map(({ rate, smoothed: loss }) => [rate, within(loss)]),
      },
      ...(suggestion === undefined
        ? []
        : [
            {
              name: 'suggested rate',
              label: `suggested`,
              ink: quiet,
              kind: 'guide' as const,
              points: [
                [suggestion, y.min],
                [suggestion, y.max],
              ] as const,
            },
          ]),
    ],
  });
}
