// The page of runs that are watched: what each does now, and the charts of the report. A script replaces what has changed.
import { formatCount, formatMetric, formatSeconds, formatSteps, words } from '../../format.js';
import type { Experiment, RunRecord, StepRecord } from '../../training/run-record.js';
import { optimizerCharts, trainingCharts } from '../report/curve-charts.js';
import { htmlDocument } from '../report/document.js';
import { type Html, html } from '../report/html.js';
import { layerMaps } from '../report/layer-maps.js';
import { assignInks, type Ink } from '../report/palette.js';
import type { WatchedGroup, WatchedRun, WatchedState } from './folder.js';

/** The name of the script beside the page. */
export const scriptName = 'watch.js';

/** Return the page of the runs. */
export function watchPage(
  title: string,
  groups: readonly WatchedGroup[],
  environment: Readonly<Record<string, string>>,
): string {
  const commands = [...new Set(groups.flatMap(({ command }) => command ?? []))];
  return htmlDocument({
    title,
    command: commands.join('\n') || 'cgfac watch',
    environment,
    contents: html`<p class="note" id="connection">This page follows the run.</p><noscript><p class="note">Without scripts, reload the page for newer steps.</p></noscript>`,
    main: [{ html: watchedParts(groups) }],
    script: scriptName,
  });
}

/** Return what the script puts into the page, as HTML. */
export function watchedParts(groups: readonly WatchedGroup[]): string {
  return html`${groups.map((group) => groupSection(group))}`.html;
}

const sentences: Readonly<Record<WatchedState, string>> = {
  waiting: 'Waiting for the first step',
  running: 'Running',
  finished: 'Finished',
  interrupted: 'Interrupted',
  diverged: 'Diverged',
  failed: 'Failed',
  killed: 'Ended without a word: its process was killed',
};

function groupSection({ title, state, runs }: WatchedGroup): Html {
  const begun = runs.filter(({ records }) => records.length > 0);
  const experiment = experimentOf(title, begun);
  const inks = assignInks(begun.map(({ name }) => name));
  const { charts, constants } = optimizerCharts(experiment, inks);
  const own = charts.length > 0 || constants;
  return html`<section data-part="${title}">
<p class="setting"><strong>${title}</strong></p>
<h2 data-part="state" role="status">${sentences[state]}</h2>
${
  begun.length > 0 &&
  html`<div data-part="numbers">${nowTable(begun, inks)}</div>
<h3>Training</h3>
<div class="charts" data-part="training">${trainingCharts(experiment, inks)}</div>
${own && html`<h3>What the optimizers do</h3><div data-part="optimizers"><div class="charts small">${charts}</div>${constants}</div>`}
<div data-part="layers">${layerMaps(experiment.runs)}</div>`
}
</section>`;
}

/** A row for each run: where it is, and the newest value of each number. */
function nowTable(runs: readonly WatchedRun[], inks: ReadonlyMap<string, Ink>): Html {
  const names = [...new Set(runs.flatMap(({ records }) => [...newest(records).keys()]))];
  const head = ['steps', 'epochs', 'time', 'loss of the batch', ...names.map(words)].map(
    (name) => html`<th scope="col">${name}</th>`,
  );
  const rows = runs.map(({ name, records }) => {
    const last = records.at(-1);
    if (!last) return html``;
    const values = newest(records);
    const cells = [
      formatCount(last.step),
      String(Number(last.epoch.toPrecision(3))),
      formatSeconds(last.seconds),
      formatMetric('loss', last.loss),
      ...names.map((key) => {
        const value = values.get(key);
        return value === undefined ? '–' : formatMetric(key, value);
      }),
    ];
    return html`<tr><th scope="row"><i class="chip" style="background:${inks.get(name)?.colour ?? ''}"></i>${name}</th>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>`;
  });
  const step = runs.flatMap(({ records }) => records.findLast(isEvaluated)?.step ?? []);
  const note = step.length > 0 && html`<p class="note">Last evaluated after ${formatSteps(Math.max(...step))}.</p>`;
  return html`<div class="scroll" tabindex="0"><table class="summary"><thead><tr><th scope="col">Run</th>${head}</tr></thead><tbody>${rows}</tbody></table></div>${note}`;
}

const ofSet = /^(train|validation|test)[A-Z]/;
const isEvaluated = ({ metrics }: StepRecord): boolean => Object.keys(metrics).some((name) => ofSet.test(name));

/** The newest value of each metric. */
function newest(records: readonly StepRecord[]): Map<string, number> {
  const values = new Map<string, number>();
  for (const record of [records.findLast(isEvaluated), records.at(-1)])
    for (const [name, value] of Object.entries(record?.metrics ?? {})) values.set(name, value);
  return values;
}

/** The runs as charts take them. Numbers that only a finished run has are left out of what is drawn. */
function experimentOf(title: string, runs: readonly WatchedRun[]): Experiment {
  return { model: title, data: '', parameters: 0, batchSize: 0, runs: runs.map(recordOf) };
}

function recordOf({ name, records }: WatchedRun): RunRecord {
  const last = records.at(-1);
  const evaluated = records.find(isEvaluated)?.metrics ?? {};
  const metric =
    Object.keys(records[0]?.metrics ?? {}).find((key) => !ofSet.test(key)) ??
    Object.keys(evaluated)
      .flatMap((key) => (/^test[A-Z]/.test(key) && key !== 'testLoss' ? [key[4]?.toLowerCase() + key.slice(5)] : []))
      .at(0);
  return {
    name,
    steps: records,
    seconds: last?.seconds ?? 0,
    train: { loss: last?.loss ?? Number.NaN },
    test: { loss: Number.NaN },
    batchSize: 0,
    stateBytes: 0,
    stepMilliseconds: { median: 0, p10: 0, p90: 0 },
    metric: { name: metric ?? 'loss', lowerIsBetter: true },
  };
}
