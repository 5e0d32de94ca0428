// The HTML report of a comparison: one file that contains everything, asks nothing of the network and runs no script.

import { capitalized, formatCount, listed } from '../../format.js';
import type { Experiment, ReportData } from '../../training/run-record.js';
import { findings } from '../headline.js';
import { withDistinctNames } from '../names.js';
import { summaryColumns, summaryNotes } from '../summary.js';
import { goalOf } from '../target.js';
import { costs } from './cost-bars.js';
import { optimizerCharts, trainingCharts } from './curve-charts.js';
import { htmlDocument, unbroken } from './document.js';
import { confusionGallery, reconstructionGallery } from './galleries.js';
import { type Html, html } from './html.js';
import { layerMaps } from './layer-maps.js';
import { assignInks, type Ink } from './palette.js';

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
  const experiments = data.experiments.map(withDistinctNames);
  const inks = assignInks(experiments.flatMap(({ runs }) => runs.map(({ name }) => name)));
  const several = experiments.length > 1;
  const contents = experiments.map(
    ({ model, data: set }, index) => html`<li><a href="#experiment-${index + 1}">${model} on ${set}</a></li>`,
  );
  return htmlDocument({
    ...data,
    contents: several && html`<nav><ol>${contents}</ol></nav>`,
    main: experiments.map((experiment, index) => experimentSection(experiment, index, inks)),
  });
}

function experimentSection(experiment: Experiment, index: number, inks: ReadonlyMap<string, Ink>): Html {
  const { headline, details } = findings(experiment);
  const sample = sampleNote(experiment);
  const { charts, constants } = optimizerCharts(experiment, inks);
  const own = charts.length > 0 || constants;
  return html`
<section id="experiment-${index + 1}">
<p class="setting">${setting(experiment)}</p>
<h2>${unbroken(headline)}</h2>
${details.length > 0 && html`<ul class="findings">${details.map((detail) => html`<li>${unbroken(detail)}</li>`)}</ul>`}
${summaryTable(experiment, inks)}
<h3>Training</h3>
<div class="charts">${trainingCharts(experiment, inks)}</div>
${sample && html`<p class="note">${sample}</p>`}
${own && html`<h3>What the optimizers did</h3><div class="charts small">${charts}</div>${constants}`}
${layerMaps(experiment.runs)}
<h3>What it cost</h3>
${costs(experiment.runs, inks)}
${reconstructionGallery(experiment, inks)}
${confusionGallery(experiment, inks)}
</section>`;
}

function setting(experiment: Experiment): Html {
  const { model, data, parameters, batchSize, standardized = [] } = experiment;
  const inside = standardized.length > 0 && html` · standardizes ${standardized.join(' and ')}`;
  const goal = goalOf(experiment);
  return html`<strong>${model}</strong> on <strong>${data}</strong> · ${formatCount(parameters)} parameters · batches of ${formatCount(batchSize)}${inside}${goal && html` · target: ${unbroken(goal.text)}`}`;
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

/** A row for each run; the best of each column in bold. */
function summaryTable(experiment: Experiment, inks: ReadonlyMap<string, Ink>): Html {
  const columns = summaryColumns(experiment);
  const head = columns.map(({ header }) => html`<th scope="col">${capitalized(header)}</th>`);
  const rows = experiment.runs.map(({ name }, index) => {
    const cells = columns.map(({ cells }) => {
      const { text, best, warning } = cells[index] ?? { text: '' };
      if (warning) return html`<td class="warning">${text} !</td>`;
      return best ? html`<td class="best">${text}</td>` : html`<td>${text}</td>`;
    });
    return html`<tr><th scope="row"><i class="chip" style="background:${inks.get(name)?.colour ?? ''}"></i>${name}</th>${cells}</tr>`;
  });
  const best = columns.some(({ cells }) => cells.some((cell) => cell.best)) && 'Bold: the best of its column.';
  const notes = [best, ...summaryNotes(experiment)].filter((note) => note !== false);
  return html`<div class="scroll"><table class="summary"><thead><tr><th scope="col">Optimizer</th>${head}</tr></thead><tbody>${rows}</tbody></table></div>${notes.map((note) => html`<p class="note">${note}</p>`)}`;
}
