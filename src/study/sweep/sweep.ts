// A sweep: trials of one training with different options, all of a grid, drawn at random, or by successive halving (Karnin,
// Koren & Somekh 2013; Jamieson & Talwalkar 2016): many short trials, of which the best go on to longer ones.
import { OptionError } from '../../errors.js';
import { checkedCount, checkedNumber, checkKeys, described, isRecord } from '../../options.js';
import type { Cell, Study } from '../study.js';
import { sweepPresentation } from './page.js';
import { type Dimension, dimensionsOf, drawn, gridOf, type Settings } from './space.js';

export type Search =
  | { readonly kind: 'grid' }
  | { readonly kind: 'random'; readonly trials: number }
  | { readonly kind: 'halving'; readonly trials: number; readonly eta: number };

/** A sweep as its file has it, checked. */
export interface SweepPlan {
  readonly model: string;
  /** Options of `train` that all trials share, by the names of the flags. */
  readonly train: Readonly<Record<string, unknown>>;
  readonly vary: readonly Dimension[];
  readonly search: Search;
  /** The value that trials are compared by; undefined for the default. */
  readonly by: string | undefined;
  readonly seed: number;
}

/** What a trial came to. */
export interface TrialOutcome {
  /** Null if it diverged. */
  readonly value: number | null;
  /** The value of the same metric on the test set, of the parameters that are kept; null if it diverged. */
  readonly test: number | null;
  readonly steps: number;
  readonly seconds: number;
}

/** A row of the sweep. */
export interface TrialRow extends TrialOutcome {
  readonly trial: number;
  readonly settings: Settings;
  /** The share of the whole training that it was given. */
  readonly share: number;
}

/** Runs trials. */
export interface Trials {
  /** The value that trials are compared by, in the records. */
  readonly metric: string;
  readonly lowerIsBetter: boolean;
  /** Train with these settings, for a share of the steps of the whole training. */
  run(settings: Settings, share: number, signal: AbortSignal): Promise<TrialOutcome>;
  close(): Promise<void>;
}

export interface SweepResult {
  readonly model: string;
  readonly metric: string;
  readonly lowerIsBetter: boolean;
  readonly search: Search['kind'];
  readonly vary: readonly Dimension[];
  /** The last row of each trial, the best first. */
  readonly trials: readonly TrialRow[];
  readonly best: TrialRow | null;
}

const sweepKeys = { $schema: true, model: true, train: true, vary: true, search: true, by: true, seed: true } as const;
const mostTrials = 10_000;

/** Read a sweep from JSON. @throws OptionError that names what cannot be read */
export function sweepPlan(given: unknown): SweepPlan {
  if (!isRecord(given)) throw new OptionError(`a sweep is an object of JSON, and this is ${described(given)}`);
  checkKeys('a sweep', given, sweepKeys);
  const { model = 'autoencoder', train = {}, search = { kind: 'random', trials: 20 }, by, seed = 0 } = given;
  if (typeof model !== 'string')
    throw new OptionError(`model is ${described(model)}; give the name of a model or a file`);
  if (!isRecord(train))
    throw new OptionError(`train is ${described(train)}; give the options of train: { "data": "digits" }`);
  if (by !== undefined && typeof by !== 'string') {
    throw new OptionError(`by is ${described(by)}; give the name of a value, such as 'val.loss'`);
  }
  const vary = dimensionsOf(given.vary);
  const twice = vary.find(({ name }) => Object.hasOwn(train, name));
  if (twice) throw new OptionError(`'${twice.name}' is given in train and in vary; give it once`);
  const checked = checkedNumber('seed', seed as number, { atLeast: 0, integer: true });
  return { model, train, vary, search: searchOf(search), by, seed: checked };
}

function searchOf(given: unknown): Search {
  const words = isRecord(given) ? given : { kind: given };
  checkKeys('search', words, { kind: true, trials: true, eta: true });
  const { kind, trials = 20, eta = 3 } = words;
  if (kind === 'grid') return { kind };
  const count = checkedCount('search.trials', trials as number, mostTrials);
  if (kind === 'random') return { kind, trials: count };
  if (kind === 'halving') {
    return {
      kind,
      trials: count,
      eta: checkedNumber('search.eta', eta as number, { atLeast: 2, atMost: 10, integer: true }),
    };
  }
  throw new OptionError(`search is ${described(kind)}; choose 'grid', 'random' or 'halving'`);
}

/** Return the settings of the trials. */
function settingsOf({ vary, search, seed }: SweepPlan): Settings[] {
  if (search.kind === 'grid') {
    const grid = gridOf(vary);
    if (grid.length <= mostTrials) return grid;
    throw new OptionError(
      `the grid has ${grid.length} trials; draw some of them: search 'random' with a number of trials`,
    );
  }
  // Lists alone have so many combinations; a trial is not made twice, since it would come to the same.
  const most = vary.reduce(
    (product, { values }) => product * ('length' in values ? values.length : Number.POSITIVE_INFINITY),
    1,
  );
  if (most <= search.trials) return gridOf(vary);
  const trials = new Map<string, Settings>();
  for (let round = 0; trials.size < search.trials && round < mostRounds; round++) {
    for (const settings of drawn(vary, search.trials, seed, round)) trials.set(JSON.stringify(settings), settings);
  }
  return [...trials.values()].slice(0, search.trials);
}

/** A range of whole numbers may have fewer values than trials are asked for. */
const mostRounds = 1000;

/** The rounds of a sweep: how many trials each has, and which share of the training it gives them. */
export function roundsOf(search: Search, trials: number): { readonly trials: number; readonly share: number }[] {
  if (search.kind !== 'halving') return [{ trials, share: 1 }];
  const { eta } = search;
  const last = Math.floor(Math.log(trials) / Math.log(eta) + 1e-9);
  return Array.from({ length: last + 1 }, (_, round) => ({
    trials: Math.max(1, Math.floor(trials / eta ** round)),
    share: eta ** (round - last),
  }));
}

/** Return rows with the best first: those that diverged last, equal ones in their order. */
export const ranked = (rows: readonly TrialRow[], lowerIsBetter: boolean): TrialRow[] =>
  [...rows].sort((x, y) => {
    const [a, b] = [x, y].map(({ value }) =>
      value === null ? Number.POSITIVE_INFINITY : lowerIsBetter ? value : -value,
    ) as [number, number];
    return a === b ? x.trial - y.trial : a - b;
  });

/** Return the sweep as a study. @throws OptionError for a grid that cannot be made */
export function sweepStudy(plan: SweepPlan, trials: Trials): Study<TrialRow, SweepResult> {
  const { metric, lowerIsBetter } = trials;
  const settings = settingsOf(plan);
  const rounds = roundsOf(plan.search, settings.length);
  const cell = (trial: number, round: number): Cell<TrialRow> => {
    const share = rounds[round]?.share ?? 1;
    const own = settings[trial] ?? {};
    const part = rounds.length > 1 ? `, round ${round + 1} of ${rounds.length}` : '';
    return {
      key: `trial ${trial + 1}${part}`,
      run: async (signal) => ({ trial: trial + 1, settings: own, share, ...(await trials.run(own, share, signal)) }),
    };
  };
  const inRound = (rows: readonly TrialRow[], round: number) =>
    rows.filter(({ share }) => share === rounds[round]?.share);
  const { model, vary, search, train, seed } = plan;
  return {
    name: 'sweep',
    title: `A sweep over ${model}`,
    options: { model, train, vary, search, metric, seed },
    cells: settings.map((_, trial) => cell(trial, 0)),
    further: (rows) => {
      const next = rounds.findIndex((_, round) => inRound(rows, round).length === 0);
      if (next <= 0) return [];
      const best = ranked(inRound(rows, next - 1), lowerIsBetter).slice(0, rounds[next]?.trials);
      return best.filter(({ value }) => value !== null).map(({ trial }) => cell(trial - 1, next));
    },
    result: (rows) => {
      const last = new Map<number, TrialRow>();
      for (const row of rows) {
        const before = last.get(row.trial);
        if (before === undefined || row.share > before.share) last.set(row.trial, row);
      }
      // A longer training is not compared with a shorter one.
      const shares = [...new Set([...last.values()].map(({ share }) => share))].sort((x, y) => y - x);
      const order = shares.flatMap((share) =>
        ranked(
          [...last.values()].filter((row) => row.share === share),
          lowerIsBetter,
        ),
      );
      const [best] = order.filter(({ value }) => value !== null);
      return { model, metric, lowerIsBetter, search: search.kind, vary, trials: order, best: best ?? null };
    },
    present: sweepPresentation,
    close: () => trials.close(),
  };
}
