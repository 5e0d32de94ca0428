// The columns of a comparison, as data: what the console's table, the Markdown table and the report's table show.

import {
  formatBytes,
  formatCount,
  formatMeasured,
  formatMetric,
  formatSeconds,
  formatTarget,
  words,
} from './format.js';
import type { Experiment, RunRecord } from './run-record.js';

/** One cell: its text, and whether no run is better in this column. */
export interface SummaryCell {
  readonly text: string;
  readonly best: boolean;
}

/** One column of a comparison, a cell for each run. */
export interface SummaryColumn {
  readonly header: string;
  readonly cells: readonly SummaryCell[];
}

/** A column before the best are known. Undefined: does not apply; null: was tried and not reached. */
interface Measure {
  readonly header: string;
  readonly value: (run: RunRecord) => number | null | undefined;
  readonly format: (value: number) => string;
  readonly lowerIsBetter?: boolean;
}

/** The columns that the experiment has something to say in. Best values are marked where there are two runs or more. */
export function summaryColumns(experiment: Experiment): SummaryColumn[] {
  const { runs } = experiment;
  return measures(experiment).flatMap(({ header, value, format, lowerIsBetter }) => {
    const values = runs.map(value);
    if (values.every((entry) => entry === undefined)) return [];
    // A run that diverged may have been quick: that makes it best at nothing.
    const sound = values.filter((_, index) => Number.isFinite(runs[index]?.train.loss));
    const finite = sound.filter((entry): entry is number => typeof entry === 'number' && Number.isFinite(entry));
    const best =
      lowerIsBetter === undefined || runs.length < 2 ? Number.NaN : (lowerIsBetter ? Math.min : Math.max)(...finite);
    const cells = values.map((entry, index) => ({
      text: entry === undefined ? '–' : entry === null ? 'not reached' : format(entry),
      best: entry === best && Number.isFinite(runs[index]?.train.loss),
    }));
    return [{ header, cells }];
  });
}

function measures({ runs, target }: Experiment): Measure[] {
  const metric = runs[0]?.metric;
  const metrics: Measure[] =
    metric === undefined || metric.name === 'loss'
      ? []
      : (['train', 'test'] as const).map((set) => ({
          header: `${set} ${words(metric.name)}`,
          value: (run) => run[set][metric.name],
          format: (value) => formatMetric(metric.name, value),
          lowerIsBetter: metric.lowerIsBetter,
        }));
  const goal = target && `to ${formatTarget(target.metric, target.value)}`;
  const toTarget = (key: 'steps' | 'seconds') => (run: RunRecord) =>
    run.toTarget === null ? null : run.toTarget?.[key];
  const targets: Measure[] =
    goal === undefined
      ? []
      : [
          { header: `steps ${goal}`, value: toTarget('steps'), format: formatCount, lowerIsBetter: true },
          { header: `time ${goal}`, value: toTarget('seconds'), format: formatSeconds, lowerIsBetter: true },
        ];
  return [
    { header: 'train loss', value: (run) => run.train.loss, format: formatMeasured, lowerIsBetter: true },
    { header: 'test loss', value: (run) => run.test.loss, format: formatMeasured, lowerIsBetter: true },
    ...metrics,
    { header: 'steps', value: (run) => run.steps.at(-1)?.step, format: formatCount },
    { header: 'time', value: (run) => run.seconds, format: formatSeconds, lowerIsBetter: true },
    { header: 'ms/step', value: (run) => run.stepMilliseconds.median, format: formatMeasured, lowerIsBetter: true },
    ...targets,
    { header: 'optimizer memory', value: (run) => run.stateBytes, format: formatBytes, lowerIsBetter: true },
  ];
}
