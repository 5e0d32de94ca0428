// What `study complexity` shows: tables and charts along each axis, exponents beside formulas, and where CG-FAC is not cheaper.
import { capitalized, formatBytes, formatMeasured, formatNumber, listed } from '../format.js';
import { optimizerOf } from '../reporting/names.js';
import { assignInks } from '../reporting/report/palette.js';
import { logChart } from './charts.js';
import {
  type Axis,
  axes,
  type ComplexityResult,
  type ComplexityRow,
  type Exponents,
  rowsAlong,
} from './complexity-result.js';
import { groupedBy, type PowerFit } from './statistics.js';
import type { Presentation, Section } from './study.js';
import type { StudyCell, StudyTable } from './table.js';

/** Ratios closer to 1 than this may come of noise. */
const noise = 0.05;

/** For the marks of axes, which are round in decimal units. */
const formatMegabytes = (bytes: number): string => `${formatNumber(bytes / 1e6)} MB`;

type Cost = 'meanMilliseconds' | 'stateBytes' | 'peakBytes';
/** `format` is for the marks of axes. */
const costs: readonly { readonly cost: Cost; readonly words: string; readonly format: (value: number) => string }[] = [
  { cost: 'meanMilliseconds', words: 'time', format: (value) => `${formatNumber(value)} ms` },
  { cost: 'stateBytes', words: 'state', format: formatMegabytes },
  { cost: 'peakBytes', words: 'peak memory', format: formatMegabytes },
];

/** Two optimizers at one shape. */
interface Comparison {
  readonly shape: string;
  /** The rival's cost divided by CG-FAC's: above 1 CG-FAC is cheaper. */
  readonly ratio: number;
}

/** Return the ratios of a rival's cost to an optimizer's, at every shape where both were measured. */
export function ratiosOf(rows: readonly ComplexityRow[], own: string, rival: string, cost: Cost): Comparison[] {
  return rows.flatMap((row) => {
    if (row.optimizer !== own) return [];
    const other = rows.find(
      (each) =>
        each.optimizer === rival &&
        each.width === row.width &&
        each.batch === row.batch &&
        each.depth === row.depth &&
        each.rank === row.rank,
    );
    const [mine, theirs] = [row[cost], other?.[cost]];
    if (!mine || !theirs) return [];
    return [{ shape: `width ${row.width}, batch ${row.batch}, depth ${row.depth}`, ratio: theirs / mine }];
  });
}

export function complexityPresentation(result: ComplexityResult): Presentation {
  const { rows, optimizers } = result;
  const title = (word: string) => optimizers.find((each) => each.word === word)?.title ?? word;
  const own = optimizers.map(({ word }) => word).filter((word) => optimizerOf(word) === 'cgfac');
  const rivals = optimizers.map(({ word }) => word).filter((word) => optimizerOf(word) === 'kfac');
  const pairs = own.flatMap((mine) => rivals.map((rival) => ({ mine, rival })));
  const compared = pairs.flatMap(({ mine, rival }) =>
    costs.flatMap(({ cost, words }) =>
      comparisonSentence(title(mine), title(rival), words, ratiosOf(rows, mine, rival, cost)),
    ),
  );
  const isLoss = (finding: string) => finding.includes('not cheaper');
  const findings = [...compared.filter(isLoss), ...compared.filter((finding) => !isLoss(finding))];
  const floors = own.flatMap((mine) =>
    ['sgd', 'adam'].flatMap((rival) => {
      const ratios = ratiosOf(rows, mine, rival, 'meanMilliseconds').map(({ ratio }) => 1 / ratio);
      if (ratios.length === 0) return [];
      return [`A step of ${title(mine)} takes ${range(ratios)} times as long as one of ${title(rival)}.`];
    }),
  );
  const failed = rows.filter((row) => row.failed !== undefined);
  const failures = failed.map(
    ({ optimizer, width, batch, depth, failed: why }) =>
      `${title(optimizer)} could not be measured at width ${width}, batch ${batch}, depth ${depth}: ${why}.`,
  );
  return {
    headline: headline(result, pairs),
    findings: [...failures, ...findings, ...floors],
    sections: [exponentSection(result), ...axes.map((axis) => axisSection(axis, result))].filter(
      ({ tables }) => tables.length > 0,
    ),
  };
}

/** How often CG-FAC is cheaper than K-FAC, and by how much, over all forms and shapes. */
function headline(
  { rows }: ComplexityResult,
  pairs: readonly { readonly mine: string; readonly rival: string }[],
): string {
  const all = pairs.flatMap(({ mine, rival }) => ratiosOf(rows, mine, rival, 'meanMilliseconds'));
  if (all.length === 0) return 'What a step costs, by width, batch, depth and rank';
  const cheaper = all.filter(({ ratio }) => ratio > 1).length;
  const ratios = all.map(({ ratio }) => ratio);
  const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
  const where = `${cheaper} of ${all.length} comparisons`;
  return `CG-FAC’s step is shorter than K-FAC’s in ${where}: K-FAC’s takes ${range(ratios)} times as long, ${formatNumber(mean)} times in the geometric mean`;
}

/** One finding on a pair and a cost: first where CG-FAC is not cheaper. */
function comparisonSentence(mine: string, rival: string, words: string, compared: readonly Comparison[]): string[] {
  if (compared.length === 0) return [];
  const dearer = compared.filter(({ ratio }) => ratio < 1 - noise);
  const close = compared.filter(({ ratio }) => Math.abs(ratio - 1) <= noise);
  const cheaper = compared.filter(({ ratio }) => ratio > 1 + noise);
  const factors = `by a factor of ${range(cheaper.map(({ ratio }) => ratio))}`;
  if (cheaper.length === compared.length)
    return [`${mine} costs less than ${rival} in ${words} at every shape, ${factors}.`];
  const parts = [`${mine} is not cheaper than ${rival} in ${words}`];
  if (dearer.length > 0) {
    const places = dearer.map(({ shape, ratio }) => `${shape} (${formatNumber(1 / ratio)} times as much)`);
    parts.push(` at ${listed(places, ';')}`);
  }
  if (close.length > 0) {
    const places = close.map(({ shape }) => shape);
    parts.push(`${dearer.length > 0 ? ', nor' : ''} at ${listed(places, ';')} (the same within 5 %)`);
  }
  const left = cheaper.length === 1 ? 'the one remaining shape' : `the remaining ${cheaper.length} shapes`;
  parts.push(cheaper.length > 0 ? `; it costs less at ${left}, ${factors}.` : ': at none of the shapes.');
  return [parts.join('')];
}

function range(values: readonly number[]): string {
  const [least, most] = [Math.min(...values), Math.max(...values)].map((value) => formatNumber(value));
  return least === most ? `${least}` : `${least} to ${most}`;
}

/** Words for the formula of a paper whose iterates are computed in another way. */
const asPublished = 'as the paper counts';

function exponentSection(result: ComplexityResult): Section {
  const { exponents, exponentsAgainst, optimizers } = result;
  const table = (axis: Axis, fits: Readonly<Record<string, Exponents>>): StudyTable[] => {
    const own = Object.entries(fits).filter(([, { time }]) => time !== null);
    const [first] = own;
    const span = first?.[1].time;
    if (!span) return [];
    return [
      {
        caption: `Exponents against ${axis}, fitted from ${span.from} to ${span.to}`,
        columns: ['optimizer', 'time', 'R²', 'FLOPs by formula', 'state', 'state by formula', 'peak memory'],
        rows: own.flatMap(([word, { time, bytes, peak, publishedFlops, publishedBytes, ...formula }]) => {
          const title = axis === 'rank' ? 'CG-FAC' : (optimizers.find((each) => each.word === word)?.title ?? word);
          const computed = [
            title,
            exponent(time, span),
            time ? time.rSquared.toFixed(3) : '–',
            exponent(formula.formulaFlops, span),
            exponent(bytes, span),
            exponent(formula.formulaBytes, span),
            exponent(peak, span),
          ];
          if (!publishedFlops) return [computed];
          const [flops, numbers] = [exponent(publishedFlops, span), exponent(publishedBytes, span)];
          return [computed, [`${title}: ${asPublished}`, '–', '–', flops, '–', numbers, '–']];
        }),
      },
    ];
  };
  const formulas: StudyTable = {
    caption: 'Formulas of a layer with m inputs and n outputs on N examples, r of which measure the curvature',
    columns: ['optimizer', 'FLOPs beyond the gradient’s 6Nmn', 'numbers kept or used'],
    rows: optimizers.flatMap(({ title, flops, numbers, published }) => [
      [title, flops ?? '–', numbers ?? '–'],
      ...(published ? [[`${title}: ${asPublished}`, published.flops, published.numbers]] : []),
    ]),
  };
  return {
    title: 'Exponents',
    notes: [
      'Least squares of log(cost) on log(size), of the measured mean step and of the formulas at the same sizes. The first layer has 784 inputs and the last one 10 outputs whatever the width, so exponents over a finite range lie below those of the largest term; R² says how straight the line is.',
      'The curvature is measured on r = min(N, 32) examples. The paper’s form computes the paper’s iterates in coordinates of these examples, without a pass over the weights in an iteration: the first formula is what is computed, the second is that of F[X] = aᵀ((a·X·gᵀ)g) in each iteration.',
      'The formulas leave out what normalized steps keep beside the factors: an averaged gradient (mn numbers) and averaged iterates (mn).',
    ],
    tables: [
      ...table('width', exponents),
      ...table('batch', exponentsAgainst.batch),
      ...table('depth', exponentsAgainst.depth),
      ...table('rank', exponentsAgainst.rank),
      formulas,
    ],
    charts: [],
  };
}

/** The exponent; with its own range if that differs, since a measurement failed. */
function exponent(fit: PowerFit | null, { from, to }: PowerFit): string {
  if (!fit) return '–';
  const own = fit.from === from && fit.to === to ? '' : ` (${fit.from}–${fit.to})`;
  return `${fit.exponent.toFixed(2).replace(/^-0\.00$/, '0.00')}${own}`;
}

function axisSection(axis: Axis, result: ComplexityResult): Section {
  const { base, optimizers, period } = result;
  const rows = rowsAlong(axis, result.rows, result);
  const inks = assignInks(optimizers.map(({ word }) => word));
  const labels = new Map(optimizers.map(({ word, label }) => [word, label]));
  const lines = axis === 'rank' ? new Map([['cgfac', rows]]) : groupedBy(rows, ({ optimizer }) => optimizer);
  const charts =
    rows.length === 0
      ? []
      : costs.flatMap(({ cost, words: name, format }) =>
          logChart({
            title: `${capitalized(name)}${cost === 'meanMilliseconds' ? ' of a step' : ''}`,
            note: `by ${axis}, log scales`,
            xName: axis,
            formatY: format,
            series: [...lines].map(([word, own]) => ({
              name: word,
              label: labels.get(word) ?? word,
              ink: inks.get(word),
              points: own.map((row): [number, number] => [row[axis] ?? 0, row[cost] ?? 0]).sort(([a], [b]) => a - b),
            })),
          }),
        );
  const fixed = (['width', 'batch', 'depth'] as const).filter((each) => each !== axis);
  return {
    title: `Against ${axis}`,
    notes: [
      `With ${listed(fixed.map((each) => `${each} ${base[each]}`))}. Mean: a step over a whole period of ${period} steps, periodic work (inverses, averages) included, one optimizer after another in turns; median: of all measured steps. Peak: the most memory of a process that runs this optimizer alone, less what it had with the runtime before the model; it includes parameters, gradients and compilation.`,
    ],
    tables: rows.length === 0 ? [] : [axisTable(axis, rows, result)],
    charts,
  };
}

function axisTable(axis: Axis, rows: readonly ComplexityRow[], { optimizers }: ComplexityResult): StudyTable {
  const groups = groupedBy(rows, (row) => row[axis] ?? 0);
  const body = [...groups]
    .sort(([a], [b]) => a - b)
    .flatMap(([value, own]) => {
      const plain = own.find(({ optimizer }) => optimizer === 'sgd');
      return own.map((row) => {
        const title = optimizers.find((each) => each.word === row.optimizer)?.title ?? row.optimizer;
        if (row.failed !== undefined) {
          return [
            title,
            String(value),
            ...Array.from({ length: 7 }, (): StudyCell => ({ text: 'failed', mark: 'warning' })),
          ];
        }
        const ratio = row.meanMilliseconds && plain?.meanMilliseconds && row.meanMilliseconds / plain.meanMilliseconds;
        return [
          title,
          String(value),
          shown(row.meanMilliseconds, formatMeasured),
          shown(row.medianMilliseconds, formatMeasured),
          ratio ? formatMeasured(ratio) : '–',
          shown(row.iterations, formatNumber),
          shown(row.stateBytes, formatBytes),
          shown(row.peakBytes, formatBytes),
          row.formula ? `${formatNumber(row.formula.flops / 1e9)} G` : '–',
        ];
      });
    });
  return {
    caption: `A step against ${axis}`,
    columns: ['optimizer', axis, 'mean ms', 'median ms', '÷ SGD', 'CG iterations', 'state', 'peak memory', 'FLOPs'],
    rows: body,
  };
}

const shown = (value: number | null, format: (value: number) => string): string =>
  value === null ? '–' : format(value);
