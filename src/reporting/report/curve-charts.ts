// The charts of an experiment: loss and metric by steps and by seconds, and the optimizers' own numbers.

import { capitalized, formatNumber, isShare, words } from '../../format.js';
import { layerReportParts } from '../../layer-report.js';
import type { Experiment, RunRecord, StepRecord } from '../../training/run-record.js';
import { hasDiverged, isSound } from '../../training/verdict.js';
import { type CurvePoint, curveOf, smoothed, thinned } from '../curves.js';
import { shortLabels } from '../names.js';
import { type Goal, goalOf, type SplitName } from '../target.js';
import { type Html, html } from './html.js';
import { type ChartSeries, lineChart, longestLabel } from './line-chart.js';
import type { Ink } from './palette.js';
import { fittingScale, logScale, type Scale, tightScale } from './scales.js';

type Inks = ReadonlyMap<string, Ink>;
interface Curve {
  readonly run: RunRecord;
  readonly set: SplitName;
  readonly points: readonly CurvePoint[];
  /** Before smoothing, if that changed it. */
  readonly raw?: readonly CurvePoint[];
}

/** A quantity of both sets, drawn in one chart. */
interface Quantity {
  readonly title: string;
  readonly curves: readonly Curve[];
  /** The examples of the solid lines, for the key. */
  readonly solid: string;
  readonly format: (value: number, digits?: number) => string;
  readonly goal: Goal | undefined;
}

/** Points of a drawn line: more than the eye can tell apart at this width costs only bytes. */
const drawnPointCount = 160;
const tickCount = 6;
/** Points of the raw curve behind it. */
const rawPointCount = 120;
/** Rows of a table of numbers. */
const mostRows = 12;
const plainInk: Ink = { colour: 'var(--quiet)', marker: 0 };
/** Runs whose values exceed those of the others so many times are drawn beyond a knee of the scale. */
const explosionRatio = 1000;

/** Optimizer numbers that come first, in this order; others follow. */
const firstDiagnostics = ['damping', 'learningRate', 'iterations', 'residual', 'momentum', 'reductionRatio'];
const diagnosticTitles: Readonly<Record<string, string>> = { iterations: 'CG iterations', residual: 'CG residual' };
/** Numbers set by a rule, not measured on a batch: their jumps are real, and are not smoothed. */
const setByRule = new Set(['damping']);
/** Numbers that the findings report in words. */
const withoutCurve = new Set(['accepted']);
/** Error rates below this are the rounding of a sum of shares. */
const rounding = 1e-9;
/** A number that is equal in fewer steps may still change. */
const fewestConstantSteps = 3;

/** Return the charts of the loss and of the experiment's metric by steps and by seconds; both sets in one chart. */
export function trainingCharts(experiment: Experiment, inks: Inks): Html[] {
  const goal = goalOf(experiment);
  const metric = experiment.runs[0]?.metric.name;
  const quantities = [lossOf(experiment, goal?.metric === 'loss' ? goal : undefined)];
  if (metric !== undefined && metric !== 'loss')
    quantities.push(metricOf(experiment, metric, goal?.metric === metric ? goal : undefined));
  return quantities.flatMap((quantity) => [...twoCharts(quantity, inks), ...numbersOf(quantity)]);
}

/** The batches' losses, known at every step; or the loss on the training set, if that has a target. */
function lossOf({ runs }: Experiment, goal: Goal | undefined): Quantity {
  const isWhole = goal?.set === 'train' && isEvaluated(runs, 'loss');
  const curves = curvesOfBoth(runs, 'loss', isWhole, ({ loss }) => loss);
  return { title: 'loss', curves: curves.map(aboveZero), solid: solidName(isWhole), format: formatNumber, goal };
}

/** The metric; for an accuracy the error rate, whose log scale shows how far 99 % is from 98 %. */
function metricOf({ runs }: Experiment, metric: string, goal: Goal | undefined): Quantity {
  const isWhole = isEvaluated(runs, metric);
  const solid = solidName(isWhole);
  const curves = curvesOfBoth(runs, metric, isWhole, ({ metrics }) => metrics[metric]);
  if (!isShare(metric))
    return { title: words(metric), curves: curves.map(aboveZero), solid, format: formatNumber, goal };
  const asErrors = (points: readonly CurvePoint[]) =>
    points.map((point) => ({ ...point, value: 1 - point.value < rounding ? 0 : 1 - point.value }));
  const errors = curves.map(
    ({ points, raw, ...rest }): Curve => ({ ...rest, points: asErrors(points), ...(raw && { raw: asErrors(raw) }) }),
  );
  return {
    title: 'error rate',
    curves: errors.map(aboveZero),
    solid,
    format: (value, digits = 3) => `${Number((100 * value).toPrecision(digits))} %`,
    goal: goal && { ...goal, value: 1 - goal.value },
  };
}

const solidName = (isWhole: boolean): string => (isWhole ? 'training set' : 'training batches');

/** Whether the whole training set was evaluated along the way. */
const isEvaluated = (runs: readonly RunRecord[], metric: string): boolean =>
  runs.some((run) => evaluated(run, 'train', metric).length > 1);

/** A curve of the training set or its batches for each run, and one of the test set if it was evaluated along the way. */
function curvesOfBoth(
  runs: readonly RunRecord[],
  metric: string,
  isWhole: boolean,
  ofBatch: (record: StepRecord) => number | undefined,
): Curve[] {
  const train = runs.map((run): Curve => {
    if (isWhole) return { run, set: 'train', points: evaluated(run, 'train', metric) };
    const raw = curveOf(run, ofBatch);
    const points = smoothed(raw);
    return { run, set: 'train', points, ...(points.some(({ value }, i) => value !== raw[i]?.value) && { raw }) };
  });
  const test = runs.map((run): Curve => ({ run, set: 'test', points: evaluated(run, 'test', metric) }));
  return [...train, ...test.filter(({ points }) => points.length > 1)];
}

/** The evaluations of a set along the way, and the last one, of the whole set. */
function evaluated(run: RunRecord, set: SplitName, metric: string): CurvePoint[] {
  const points = curveOf(run, ({ metrics }) => metrics[`${set}${capitalized(metric)}`]);
  const last = run.steps.at(-1);
  const value = run[set][metric];
  if (last === undefined || value === undefined || !Number.isFinite(value)) return points;
  return [...points.filter(({ step }) => step < last.step), { step: last.step, seconds: last.seconds, value }];
}

/** Zero has no place on a log scale: it is drawn as half of the least positive value. */
function aboveZero({ points, ...rest }: Curve): Curve {
  const least = points.reduce((min, { value }) => (value > 0 ? Math.min(min, value) : min), Number.POSITIVE_INFINITY);
  if (!Number.isFinite(least)) return { ...rest, points };
  return { ...rest, points: points.map((point) => (point.value === 0 ? { ...point, value: least / 2 } : point)) };
}

/** The same curves twice: by steps, and by seconds. */
function twoCharts({ title, curves, solid, format, goal }: Quantity, inks: Inks): Html[] {
  const drawable = curves.filter(({ points }) => points.length > 0);
  if (drawable.length === 0) return [];
  const y = valueScale(drawable, goal?.value);
  const names = [...new Set(drawable.map(({ run }) => run.name))];
  const labels = shortLabels(names, longestLabel);
  const both = drawable.some(({ set }) => set === 'test');
  // The two lines of a single run are labelled by set.
  const label = ({ run, set }: Curve) =>
    names.length === 1 && both
      ? set === 'train'
        ? 'training'
        : 'test'
      : set === 'train'
        ? labels.get(run.name)
        : undefined;
  const log = y.knee === undefined ? 'log scale' : `log scale, denser above ${format(y.knee)}`;
  return (['step', 'seconds'] as const).map((along) => {
    const x = tightScale(
      drawable.flatMap(({ points }) => points.map((point) => point[along])),
      tickCount,
    );
    const series = drawable.map((curve): ChartSeries => {
      const { run, set, points, raw } = curve;
      const text = label(curve);
      return {
        name: set === 'test' ? `${run.name} on the test set` : run.name,
        ...(text !== undefined && { label: text }),
        ink: inks.get(run.name) ?? plainInk,
        points: drawnPoints(points, along, x, y),
        ...(raw && {
          raw: drawnPoints(
            raw.filter(({ value }) => value > 0),
            along,
            x,
            y,
            rawPointCount,
          ),
        }),
        ...(set === 'test' && { kind: 'test' as const }),
        lost: set === 'train' && hasDiverged(run),
      };
    });
    if (goal) series.push(guide(goal, both, x));
    return lineChart({
      title: capitalized(both ? title : `training ${title}`),
      note: `${along === 'step' ? 'by steps' : 'by time'}${y.kind === 'log' ? `, ${log}` : ''}`,
      key: key(solid, drawable),
      xName: along === 'step' ? 'steps' : 'seconds of training',
      x,
      y,
      formatX: formatNumber,
      formatY: format,
      series,
    });
  });
}

function key(solid: string, curves: readonly Curve[]): Html | undefined {
  const both = curves.some(({ set }) => set === 'test');
  const lost = curves.some(({ run }) => hasDiverged(run));
  const raw = curves.some((curve) => curve.raw);
  if (!both && !lost && !raw) return undefined;
  const smooth = raw ? `${solid}, smoothed (faint: as measured)` : solid;
  return html`<span><i></i>${smooth}</span>${both && html`<span><i class="test"></i>test set</span>`}${lost && html`<span>× diverged</span>`}`;
}

/** The numbers behind the lines, as a table that unfolds. */
function numbersOf({ title, curves, format }: Quantity): Html[] {
  const drawable = curves.filter(({ points }) => points.length > 0);
  const steps = [...new Set(drawable.flatMap(({ points }) => points.map(({ step }) => step)))].sort((a, b) => a - b);
  // Where the test set was evaluated, all columns have a number.
  const evaluations = new Set(
    drawable.filter(({ set }) => set === 'test').flatMap(({ points }) => points.map(({ step }) => step)),
  );
  const candidates = evaluations.size > 1 ? steps.filter((step) => evaluations.has(step)) : steps;
  const every = Math.max(1, Math.ceil(candidates.length / mostRows));
  const shown = candidates.filter((_, index) => (candidates.length - 1 - index) % every === 0);
  if (shown.length < 2) return [];
  const byStep = drawable.map(({ points }) => new Map(points.map(({ step, value }) => [step, value])));
  const both = evaluations.size > 0;
  const head = drawable.map(
    ({ run, set }) => html`<th scope="col">${run.name}${both && (set === 'test' ? ', test' : ', training')}</th>`,
  );
  const rows = shown.map((step) => {
    const cells = byStep.map((values) => {
      const value = values.get(step);
      return html`<td>${value === undefined ? '–' : format(value)}</td>`;
    });
    return html`<tr><th scope="row">${formatNumber(step)}</th>${cells}</tr>`;
  });
  return [
    html`<details class="numbers"><summary>${capitalized(title)} in numbers</summary><div class="scroll" tabindex="0" role="group" aria-label="${capitalized(title)} in numbers"><table class="list"><thead><tr><th scope="col">Step</th>${head}</tr></thead><tbody>${rows}</tbody></table></div></details>`,
  ];
}

/** The line of a target, labelled by its set if both are drawn. */
function guide({ set, value }: Goal, both: boolean, x: Scale): ChartSeries {
  const label = both ? `${set === 'train' ? 'training' : 'test'} target` : 'target';
  const points = [x.min, x.max].map((end): [number, number] => [end, value]);
  return { name: label, label, ink: plainInk, kind: 'guide', points };
}

function drawnPoints(
  points: readonly CurvePoint[],
  along: 'step' | 'seconds',
  x: Scale,
  y: Scale,
  count: number = drawnPointCount,
): (readonly [number, number])[] {
  const few = thinned(
    points,
    count,
    (point) => x.at(point[along]),
    (point) => y.at(point.value),
  );
  return few.map((point) => [point[along], point.value]);
}

/**
 * Logarithmic if all values are positive; a run that blows up is shown to its end without pressing all others to the bottom.
 */
function valueScale(curves: readonly Curve[], goal: number | undefined): Scale {
  const valuesOf = (some: readonly Curve[]) => some.flatMap(({ points }) => points.map(({ value }) => value));
  const values = [...valuesOf(curves), ...(goal === undefined ? [] : [goal])];
  if (!values.every((value) => value > 0)) return fittingScale(values, tickCount);
  const most = (some: readonly number[]) => some.reduce((a, b) => Math.max(a, b), 0);
  const usual = most(valuesOf(curves.filter(({ run }) => isSound(run))));
  const exploded = usual > 0 && most(values) > explosionRatio * usual;
  return logScale(values, tickCount, exploded ? 1.5 * usual : undefined);
}

/** Return charts of the numbers that the optimizers report of whole steps, and a line on those that stayed constant. */
export function optimizerCharts(experiment: Experiment, inks: Inks): { charts: Html[]; constants: Html | undefined } {
  const names = new Set(
    experiment.runs.flatMap(({ steps }) => steps.flatMap(({ optimizer }) => Object.keys(optimizer))),
  );
  const ordered = [...firstDiagnostics.filter((name) => names.has(name)), ...names].filter(
    (name) => !withoutCurve.has(name) && !layerReportParts(name),
  );
  const charts: Html[] = [];
  const constants: string[] = [];
  for (const name of new Set(ordered)) {
    const pick = ({ optimizer }: StepRecord) => optimizer[name];
    const curves = experiment.runs.map((run) => ({ run, points: curveOf(run, pick) }));
    const moving = curves.filter(({ points }) => points.some(({ value }) => value !== points[0]?.value));
    for (const curve of curves) {
      const { run, points } = curve;
      const [first] = points;
      // A number that stays 0 was not set.
      if (first && first.value !== 0 && points.length >= fewestConstantSteps && !moving.includes(curve))
        constants.push(`${run.name} ${words(name)} ${formatNumber(first.value)}`);
    }
    if (moving.length === 0) continue;
    charts.push(diagnosticChart(name, moving, inks));
  }
  const line =
    constants.length > 0 ? html`<p class="note">Constant throughout: ${constants.join(', ')}.</p>` : undefined;
  return { charts, constants: line };
}

function diagnosticChart(name: string, curves: readonly Pick<Curve, 'run' | 'points'>[], inks: Inks): Html {
  const drawn = curves.map(({ run, points }) => ({ run, points: setByRule.has(name) ? points : smoothed(points) }));
  const labels = shortLabels(
    drawn.map(({ run }) => run.name),
    longestLabel,
  );
  const values = drawn.flatMap(({ points }) => points.map(({ value }) => value));
  const y = fittingScale(values, tickCount, name === 'iterations');
  const x = tightScale(
    drawn.flatMap(({ points }) => points.map(({ step }) => step)),
    tickCount,
  );
  const series = drawn.map(({ run, points }) => ({
    name: run.name,
    label: labels.get(run.name) ?? run.name,
    ink: inks.get(run.name) ?? plainInk,
    points: drawnPoints(points, 'step', x, y),
  }));
  const title = diagnosticTitles[name] ?? capitalized(words(name));
  const note = { linear: '', log: 'log scale', 'signed-log': 'signed log scale' }[y.kind];
  return lineChart({ title, note, xName: 'steps', x, y, formatX: formatNumber, formatY: formatNumber, series }, true);
}
