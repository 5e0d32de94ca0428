// What an optimizer reports of each layer: a table of the last values, and a heat map of layers and steps for each measure.
import { capitalized, formatNumber, words } from '../../format.js';
import { layerReportParts } from '../../layer-report.js';
import type { RunRecord } from '../../training/run-record.js';
import { type CurvePoint, curveOf } from '../curves.js';
import { type Html, html } from './html.js';

/** Columns of a heat map: more are too narrow to see. */
const mostColumns = 32;
/** From this ratio of the largest to the smallest value, shades follow logarithms. */
const wideRange = 30;
const titles: Readonly<Record<string, string>> = { pi: 'π', iterations: 'CG iterations', residual: 'CG residual' };

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
    return [
      html`<h3>${run.name}, layer by layer</h3>${lastValues(measures)}<details><summary>Over the run</summary>${measures.map((measure) => heatMap(measure, run.steps.length))}</details>`,
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

function lastValues(measures: readonly Measure[]): Html {
  const layers = [...new Set(measures.flatMap(({ curves }) => [...curves.keys()]))];
  const head = measures.map(({ name }) => html`<th scope="col">${titleOf(name)}</th>`);
  const rows = layers.map((layer) => {
    const cells = measures.map(({ curves }) => {
      const last = curves.get(layer)?.at(-1);
      return html`<td>${last && formatNumber(last.value)}</td>`;
    });
    return html`<tr><th scope="row">${layer}</th>${cells}</tr>`;
  });
  return html`<div class="scroll"><table class="list"><thead><tr><th scope="col">Layer</th>${head}</tr></thead><tbody>${rows}</tbody></table></div><p class="note">The last value of each.</p>`;
}

/** A row for each layer and a column for each span of steps, shaded by the mean value in it. */
function heatMap({ name, curves }: Measure, steps: number): Html {
  const columns = Math.min(mostColumns, steps);
  const rows = [...curves].map(([layer, points]) => ({ layer, means: means(points, steps, columns) }));
  const values = rows.flatMap((row) => row.means.filter((value) => value !== undefined));
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const scale = least > 0 && most > wideRange * least ? Math.log : (value: number) => value;
  const range = scale(most) - scale(least);
  const strength = (value: number) => (range > 0 ? Math.round((100 * (scale(value) - scale(least))) / range) : 0);
  const lines = rows.map(({ layer, means: own }) => {
    const cells = own.map((value) =>
      value === undefined ? html`<td></td>` : html`<td style="--strength:${strength(value)}%"></td>`,
    );
    return html`<tr><th scope="row">${layer}</th>${cells}</tr>`;
  });
  const span = `${formatNumber(least)} (light) to ${formatNumber(most)} (dark)${scale === Math.log ? ', log scale' : ''}; steps 1 to ${steps}`;
  return html`<figure class="layers"><figcaption>${titleOf(name)} <small>${span}</small></figcaption><div class="scroll"><table><tbody>${lines}</tbody></table></div></figure>`;
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
