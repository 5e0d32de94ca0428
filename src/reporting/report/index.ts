// The HTML report of a comparison: one file that contains everything, asks nothing of the network and runs no script.

import { capitalized, formatCount, listed } from '../../format.js';
import type { Experiment, ReportData } from '../../training/run-record.js';
import { againstBaseline } from '../baseline.js';
import { findings } from '../headline.js';
import { dataName, renamed, shortNames, withDistinctNames } from '../names.js';
import { summaryColumns, summaryNotes } from '../summary.js';
import { goalOf } from '../target.js';
import { classifierCharts } from './classifier-charts.js';
import { costs } from './cost-bars.js';
import { optimizerCharts, trainingCharts } from './curve-charts.js';
import { htmlDocument, unbroken } from './document.js';
import { confusionGallery, reconstructionGallery } from './galleries.js';
import { type Html, html } from './html.js';
import { layerMaps } from './layer-maps.js';
import { assignInks, chip, type Ink } from './palette.js';
import { predictionCharts, worstRows } from './worst-examples.js';

/**
 * Return a report as one HTML document.
 * @throws OptionError if a picture's pixels do not fit its size
 * @example
 * const { record } = await train(model, { data, optimizer: adam(), steps: 100 });
 * const experiment = { model: 'mlp', data: 'digits', parameters: 6370, batchSize: 128, runs: [record] };
 * const environment = { node: process.version };
 * const html = renderReport({ title: 'digits', command: 'node train.js', environment, experiments: [experiment] });
 */
export function renderReport(data: ReportData): string {
  const distinct = data.experiments.map(withDistinctNames);
  const names = distinct.flatMap(({ runs }) => runs.map(({ name }) => name));
  const short = shortNames([...new Set(names)]);
  const [inks, full] = [new Map<string, Ink>(), new Map<string, string>()];
  for (const [name, ink] of assignInks(names)) {
    inks.set(short.get(name) ?? name, ink);
    full.set(short.get(name) ?? name, name);
  }
  const experiments = distinct.map((experiment) => renamed(experiment, short));
  const several = experiments.length > 1;
  const contents = experiments.map(
    ({ model, data: set }, index) => html`<li><a href="#experiment-${index + 1}">${model} on ${dataName(set)}</a></li>`,
  );
  return htmlDocument({
    ...data,
    contents: several && html`<nav aria-label="Contents"><ol>${contents}</ol></nav>`,
    main: experiments.map((experiment, index) => experimentSection(experiment, index, { inks, full })),
  });
}

/** How runs look and what they are called in full, by their short names. */
interface Appearance {
  readonly inks: ReadonlyMap<string, Ink>;
  readonly full: ReadonlyMap<string, string>;
}

function experimentSection(experiment: Experiment, index: number, { inks, full }: Appearance): Html {
  const { headline, details } = findings(experiment);
  const sample = sampleNote(experiment);
  const { charts, constants } = optimizerCharts(experiment, inks);
  const own = charts.length > 0 || constants;
  return html`
<section id="experiment-${index + 1}">
<p class="setting">${setting(experiment)}</p>
<h2>${unbroken(headline)}</h2>
${details.length > 0 && html`<ul class="findings">${details.map((detail) => html`<li>${unbroken(detail)}</li>`)}</ul>`}
${summaryTable(experiment, { inks, full })}
<h3>Training</h3>
<div class="charts">${trainingCharts(experiment, inks)}</div>
${sample && html`<p class="note">${sample}</p>`}
${own && html`<h3>What the optimizers did</h3><div class="charts small">${charts}</div>${constants}`}
${layerMaps(experiment.runs)}
<h3>What it cost</h3>
${costs(experiment.runs, inks)}
${reconstructionGallery(experiment, inks)}
${predictionCharts(experiment.runs, inks)}
${classifierCharts(experiment.runs, inks)}
${confusionGallery(experiment, inks)}
${worstRows(experiment.runs, inks)}
</section>`;
}

function setting(experiment: Experiment): Html {
  const { model, data, parameters, batchSize, standardized = [] } = experiment;
  const inside = standardized.length > 0 && html` · standardizes ${standardized.join(' and ')}`;
  const goal = goalOf(experiment);
  return html`<strong>${model}</strong> on <strong>${dataName(data)}</strong> · ${formatCount(parameters)} parameters · batches of ${formatCount(batchSize)}${inside}${goal && html` · target: ${unbroken(goal.text)}`}`;
}

/** The number of examples in the evaluations along the way, if it is not all. */
function sampleNote({ runs }: Experiment): string | undefined {
  const sampled = runs.find((run) => run.sampled)?.sampled;
  const parts = [
    sampled?.train !== undefined && `${formatCount(sampled.train)} examples of the training set`,
    sampled?.test !== undefined && `${formatCount(sampled.test)} of the test set`,
  ].filter((part) => part !== false);
  if (parts.length === 0) return undefined;
  return `Evaluated along the way on ${listed(parts)}; the last point, the table and the target are evaluated on the whole sets.`;
}

/** `ms/step`: units keep their case. */
const isUnit = (header: string): boolean => header.includes('/');

/** What takes no learning comes to on the same data. */
function baselineNote({ runs }: Experiment): string | false {
  const known = runs.find(({ baseline }) => baseline);
  return (known && againstBaseline(known)?.note) ?? false;
}

/** A long name breaks between its options. */
const breakable = (name: string): Html =>
  html`${name.split(':').map((part, index) => (index === 0 ? part : html`:<wbr>${part}`))}`;

/** A row for each run; the best of each column in bold. */
function summaryTable(experiment: Experiment, { inks, full }: Appearance): Html {
  const columns = summaryColumns(experiment);
  const head = columns.map(({ header }) => html`<th scope="col">${isUnit(header) ? header : capitalized(header)}</th>`);
  const rows = experiment.runs.map(({ name }, index) => {
    const cells = columns.map(({ cells }) => {
      const { text, best, warning } = cells[index] ?? { text: '' };
      if (warning) return html`<td class="warning">${text} !</td>`;
      return best ? html`<td class="best">${text}</td>` : html`<td>${text}</td>`;
    });
    const whole = full.get(name) ?? name;
    const details = whole !== name && html`<small>${breakable(whole)}</small>`;
    return html`<tr><th scope="row">${chip(inks.get(name))}${name}${details}</th>${cells}</tr>`;
  });
  const best = columns.some(({ cells }) => cells.some((cell) => cell.best)) && 'Bold: the best of its column.';
  const notes = [best, baselineNote(experiment), ...summaryNotes(experiment)].filter((note) => note !== false);
  return html`<div class="scroll" tabindex="0" role="group" aria-label="Results"><table class="summary"><thead><tr><th scope="col">Optimizer</th>${head}</tr></thead><tbody>${rows}</tbody></table></div>${notes.map((note) => html`<p class="note">${note}</p>`)}`;
}
