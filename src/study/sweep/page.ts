// What a sweep shows: its best trial, how far the choice can be trusted, all trials as a table and as parallel coordinates.
import { formatCount, formatMeasured, formatMetric, formatSeconds, words } from '../../format.js';
import type { Presentation, Section } from '../study.js';
import type { StudyTable } from '../table.js';
import { parallelCoordinates } from './parallel-coordinates.js';
import { choiceText, isAtEdge, type Settings } from './space.js';
import type { SweepResult, TrialRow } from './sweep.js';

/** `optimizer cgfac, learning-rate 0.003`. */
const settingsText = (settings: Settings): string =>
  Object.entries(settings)
    .map(([name, value]) => `${name} ${choiceText(value)}`)
    .join(', ');

export function sweepPresentation(result: SweepResult): Presentation {
  const { best, trials, metric } = result;
  return {
    headline: best
      ? `The best of ${formatCount(trials.length)} trials by ${words(metric)} (${formatMetric(metric, best.value ?? Number.NaN)}): ${settingsText(best.settings)}`
      : `None of ${formatCount(trials.length)} trials has a finite ${words(metric)}`,
    findings: findingsOf(result),
    sections: [trialsSection(result)],
  };
}

function findingsOf({ best, trials, vary, metric }: SweepResult): string[] {
  const found: string[] = [];
  const diverged = trials.filter(({ value }) => value === null).length;
  if (best?.test !== undefined && best?.test !== null) {
    found.push(
      metric.startsWith('test')
        ? 'The trials were chosen by the test set: its value says little about new data. Hold out a validation set ("validation": 0.1).'
        : `On the test set, which had no part in the choice, it comes to ${formatMetric(metric, best.test)}. The value that chose it is the best of many, and so luckier than it is good.`,
    );
  }
  const edges = vary.filter((dimension) => best && isAtEdge(dimension, best.settings[dimension.name]));
  if (edges.length > 0) {
    found.push(
      `The best lies at the edge of ${edges.map(({ name }) => name).join(' and ')}: a better one may lie beyond.`,
    );
  }
  if (diverged > 0) found.push(`${formatCount(diverged)} of ${formatCount(trials.length)} trials diverged.`);
  return found;
}

function trialsSection(result: SweepResult): Section {
  const { search } = result;
  return {
    title: 'All trials',
    notes: [
      search === 'halving'
        ? 'Each round trains the best of the round before anew, and longer; a trial is shown with its last round.'
        : 'The best first.',
    ],
    tables: [table(result)],
    charts: parallelCoordinates(result),
  };
}

function table({ trials, vary, metric, search }: SweepResult): StudyTable {
  const halving = search === 'halving';
  const value = (row: TrialRow) =>
    row.value === null ? { text: 'diverged', mark: 'warning' as const } : formatMetric(metric, row.value);
  return {
    caption: `Trials by ${words(metric)}`,
    columns: [
      'trial',
      ...vary.map(({ name }) => name),
      words(metric),
      'test',
      ...(halving ? ['share'] : []),
      'steps',
      'time',
    ],
    rows: trials.map((row, i) => [
      String(row.trial),
      ...vary.map(({ name }) => choiceText(row.settings[name])),
      i === 0 && row.value !== null ? { text: formatMetric(metric, row.value), mark: 'best' as const } : value(row),
      row.test === null ? '–' : formatMetric(metric, row.test),
      ...(halving ? [formatMeasured(row.share)] : []),
      formatCount(row.steps),
      formatSeconds(row.seconds),
    ]),
  };
}
