// The columns of a comparison as data, for the tables of the console, of Markdown and of the report.

import {
  formatBytes,
  formatCount,
  formatMeasured,
  formatMetric,
  formatSeconds,
  formatTarget,
  listed,
  words,
} from '../format.js';
import type { Experiment, RunRecord } from '../training/run-record.js';
import { isSound, lowerFirstLoss, stepCount } from '../training/verdict.js';

/** One cell: its text, and whether no run is better in this column. */
export interface SummaryCell {
  readonly text: string;
  readonly best: boolean;
  /** No successful training has this number; `summaryNotes` says why. */
  readonly warning?: boolean;
}

/** One column of a comparison, a cell for each run. */
export interface SummaryColumn {
  readonly header: string;
  readonly cells: readonly SummaryCell[];
}

/** A column before the best are known. The value is undefined if it does not apply, null for a target that was not reached. */
interface Measure {
  readonly header: string;
  readonly value: (run: RunRecord) => number | null | undefined;
  readonly format: (value: number, run: RunRecord) => string;
  readonly lowerIsBetter?: boolean;
  readonly warns?: (run: RunRecord) => boolean;
}

/** Return the columns that have a value in at least one run. The best values of two runs or more are marked. */
export function summaryColumns(experiment: Experiment): SummaryColumn[] {
  const { runs } = experiment;
  return measures(experiment).flatMap(({ header, value, format, lowerIsBetter, warns }) => {
    const entries = runs.map((run) => ({ run, entry: value(run) }));
    if (entries.every(({ entry }) => entry === undefined)) return [];
    // A run that diverged or got worse may be quick, but is best at nothing.
    const finite = entries.flatMap(({ run, entry }) =>
      isSound(run) && typeof entry === 'number' && Number.isFinite(entry) ? [entry] : [],
    );
    const best =
      lowerIsBetter === undefined || runs.length < 2 ? Number.NaN : (lowerIsBetter ? Math.min : Math.max)(...finite);
    const cells = entries.map(({ run, entry }) => ({
      text: entry === undefined ? '–' : entry === null ? 'not reached' : format(entry, run),
      best: entry === best && isSound(run),
      ...(warns?.(run) && { warning: true }),
    }));
    return [{ header, cells }];
  });
}

/** Return sentences on the cells that warn. */
export function summaryNotes({ runs }: Experiment): string[] {
  const raised = runs.flatMap((run) => {
    const first = lowerFirstLoss(run);
    return first === undefined ? [] : [`${formatMeasured(first)} (${run.name})`];
  });
  const unchanged = runs.filter((run) => run.takenBack).map(({ name }) => name);
  return [
    ...(raised.length === 0 ? [] : [`! No success: higher than the loss at the start, ${listed(raised)}.`]),
    ...(unchanged.length === 0
      ? []
      : [`! No success: ${listed(unchanged)} did not lower the loss; the model is unchanged.`]),
  ];
}

const takenBack: Measure = {
  header: 'taken back',
  value: ({ rejected }) => rejected,
  format: (count, { steps }) => `${formatCount(count)} of ${formatCount(steps.at(-1)?.step ?? 0)}`,
};

function measures({ runs, target }: Experiment): Measure[] {
  const metric = runs[0]?.metric;
  const sets = (['train', 'validation', 'test'] as const).filter((set) => runs.some((run) => run[set] !== undefined));
  const metrics: Measure[] =
    metric === undefined || metric.name === 'loss'
      ? []
      : sets.map((set) => ({
          header: `${set} ${words(metric.name)}`,
          value: (run) => run[set]?.[metric.name],
          format: (value) => formatMetric(metric.name, value),
          lowerIsBetter: metric.lowerIsBetter,
        }));
  // Further metrics: those of the test set only.
  const others = (runs[0]?.otherMetrics ?? []).map(
    ({ name, lowerIsBetter }): Measure => ({
      header: `test ${words(name)}`,
      value: (run) => run.test[name],
      format: (value) => formatMetric(name, value),
      lowerIsBetter,
    }),
  );
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
    {
      header: 'train loss',
      value: (run) => run.train.loss,
      format: formatMeasured,
      lowerIsBetter: true,
      warns: (run) => lowerFirstLoss(run) !== undefined,
    },
    { header: 'test loss', value: (run) => run.test.loss, format: formatMeasured, lowerIsBetter: true },
    ...metrics,
    ...others,
    { header: 'steps', value: (run) => run.steps.at(-1)?.step, format: (_, run) => stepCount(run) },
    ...(runs.some((run) => run.rejected) ? [takenBack] : []),
    { header: 'time', value: (run) => run.seconds, format: formatSeconds, lowerIsBetter: true },
    { header: 'ms/step', value: (run) => run.stepMilliseconds.median, format: formatMeasured, lowerIsBetter: true },
    ...targets,
    { header: 'optimizer memory', value: (run) => run.stateBytes, format: formatBytes, lowerIsBetter: true },
  ];
}
