// The charts of an experiment: loss and metric against steps and against seconds, and the optimizers' own numbers.

import { type CurvePoint, curveOf, smoothed, thinned } from '../curves.js';
import { capitalized, formatNumber, isShare, words } from '../format.js';
import { lossCurve } from '../headline.js';
import type { Experiment, RunRecord, StepRecord } from '../run-record.js';
import { type Html, html } from './html.js';
import { type ChartSeries, lineChart } from './line-chart.js';
import type { Ink } from './palette.js';
import { linearScale, logScale, type Scale, tightScale } from './scales.js';

type Inks = ReadonlyMap<string, Ink>;
interface Curve {
  readonly run: RunRecord;
  readonly points: readonly CurvePoint[];
}

/** Points of a drawn line: more than the eye can tell apart at this width costs only bytes. */
const DRAWN_POINTS = 160;
const TICKS = 6;
const PLAIN: Ink = { colour: 'var(--quiet)', dashed: false };

/** Optimizer numbers in the order in which they are shown; others follow. */
const DIAGNOSTICS = ['damping', 'learningRate', 'iterations', 'residual', 'momentum', 'reductionRatio'];
const TITLES: Readonly<Record<string, string>> = { iterations: 'CG iterations', residual: 'CG residual' };
/** Set by a rule rather than measured on a batch: their jumps are real, and are not smoothed away. */
const RULED = new Set(['damping']);

/** Loss, and the metric that the experiment is about, against steps and against seconds. */
export function trainingCharts(experiment: Experiment, inks: Inks): Html[] {
  const { runs } = experiment;
  const losses = runs.map((run) => ({ run, points: lossCurve(run) }));
  const charts = twoCharts('Training loss', losses, inks, (value) => lossScale(losses, value), formatNumber);
  const metric = runs[0]?.metric.name;
  if (metric === undefined || metric === 'loss') return charts;
  return [...charts, ...metricCharts(experiment, metric, inks)];
}

/**
 * The test metric where it was measured along the way, else that of the batches. Accuracy is drawn as what it lacks, the error rate:
 * on a log scale 99 % and 98 % are as far apart as they should be.
 */
function metricCharts(experiment: Experiment, metric: string, inks: Inks): Html[] {
  const testName = `test${capitalized(metric)}`;
  const along = (name: string) =>
    experiment.runs.map((run) => ({ run, points: curveOf(run, ({ metrics }) => metrics[name]) }));
  const onTest = along(testName);
  const measured = onTest.every(({ points }) => points.length >= 2);
  const curves = measured ? onTest : along(metric).map(({ run, points }) => ({ run, points: smoothed(points) }));
  const { target } = experiment;
  const goal = target && [metric, testName].includes(target.metric) ? target.value : undefined;
  const share = isShare(metric);
  const shown = share ? curves.map(errorRates) : curves;
  const shownGoal = goal !== undefined && share ? 1 - goal : goal;
  const scale = (values: readonly number[]) =>
    lossScale(shown, shownGoal === undefined ? values : [...values, shownGoal]);
  const format = share ? (value: number) => `${Number((100 * value).toPrecision(3))} %` : formatNumber;
  const title = share
    ? `${measured ? 'Test' : 'Training'} error rate`
    : capitalized(words(measured ? testName : metric));
  return twoCharts(title, shown, inks, scale, format, shownGoal);
}

/** One minus the accuracy. No error at all has no place on a log scale: it is drawn as half of the least error there was. */
function errorRates({ run, points }: Curve): Curve {
  const errors = points.map((point) => ({ ...point, value: 1 - point.value }));
  const least = errors.reduce((min, { value }) => (value > 0 ? Math.min(min, value) : min), 1);
  return { run, points: errors.map((point) => ({ ...point, value: point.value > 0 ? point.value : least / 2 })) };
}

/** The same curves twice: against steps, and against seconds. */
function twoCharts(
  title: string,
  curves: readonly Curve[],
  inks: Inks,
  scale: (values: readonly number[]) => Scale,
  format: (value: number) => string,
  target?: number,
): Html[] {
  const drawable = curves.filter(({ points }) => points.length >= 2);
  if (drawable.length === 0) return [];
  const y = scale(drawable.flatMap(({ points }) => points.map(({ value }) => value)));
  return (['step', 'seconds'] as const).map((along) => {
    const x = tightScale(
      drawable.flatMap(({ points }) => points.map((point) => point[along])),
      TICKS,
    );
    const series = drawable.map(({ run, points }) => drawn(run, points, along, y, inks));
    if (target !== undefined) {
      series.push({
        name: 'target',
        ink: PLAIN,
        guide: true,
        points: [
          [x.min, target],
          [x.max, target],
        ],
      });
    }
    return lineChart({
      title,
      note: `${along === 'step' ? 'by steps' : 'by time'}${y.kind === 'log' ? ', log scale' : ''}`,
      xName: along === 'step' ? 'steps' : 'seconds of training',
      x,
      y,
      formatX: formatNumber,
      formatY: format,
      series,
    });
  });
}

function drawn(
  run: RunRecord,
  points: readonly CurvePoint[],
  along: 'step' | 'seconds',
  y: Scale,
  inks: Inks,
): ChartSeries {
  const height = (value: number) =>
    y.kind === 'log'
      ? Math.log(Math.max(value, y.min) / y.min) / Math.log(y.max / y.min)
      : (value - y.min) / (y.max - y.min);
  const end = points.at(-1)?.[along] || 1;
  const few = thinned(
    points,
    DRAWN_POINTS,
    (point) => point[along] / end,
    (point) => height(point.value),
  );
  return {
    name: run.name,
    ink: inks.get(run.name) ?? PLAIN,
    points: few.map((point) => [Number(point[along].toPrecision(6)), point.value]),
  };
}

/** Logarithmic; a run that blows up leaves through the top instead of squeezing all others to the bottom. */
function lossScale(curves: readonly Curve[], values: readonly number[]): Scale {
  if (!positive(values)) return linearScale(values, TICKS);
  const starts = curves.flatMap(({ points }) => points.slice(0, 1).map(({ value }) => value));
  const ceiling = 2 * starts.reduce((largest, value) => Math.max(largest, value), 0);
  return logScale(ceiling > 0 ? values.map((value) => Math.min(value, ceiling)) : values, TICKS);
}

function positive(values: readonly number[]): boolean {
  return values.length > 0 && values.every((value) => value > 0);
}

/** What the optimizers report of themselves, and a line on what stayed constant. */
export function optimizerCharts(experiment: Experiment, inks: Inks): { charts: Html[]; constants: Html | undefined } {
  const names = new Set(
    experiment.runs.flatMap(({ steps }) => steps.flatMap(({ optimizer }) => Object.keys(optimizer))),
  );
  const ordered = [
    ...DIAGNOSTICS.filter((name) => names.has(name)),
    ...[...names].filter((name) => !DIAGNOSTICS.includes(name)),
  ];
  const charts: Html[] = [];
  const constants: string[] = [];
  for (const name of ordered) {
    const title = TITLES[name] ?? capitalized(words(name));
    const pick = ({ optimizer }: StepRecord) => optimizer[name];
    const curves = experiment.runs.map((run) => ({ run, points: curveOf(run, pick) }));
    const moving = curves.filter(({ points }) => points.some(({ value }) => value !== points[0]?.value));
    for (const { run, points } of curves) {
      const [first] = points;
      if (first && !moving.some((curve) => curve.run === run))
        constants.push(`${run.name} ${words(name)} ${formatNumber(first.value)}`);
    }
    if (moving.length === 0) continue;
    const shown = moving.map(({ run, points }) => ({ run, points: RULED.has(name) ? points : smoothed(points) }));
    const values = shown.flatMap(({ points }) => points.map(({ value }) => value));
    const wideRange = positive(values) && spread(values) > 20;
    const y = wideRange ? logScale(values, TICKS) : linearScale(values, TICKS, name === 'iterations');
    const x = tightScale(
      shown.flatMap(({ points }) => points.map(({ step }) => step)),
      TICKS,
    );
    const series = shown.map(({ run, points }) => drawn(run, points, 'step', y, inks));
    const note = wideRange ? 'log scale' : '';
    charts.push(
      lineChart({ title, note, xName: 'steps', x, y, formatX: formatNumber, formatY: formatNumber, series }, true),
    );
  }
  const line =
    constants.length > 0 ? html`<p class="note">Constant throughout: ${constants.join(', ')}.</p>` : undefined;
  return { charts, constants: line };
}

/** The largest over the smallest. */
function spread(values: readonly number[]): number {
  const smallest = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  return values.reduce((a, b) => Math.max(a, b), 0) / smallest;
}
