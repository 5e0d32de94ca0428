// The result of `study complexity`: rows along each axis, and exponents fitted to them.

import { shortLabels } from '../reporting/names.js';
import { longestLabel } from '../reporting/report/line-chart.js';
import {
  adamCost,
  budgetCost,
  type CostFormula,
  kfacCost,
  primalCost,
  publishedCost,
  sgdCost,
  sketchCost,
} from './formulas.js';
import { groupedBy, type PowerFit, powerFit } from './statistics.js';

/** What is varied: each axis from the same base, the others as there. */
export type Axis = 'width' | 'batch' | 'depth' | 'rank';
export const axes: readonly Axis[] = ['width', 'batch', 'depth', 'rank'];

/** A chain 784 – width – … – width – 10 with `depth` hidden layers. */
export interface Shape {
  readonly width: number;
  readonly batch: number;
  readonly depth: number;
}

/** An optimizer that is measured. */
interface Contender {
  /** As the command line writes it. */
  readonly word: string;
  readonly title: string;
  /** For charts. */
  readonly label?: string;
  readonly formula: CostFormula | null;
  /** What the same iterates cost if they are computed as their paper writes them. */
  readonly published?: CostFormula;
}

const known: readonly Contender[] = [
  { word: 'sgd', title: 'SGD with momentum', label: 'sgd', formula: sgdCost },
  { word: 'adam', title: 'Adam', label: 'adam', formula: adamCost },
  { word: 'kfac:inverse-interval=1', title: 'K-FAC, inverse every step', label: 'kfac /1', formula: kfacCost(1) },
  {
    word: 'kfac:inverse-interval=20',
    title: 'K-FAC, inverse every 20 steps',
    label: 'kfac /20',
    formula: kfacCost(20),
  },
  {
    word: 'cgfac:form=primal:max-iterations=10',
    title: 'CG-FAC in the paper’s form, 10 iterations',
    label: 'cgfac paper',
    formula: primalCost(10),
    published: publishedCost(10),
  },
  { word: 'cgfac:rank=auto', title: 'CG-FAC, ranks by budget', label: 'cgfac auto', formula: budgetCost },
  { word: 'cgfac', title: 'CG-FAC by default', label: 'cgfac', formula: sketchCost(128) },
];
export const usualContenders: readonly string[] = known.map(({ word }) => word);

export const contenderOf = (word: string): Contender => {
  const [, rank] = /^cgfac:rank=(\d+)$/.exec(word) ?? [];
  if (rank !== undefined) return { word, title: `CG-FAC, rank ${rank}`, formula: sketchCost(Number(rank)) };
  return known.find((each) => each.word === word) ?? { word, title: word, formula: null };
};

interface FormulaCost {
  readonly flops: number;
  readonly bytes: number;
}

/** One optimizer at one shape. Numbers are null if its process failed, for the reason in `failed`. */
export interface ComplexityRow extends Shape {
  readonly optimizer: string;
  /** Of the sketches; null outside the axis of ranks. */
  readonly rank: number | null;
  readonly meanMilliseconds: number | null;
  readonly medianMilliseconds: number | null;
  /** Steps of conjugate gradients in a step, on average; null for optimizers that report none. */
  readonly iterations: number | null;
  /** Steps that were measured. */
  readonly steps: number;
  readonly stateBytes: number | null;
  readonly peakBytes: number | null;
  readonly formula: FormulaCost | null;
  /** By the paper's own count, where what is computed has another. */
  readonly published?: FormulaCost;
  readonly failed?: string;
}

/** Exponents of an optimizer's costs, measured and by formula, fitted over the same points. */
export interface Exponents {
  readonly time: PowerFit | null;
  readonly bytes: PowerFit | null;
  readonly peak: PowerFit | null;
  readonly formulaFlops: PowerFit | null;
  readonly formulaBytes: PowerFit | null;
  readonly publishedFlops: PowerFit | null;
  readonly publishedBytes: PowerFit | null;
}

export interface ComplexityResult {
  readonly study: 'complexity';
  readonly base: Shape;
  readonly values: ComplexityPlan['values'];
  readonly period: number;
  readonly optimizers: readonly {
    readonly word: string;
    readonly title: string;
    /** Short, for charts. */
    readonly label: string;
    readonly flops: string | null;
    readonly numbers: string | null;
    /** The paper's own count, where what is computed has another. */
    readonly published?: { readonly flops: string; readonly numbers: string };
  }[];
  /** Against width. */
  readonly exponents: Readonly<Record<string, Exponents>>;
  readonly exponentsAgainst: Readonly<Record<'batch' | 'depth' | 'rank', Readonly<Record<string, Exponents>>>>;
  readonly rows: readonly ComplexityRow[];
}

/** Steps after which every optimizer has done all of its periodic work: inverses every 20, measurements every 5, averages every 4. */
export const period = 20;
/** Steps before those that are timed: CG-FAC measures the curvature in each of the first 20, K-FAC inverts in the first 3. */
export const warmUp = 20;

/** Where a study measures: along each axis from the base, at these values. */
export interface ComplexityPlan {
  readonly base: Shape;
  readonly values: Readonly<Record<Axis, readonly number[]>>;
  readonly optimizers: readonly string[];
}

/** Return the rows of an axis: at its values, with the base's values on the others. */
export function rowsAlong(
  axis: Axis,
  rows: readonly ComplexityRow[],
  { base, values }: Pick<ComplexityPlan, 'base' | 'values'>,
): ComplexityRow[] {
  if (axis === 'rank') return rows.filter(({ rank }) => rank !== null);
  const others = (['width', 'batch', 'depth'] as const).filter((each) => each !== axis);
  return rows.filter(
    (row) => row.rank === null && values[axis].includes(row[axis]) && others.every((each) => row[each] === base[each]),
  );
}

/** Return what the rows show. */
export function complexityResult(rows: readonly ComplexityRow[], plan: ComplexityPlan): ComplexityResult {
  const { base, values, optimizers } = plan;
  const fits = (axis: Axis) => exponentsOf(axis, rowsAlong(axis, rows, plan));
  const short = shortLabels(optimizers, longestLabel);
  return {
    study: 'complexity',
    base,
    values,
    period,
    optimizers: optimizers.map(contenderOf).map(({ word, title, label, formula, published }) => ({
      word,
      title,
      label: label ?? short.get(word) ?? word,
      flops: formula?.flopsText ?? null,
      numbers: formula?.numbersText ?? null,
      ...(published && { published: { flops: published.flopsText, numbers: published.numbersText } }),
    })),
    exponents: fits('width'),
    exponentsAgainst: { batch: fits('batch'), depth: fits('depth'), rank: fits('rank') },
    rows,
  };
}

function exponentsOf(axis: Axis, rows: readonly ComplexityRow[]): Record<string, Exponents> {
  // Sketches of all ranks are points of one line.
  const groups = groupedBy(rows, ({ optimizer }) => (axis === 'rank' ? 'cgfac' : optimizer));
  return Object.fromEntries(
    [...groups].map(([optimizer, own]) => {
      const fitted = (value: (row: ComplexityRow) => number | null | undefined) =>
        powerFit(own.map((row) => ({ x: row[axis] ?? 0, y: value(row) ?? 0 })));
      const exponents: Exponents = {
        time: fitted(({ meanMilliseconds }) => meanMilliseconds),
        bytes: fitted(({ stateBytes }) => stateBytes),
        peak: fitted(({ peakBytes }) => peakBytes),
        formulaFlops: fitted(({ formula }) => formula?.flops),
        formulaBytes: fitted(({ formula }) => formula?.bytes),
        publishedFlops: fitted(({ published }) => published?.flops),
        publishedBytes: fitted(({ published }) => published?.bytes),
      };
      return [optimizer, exponents];
    }),
  );
}
