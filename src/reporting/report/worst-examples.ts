// Predicted against true values of a regression, and the examples of the test set on which each run does worst.

import { formatCount, formatMeasured, formatNumber } from '../../format.js';
import type { RunRecord, WorstExample } from '../../training/run-record.js';
import { type Html, html } from './html.js';
import { lineChart } from './line-chart.js';
import { chip, type Ink } from './palette.js';
import { linearScale } from './scales.js';

type Inks = ReadonlyMap<string, Ink>;

const quiet: Ink = { colour: 'var(--quiet)', marker: 0 };
const tickCount = 5;

/** Return a chart of predicted against true values for each run and output; undefined if there are none. */
export function predictionCharts(runs: readonly RunRecord[], inks: Inks): Html | undefined {
  const charts = runs.flatMap(({ name, predictions = [] }) =>
    predictions.flatMap((points, output) => {
      const finite = points.filter((point) => point.every(Number.isFinite));
      if (finite.length === 0) return [];
      const scale = linearScale(finite.flat(), tickCount);
      const ends = [scale.min, scale.max].map((end) => [end, end] as const);
      const title = predictions.length > 1 ? `${name}, output ${output + 1}` : name;
      return [
        lineChart(
          {
            title,
            note: `${formatCount(points.length)} examples of the test set`,
            key: html`<span><i class="guide"></i>predicted = true</span>`,
            xName: 'true value',
            x: scale,
            y: scale,
            formatX: formatNumber,
            formatY: formatNumber,
            series: [
              { name: 'predicted = true', ink: quiet, kind: 'guide', points: ends },
              { name: `predicted values of ${title}`, ink: inks.get(name) ?? quiet, kind: 'dots', points: finite },
            ],
          },
          true,
        ),
      ];
    }),
  );
  return charts.length > 0 ? html`<h3>Predicted against true</h3><div class="charts small">${charts}</div>` : undefined;
}

/** Return a table of the worst rows for each run that has them; the first is open, the others unfold. */
export function worstRows(runs: readonly RunRecord[], inks: Inks): Html | undefined {
  const known = runs.flatMap(({ name, worst = [] }) => {
    const rows = worst.filter(({ picture }) => picture === undefined);
    return rows.length > 0 ? [{ name, rows }] : [];
  });
  if (known.length === 0) return undefined;
  const sections = known.map(({ name, rows }, index) => {
    const summary = html`<summary>${chip(inks.get(name))}<strong>${name}</strong></summary>`;
    const body = rowTable(name, rows);
    return index === 0 ? html`<details open>${summary}${body}</details>` : html`<details>${summary}${body}</details>`;
  });
  return html`<h3>Worst examples</h3><p class="note">Rows of the test set with the largest losses or residuals, counted from 0.</p>${sections}`;
}

function rowTable(name: string, rows: readonly WorstExample[]): Html {
  const hasProbability = rows.some(({ probability }) => probability !== undefined);
  const hasNumbers = rows.some(({ actual }) => typeof actual !== 'string');
  const [lossName, loss] = hasNumbers
    ? ['Residual', (row: WorstExample) => formatMeasured(row.loss)]
    : ['Probability of the true class', (row: WorstExample) => formatMeasured(row.probability ?? Number.NaN)];
  const body = rows.map(
    (row) =>
      html`<tr><th scope="row">${formatCount(row.example)}</th><td>${text(row.actual)}</td><td>${text(row.predicted)}</td>${(hasNumbers || hasProbability) && html`<td>${loss(row)}</td>`}<td>${text(row.inputs)}</td></tr>`,
  );
  const label = `Worst examples of ${name}`;
  return html`<div class="scroll" tabindex="0" role="group" aria-label="${label}"><table class="list"><thead><tr><th scope="col">Row</th><th scope="col">True</th><th scope="col">Predicted</th>${(hasNumbers || hasProbability) && html`<th scope="col">${lossName}</th>`}<th scope="col">Inputs</th></tr></thead><tbody>${body}</tbody></table></div>`;
}

const text = (value: WorstExample['actual']): string =>
  value === undefined ? '–' : typeof value === 'string' ? value : value.map((x) => formatNumber(x)).join(', ');
