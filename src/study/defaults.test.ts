import { describe, expect, it } from 'vitest';
import { defaultsPresentation } from './defaults-page.js';
import {
  type DefaultsPlan,
  type DefaultsRow,
  defaultsResult,
  firstAt,
  nextRate,
  tunedBaseline,
} from './defaults-result.js';
import { edgeOf, gridAround } from './grid-edge.js';
import { studyPage } from './page.js';

/** A run whose loss at step s is `start · factor^s`, 0.1 seconds a step. */
function madeUp(
  optimizer: string,
  rate: number | null,
  seed: number,
  factor: number,
  rest: Partial<DefaultsRow> & { readonly pace?: number } = {},
): DefaultsRow {
  const { pace = 0.1, ...given } = rest;
  return {
    problem: 'mlp',
    optimizer,
    rate,
    seed,
    planned: 10,
    points: Array.from({ length: 10 }, (_, i) => [i + 1, pace * (i + 1), factor ** (i + 1)] as const),
    steps: 10,
    seconds: 10 * pace,
    diverged: false,
    stateBytes: 1024,
    ...given,
  };
}

const plan: DefaultsPlan = {
  baseline: 'adamw',
  rates: [0.001, 0.01, 0.1],
  seeds: 3,
  budget: 1,
  optimizers: ['cgfac', 'sgd'],
  problems: [{ name: 'mlp', title: 'MLP on digits', parameters: 100, batchSize: 50, steps: 10 }],
};

const seeds = [0, 1, 2];
// AdamW halves its loss each step at 0.01: 2⁻¹⁰ at the end. It diverges at 0.1 in two seeds of three.
const grid = seeds.flatMap((seed) => [
  madeUp('adamw', 0.001, seed, 0.9),
  madeUp('adamw', 0.01, seed, 0.5),
  madeUp('adamw', 0.1, seed, 0.4, { diverged: seed < 2 }),
]);
// cgfac quarters it: there after 5 steps, which take twice as long each. In seed 2 it diverges.
const cgfac = seeds.map((seed) => madeUp('cgfac', null, seed, 0.25, { pace: 0.2, diverged: seed === 2 }));
const sgd = seeds.map((seed) => madeUp('sgd', null, seed, 0.9, { pace: 0.05 }));

describe('the tuned baseline', () => {
  it('is the rate with the lowest median; a run that diverged has no loss', () => {
    expect(tunedBaseline(grid)).toEqual({
      rate: 0.01,
      edge: null,
      bestLoss: 0.5 ** 10,
      grid: [
        { rate: 0.001, bestLoss: 0.9 ** 10, diverged: 0 },
        { rate: 0.01, bestLoss: 0.5 ** 10, diverged: 0 },
        { rate: 0.1, bestLoss: null, diverged: 2 },
      ],
    });
  });

  const only = (...rates: readonly number[]) => grid.filter(({ rate }) => rate !== null && rates.includes(rate));

  it('is marked at the edge of its grid, and absent if every rate diverges', () => {
    expect(tunedBaseline(only(0.001, 0.01))?.edge).toBe('highest');
    expect(tunedBaseline(only(0.01, 0.1))?.edge).toBe('lowest');
    expect(tunedBaseline(only(0.01))?.edge).toBeNull();
    expect(tunedBaseline(only(0.1))).toBeUndefined();
  });

  it('is sought beyond the edge, a few times', () => {
    expect(nextRate(tunedBaseline(grid), plan.rates)).toBeUndefined();
    expect(nextRate(tunedBaseline(only(0.001, 0.01)), [0.001, 0.01])).toBe(0.02);
    expect(nextRate(tunedBaseline(only(0.01, 0.1)), [0.01, 0.1])).toBe(0.005);
    expect(nextRate(tunedBaseline(only(0.1)), [0.1])).toBeUndefined();
    // Better with each doubling: it ends at the edge all the same.
    let rows = [madeUp('adamw', 0.1, 0, 0.9), madeUp('adamw', 0.2, 0, 0.8)];
    const added: number[] = [];
    for (let rate = nextRate(tunedBaseline(rows), [0.1, 0.2]); rate !== undefined; ) {
      added.push(rate);
      rows = [...rows, madeUp('adamw', rate, 0, 0.8 / (1 + rate))];
      rate = nextRate(tunedBaseline(rows), [0.1, 0.2]);
    }
    expect(added).toEqual([0.4, 0.8, 1.6]);
    expect(tunedBaseline(rows)).toMatchObject({ rate: 1.6, edge: 'highest' });
  });
});

describe('defaultsResult', () => {
  const result = defaultsResult([...grid, ...cgfac, ...sgd], plan);
  const [problem] = result.problems;

  it('compares seed by seed, medians over seeds', () => {
    const [ours, theirs] = problem?.contests ?? [];
    expect(ours).toMatchObject({ optimizer: 'cgfac', stepRatio: 0.5, secondRatio: 1, reached: 2, diverged: 1 });
    expect(ours?.lossRatio).toBeCloseTo(0.5 ** 10, 12);
    expect(ours?.millisecondsPerStep).toBeCloseTo(200, 10);
    // SGD never gets there: at least the whole run, in half the seconds.
    expect(theirs).toMatchObject({ stepRatio: null, secondRatio: null, reached: 0, stepBound: 1, secondBound: 0.5 });
    expect(theirs?.lossRatio).toBeCloseTo((0.9 / 0.5) ** 10, 6);
  });

  it('takes geometric means over problems; what was never reached makes them bounds', () => {
    const twice = { ...plan, problems: [...plan.problems, { ...plan.problems[0], name: 'lenet' }] } as DefaultsPlan;
    const slower = seeds.map((seed) => madeUp('cgfac', null, seed, 0.5, { problem: 'lenet' }));
    const other = grid.map((row) => ({ ...row, problem: 'lenet' }));
    const both = defaultsResult([...grid, ...cgfac, ...sgd, ...other, ...slower], twice);
    expect(both.optimizers[0]).toMatchObject({ isBound: false, reached: 2, problems: 2, divergedRuns: 1, runs: 6 });
    expect(both.optimizers[0]?.stepRatio).toBeCloseTo(Math.sqrt(0.5 * 1), 10);
    expect(both.optimizers[0]?.worst).toEqual({ problem: 'lenet', lossRatio: 1 });
    expect(result.optimizers[1]).toMatchObject({ optimizer: 'sgd', stepRatio: 1, isBound: true, reached: 0 });
  });

  it('says where an optimizer loses, and shows the numbers of the JSON alone', () => {
    const shown = defaultsPresentation(JSON.parse(JSON.stringify(result)));
    expect(shown.headline).toBe(
      'cgfac without options takes 0.5 times the steps and 1 times the seconds of tuned adamw to its best validation loss (one problem)',
    );
    expect(shown.findings[0]).toBe(
      'Where cgfac loses: it needs at least as many seconds on mlp; 1 of its 3 runs diverged.',
    );
    expect(shown.findings[1]).toMatch(/Where sgd loses: in most seeds it never reaches tuned adamw’s best .* on mlp;/);
    const page = studyPage(shown, { title: 'Defaults', command: 'cgfac study defaults', environment: {} });
    for (const text of ['9.8e-4', '&gt; 1 !', '≥ 1.00 !', '2 of 3', '1 of 3', 'diverged !', '357'])
      expect(page).toContain(text);
    expect(page).not.toMatch(/NaN|undefined|Infinity|<script/);
  });
});

it('finds the first point at most as high, and the ends of grids', () => {
  const points = [
    [10, 1, 0.5],
    [20, 2, 0.2],
    [30, 3, 0.1],
  ] as const;
  expect(firstAt({ points }, 0.2)).toEqual({ steps: 20, seconds: 2 });
  expect(firstAt({ points }, 0.05)).toBeUndefined();
  expect(edgeOf(3, [3, 1, 2])).toBe('highest');
  expect(gridAround(0.1, 10, 3)).toEqual([0.01, 0.1, 1]);
  expect(gridAround(0.003, 2, 2)).toEqual([0.00212, 0.00424]);
});
