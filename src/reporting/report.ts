// The HTML report of a comparison: one file that carries everything, asks nothing of the network and runs no script.

import { capitalized, formatCount, formatTarget, words } from './format.js';
import { findings } from './headline.js';
import { costBars } from './report/cost-bars.js';
import { optimizerCharts, trainingCharts } from './report/curve-charts.js';
import { confusionGallery, reconstructionGallery } from './report/galleries.js';
import { type Html, html, trusted } from './report/html.js';
import { assignInks, type Ink } from './report/palette.js';
import { REPORT_CSS } from './report/style.js';
import type { Experiment, ReportData } from './run-record.js';
import { summaryColumns } from './summary.js';

/**
 * Renders a report as one HTML document.
 *
 * @throws OptionError if a picture's pixels do not fit its size.
 */
export function renderReport(data: ReportData): string {
  const inks = assignInks(data.experiments);
  const several = data.experiments.length > 1;
  const contents = data.experiments.map(
    ({ model, data: set }, index) => html`<li><a href="#experiment-${index + 1}">${model} on ${set}</a></li>`,
  );
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${data.title}</title>
<style>${trusted(REPORT_CSS)}</style>
</head>
<body>
<header><h1>${data.title}</h1>${several && html`<nav><ol>${contents}</ol></nav>`}</header>
<main>${data.experiments.map((experiment, index) => experimentSection(experiment, index, inks))}</main>
<footer>${provenance(data)}</footer>
</body>
</html>
`;
  return page.html;
}

function experimentSection(experiment: Experiment, index: number, inks: ReadonlyMap<string, Ink>): Html {
  const { headline, details } = findings(experiment);
  const { charts, constants } = optimizerCharts(experiment, inks);
  const own = charts.length > 0 || constants;
  return html`
<section id="experiment-${index + 1}">
<p class="setting">${setting(experiment)}</p>
<h2>${headline}</h2>
${details.length > 0 && html`<ul class="findings">${details.map((detail) => html`<li>${detail}</li>`)}</ul>`}
${summaryTable(experiment, inks)}
<h3>Training</h3>
<div class="charts">${trainingCharts(experiment, inks)}</div>
${own && html`<h3>What the optimizers did</h3><div class="charts small">${charts}</div>${constants}`}
<h3>What it cost</h3>
<div class="charts">${costBars(experiment.runs, inks)}</div>
${reconstructionGallery(experiment, inks)}
${confusionGallery(experiment, inks)}
</section>`;
}

function setting({ model, data, parameters, batchSize, target, standardized = [] }: Experiment): Html {
  const inside = standardized.length > 0 && html` · standardizes ${standardized.join(' and ')}`;
  const goal = target && html` · target: ${words(target.metric)} ${formatTarget(target.metric, target.value)}`;
  return html`<strong>${model}</strong> on <strong>${data}</strong> · ${formatCount(parameters)} parameters · batches of ${formatCount(batchSize)}${inside}${goal}`;
}

/** A row for each run; the best of each column in bold. */
function summaryTable(experiment: Experiment, inks: ReadonlyMap<string, Ink>): Html {
  const columns = summaryColumns(experiment);
  const head = columns.map(({ header }) => html`<th scope="col">${capitalized(header)}</th>`);
  const rows = experiment.runs.map(({ name }, index) => {
    const cells = columns.map(({ cells }) => {
      const cell = cells[index];
      return cell?.best ? html`<td class="best">${cell.text}</td>` : html`<td>${cell?.text}</td>`;
    });
    return html`<tr><th scope="row"><i class="chip" style="background:${inks.get(name)?.colour ?? ''}"></i>${name}</th>${cells}</tr>`;
  });
  const best = experiment.runs.length > 1 && html`<p class="note">Bold: the best of its column.</p>`;
  return html`<div class="scroll"><table class="summary"><thead><tr><th scope="col">Optimizer</th>${head}</tr></thead><tbody>${rows}</tbody></table></div>${best}`;
}

/** How to do it again: the command, and where it ran. */
function provenance({ command, environment }: ReportData): Html {
  const entries = Object.entries(environment).map(
    ([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`,
  );
  return html`<h3>Made by</h3><pre tabindex="0"><code>${commandLine(command)}</code></pre><dl>${entries}</dl>`;
}

/** Lines break before an option, not within one. */
function commandLine(command: string): Html {
  const parts = command.split(/ (?=-)/);
  return html`${parts.map((part, index) => html`${index > 0 && ' '}<span>${part}</span>`)}`;
}
