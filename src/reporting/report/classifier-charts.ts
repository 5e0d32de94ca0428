// How sure classifiers are and how often they are right: ROC curves and reliability diagrams of all runs in one chart each.

import { formatCount, formatNumber } from '../../format.js';
import type { RunRecord } from '../../training/run-record.js';
import { type Html, html } from './html.js';
import { type ChartSeries, lineChart } from './line-chart.js';
import type { Ink } from './palette.js';
import { linearScale, logScale } from './scales.js';

type Inks = ReadonlyMap<string, Ink>;

const quiet: Ink = { colour: 'var(--quiet)', marker: 0 };
const unit = linearScale([0, 1], 5);
const share = (value: number): string => `${formatNumber(100 * value)} %`;
/** Curves whose areas are larger lie in the corner of the chart. */
const closeArea = 0.95;
/** Rate of false positives that such a chart begins with. */
const cornerStart = 1e-3;
/** Height of such a chart at least: a perfect curve does not need room above 100 %. */
const leastHeight = 0.01;
/** An interval of fewer predictions has no accuracy to speak of. */
const fewestPredictions = 10;
/** Rows of the table of areas; of more classes those with the smallest areas. */
const mostClasses = 24;

/** Return the section; undefined if no run is a classifier with probabilities. */
export function classifierCharts(runs: readonly RunRecord[], inks: Inks): Html | undefined {
  const parts = [rocChart(runs, inks), reliabilityChart(runs, inks)].filter((part) => part !== undefined);
  if (parts.length === 0) return undefined;
  return html`<h3>How sure, how often right</h3><div class="charts">${parts}${areaTable(runs)}</div>`;
}

const diagonal = (name: string): ChartSeries => ({
  name,
  ink: quiet,
  kind: 'guide',
  points: [
    [0, 0],
    [1, 1],
  ],
});

function rocChart(runs: readonly RunRecord[], inks: Inks): Html | undefined {
  const known = runs.flatMap(({ name, roc }) => (roc ? [{ name, roc }] : []));
  const [first] = known;
  if (!first) return undefined;
  const { classes, examples } = first.roc;
  const least = Math.min(...known.flatMap(({ roc }) => roc.classes.map(({ area }) => area)));
  const isClose = least > closeArea;
  const inCorner = known.flatMap(({ roc }) => roc.points.filter(([x]) => x >= cornerStart));
  const of = classes.length > 1 ? 'mean of each class against all others' : `of the class ${classes[0]?.name}`;
  return lineChart({
    title: 'ROC curve',
    note: `${of}, ${formatCount(examples)} examples of the test set${isClose ? ', log scale' : ''}`,
    ...(!isClose && { key: html`<span><i class="guide"></i>by chance</span>` }),
    xName: 'false positives: others taken for the class',
    // Curves in the corner are apart only where false positives are few.
    x: isClose ? logScale([cornerStart, 1], 5) : unit,
    y: isClose ? linearScale([1, 1 - leastHeight, ...inCorner.map(([, y]) => y)], 5) : unit,
    formatX: share,
    formatY: share,
    series: [
      ...known.map(({ name, roc }) =>
        line(name, isClose ? roc.points.filter(([x]) => x >= cornerStart) : roc.points, inks, known.length),
      ),
      ...(isClose ? [] : [diagonal('by chance')]),
    ],
  });
}

function reliabilityChart(runs: readonly RunRecord[], inks: Inks): Html | undefined {
  const known = runs.flatMap(({ name, calibration }) => (calibration ? [{ name, calibration }] : []));
  if (known.length === 0) return undefined;
  const errors = known.map(
    ({ name, calibration }) => `${known.length > 1 ? `${name} ` : ''}${share(calibration.error)}`,
  );
  const counted = known.map(({ name, calibration: { bins } }) => {
    const many = bins.filter(({ count }) => count >= fewestPredictions);
    return { name, bins: many.length > 1 ? many : bins };
  });
  return lineChart({
    title: 'Calibration',
    note: `mean gap between confidence and accuracy: ${errors.join(', ')}`,
    key: html`<span><i class="guide"></i>as sure as right</span>`,
    xName: 'mean confidence of the predictions in an interval',
    x: unit,
    y: unit,
    formatX: share,
    formatY: share,
    series: [
      ...counted.map(({ name, bins }) =>
        line(
          name,
          bins.map(({ confidence, accuracy }) => [confidence, accuracy] as const),
          inks,
          known.length,
        ),
      ),
      diagonal('as sure as right'),
    ],
  });
}

const line = (name: string, points: ChartSeries['points'], inks: Inks, of: number): ChartSeries => ({
  name,
  ...(of > 1 && { label: name }),
  ink: inks.get(name) ?? quiet,
  points,
});

/** The area under the curve of each class and run: 1 is perfect, ½ is chance. */
function areaTable(runs: readonly RunRecord[]): Html | undefined {
  const known = runs.flatMap(({ name, roc }) => (roc ? [{ name, roc }] : []));
  const [first] = known;
  if (!first) return undefined;
  const names = [...first.roc.classes].sort((a, b) => a.area - b.area).slice(0, mostClasses);
  const inOrder = first.roc.classes.filter((each) => names.includes(each));
  const rows = inOrder.map(({ name }) => {
    const cells = known.map(({ roc }) => {
      const area = roc.classes.find((each) => each.name === name)?.area;
      return html`<td>${area === undefined ? '–' : area.toFixed(4)}</td>`;
    });
    return html`<tr><th scope="row">${name}</th>${cells}</tr>`;
  });
  const head = known.map(({ name }) => html`<th scope="col">${name}</th>`);
  const means = known.map(
    ({ roc: { classes } }) =>
      html`<td>${(classes.reduce((sum, { area }) => sum + area, 0) / classes.length).toFixed(4)}</td>`,
  );
  const mean = first.roc.classes.length > 1 && html`<tr><th scope="row">Mean</th>${means}</tr>`;
  return html`<details class="numbers"><summary>Areas under the ROC curves</summary><div class="scroll" tabindex="0" role="group" aria-label="Areas under the ROC curves"><table class="list"><thead><tr><th scope="col">Class</th>${head}</tr></thead><tbody>${mean}${rows}</tbody></table></div></details>`;
}
