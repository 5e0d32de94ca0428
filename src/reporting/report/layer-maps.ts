// What an optimizer reports of each layer: a heat map of layers and steps for each measure, and a table of the last values.
import { capitalized, formatNumber, listed, words } from '../../format.js';
import { layerReportParts } from '../../layer-report.js';
import type { RunRecord } from '../../training/run-record.js';
import { type CurvePoint, curveOf } from '../curves.js';
import { type Html, html } from './html.js';

/** Columns of a heat map: more are too narrow to see. */
const mostColumns = 64;
/** From this ratio of the largest to the smallest value, shades follow logarithms. */
const wideRange = 30;
const titles: Readonly<Record<string, string>> = { pi: 'π', iterations: 'CG iterations', residual: 'CG residual' };

/** What tells most of the curvature: shown at once, the others unfold. */
const firstMeasures = new Set(['damping', 'iterations', 'effectiveRank', 'stepLength']);

interface Measure {
  readonly name: string;
  /** The curve of each layer that has one. */
  readonly curves: ReadonlyMap<string, readonly CurvePoint[]>;
}

/** Return what each run tells of its layers; nothing for runs that tell nothing. */
export const layerMaps = (runs: readonly RunRecord[]): Html[] =>
  runs.flatMap((run) => {
    const measures = measuresOf(run);
    if (measures.length === 0) return [];
    const steps = run.steps.at(-1)?.step ?? 1;
    const maps = (of: readonly Measure[]) =>
      html`<div class="charts">${of.map((measure) => heatMap(measure, steps))}</div>`;
    const first = measures.filter(({ name }) => firstMeasures.has(name.split('.')[0] ?? name));
    const others = measures.filter((measure) => !first.includes(measure));
    return [
      html`<h3>${run.name}, layer by layer</h3>${maps(first)}${others.length > 0 && html`<details><summary>${listed(others.map(({ name }) => titleOf(name)))}</summary>${maps(others)}</details>`}<details class="numbers"><summary>The last values</summary>${lastValues(measures, run.name)}</details>`,
    ];
  });

function measuresOf(run: RunRecord): Measure[] {
  const names = new Set(run.steps.flatMap(({ optimizer }) => Object.keys(optimizer)));
  const found = new Map<string, Map<string, readonly CurvePoint[]>>();
  for (const name of names) {
    const parts = layerReportParts(name);
    const points = parts && curveOf(run, ({ optimizer }) => optimizer[name]);
    if (!points || points.length === 0) continue;
    const curves = found.get(parts.measure) ?? new Map<string, readonly CurvePoint[]>();
    found.set(parts.measure, curves.set(parts.layer, points));
  }
  return [...found].map(([name, curves]) => ({ name, curves }));
}

/** `effectiveRank.A` is `Effective rank A`. */
const titleOf = (measure: string): string => {
  const [name = '', ...rest] = measure.split('.');
  return [titles[name] ?? capitalized(words(name)), ...rest].join(' ');
};

function lastValues(measures: readonly Measure[], name: string): Html {
  const layers = [...new Set(measures.flatMap(({ curves }) => [...curves.keys()]))];
  const head = measures.map(({ name }) => html`<th scope="col">${titleOf(name)}</th>`);
  const rows = layers.map((layer) => {
    const cells = measures.map(({ curves }) => {
      const last = curves.get(layer)?.at(-1);
      return html`<td>${last && formatNumber(last.value)}</td>`;
    });
    return html`<tr><th scope="row">${layer}</th>${cells}</tr>`;
  });
  return html`<div class="scroll" tabindex="0" role="group" aria-label="Last values of ${name}"><table class="list"><thead><tr><th scope="col">Layer</th>${head}</tr></thead><tbody>${rows}</tbody></table></div>`;
}

/** A row for each layer and a column for each span of steps, shaded by the mean value in it. */
function heatMap({ name, curves }: Measure, steps: number): Html {
  const columns = Math.min(mostColumns, steps);
  const rows = [...curves].map(([layer, points]) => ({ layer, points, means: means(points, steps, columns) }));
  const values = rows.flatMap((row) => row.means.filter((value) => value !== undefined));
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const scale = least > 0 && most > wideRange * least ? Math.log : (value: number) => value;
  const range = scale(most) - scale(least);
  const shade = (value: number) => (range > 0 ? Math.round((mostShades * (scale(value) - scale(least))) / range) : 0);
  const lines = rows.map(({ layer, points, means: own }) => {
    const [first, last] = [points[0]?.value ?? Number.NaN, points.at(-1)?.value ?? Number.NaN];
    const course = `${formatNumber(first)} → ${formatNumber(last)}`;
    const shades = own.map((value) => (value === undefined ? undefined : shade(value)));
    return html`<tr><th scope="row">${layer}</th><td>${strip(shades, `${layer}: ${course}`)}</td><td>${course}</td></tr>`;
  });
  const span = scale === Math.log ? 'log scale' : '';
  const legend = html`<div class="shades"><span>${formatNumber(least)}</span>${strip(range > 0 ? allShades : [0], undefined)}<span>${formatNumber(most)}</span></div>`;
  const axis = html`<tr class="steps"><td></td><td><span>1</span><span>steps</span><span>${formatNumber(steps)}</span></td><td></td></tr>`;
  return html`<figure class="layers"><figcaption>${titleOf(name)} <small>${span}</small>${legend}</figcaption><div class="scroll" tabindex="0" role="group" aria-label="${titleOf(name)} of each layer"><table aria-label="${titleOf(name)} of each layer over the steps"><tbody>${lines}${axis}</tbody></table></div></figure>`;
}

/** Shades of a heat map: as many as can be told apart. */
const mostShades = 16;
const allShades = Array.from({ length: mostShades + 1 }, (_, shade) => shade);

/** A row of shaded cells; equal neighbours are drawn as one. */
function strip(shades: readonly (number | undefined)[], label: string | undefined): Html {
  const cells: Html[] = [];
  for (let start = 0; start < shades.length; ) {
    const shade = shades[start];
    let end = start + 1;
    while (end < shades.length && shades[end] === shade) end += 1;
    if (shade !== undefined) {
      // The lightest shade still differs from a span without a value.
      const opacity = Number((0.08 + (0.92 * shade) / mostShades).toFixed(2));
      cells.push(html`<path d="M${start} 0h${end - start}v1h${start - end}z" fill-opacity="${opacity}"/>`);
    }
    start = end;
  }
  const description = label === undefined ? html` aria-hidden="true"` : html` role="img" aria-label="${label}"`;
  return html`<svg class="strip"${description} viewBox="0 0 ${shades.length} 1" preserveAspectRatio="none">${cells}</svg>`;
}

/** The mean of the values in each of equal spans of steps; undefined for a span that has none. */
function means(points: readonly CurvePoint[], steps: number, columns: number): (number | undefined)[] {
  const spans = Array.from({ length: columns }, () => ({ sum: 0, count: 0 }));
  for (const { step, value } of points) {
    const span = spans[Math.floor(((step - 1) * columns) / steps)];
    if (!span) continue;
    span.sum += value;
    span.count += 1;
  }
  return spans.map(({ sum, count }) => (count > 0 ? sum / count : undefined));
}
