// Sweeps of a made-up training whose best settings are known: all of a grid, random draws, successive halving; resumed and shown.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OptionError } from '../../errors.js';
import { CellFile, measured } from '../cells.js';
import { studyPage } from '../page.js';
import { dimensionsOf, drawn, gridOf, isAtEdge, type Settings } from './space.js';
import { ranked, roundsOf, type SweepPlan, type SweepResult, sweepPlan, sweepStudy, type Trials } from './sweep.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cgfac-sweep-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const vary = {
  optimizer: ['adam', 'sgd'],
  'learning-rate': { from: 1e-4, to: 1, scale: 'log', count: 5 },
};
const plan = (more: object = {}): SweepPlan => sweepPlan({ model: 'mlp', vary, search: 'grid', ...more });

/** A training whose loss is least for adam at 0.01, and that diverges above 0.5; it falls with the share of the training. */
function madeUp(ran: string[] = []): Trials {
  return {
    metric: 'validationLoss',
    lowerIsBetter: true,
    run: async (settings: Settings, share) => {
      ran.push(`${settings.optimizer} ${settings['learning-rate']} ${share.toPrecision(2)}`);
      const rate = Number(settings['learning-rate']);
      const loss = Math.abs(Math.log10(rate) + 2) + (settings.optimizer === 'sgd' ? 0.5 : 0) + 1 / (10 * share);
      const value = rate > 0.5 ? null : loss;
      return { value, test: value === null ? null : value + 0.1, steps: Math.round(100 * share), seconds: share };
    },
    close: async () => undefined,
  };
}

async function swept(given: SweepPlan, ran: string[] = [], signal = new AbortController().signal) {
  const study = sweepStudy(given, madeUp(ran));
  const { options, name } = study;
  const file = await CellFile.open<Parameters<typeof study.result>[0][number]>(folder, {
    ...{ study: name, version: '1', machine: {}, options },
  });
  const rows = await measured(file, study, signal, () => undefined);
  return { study, rows, result: rows && study.result(rows) };
}

describe('spaces', () => {
  it('have all combinations, with ranges in equal ratios', () => {
    const grid = gridOf(dimensionsOf(vary));
    expect(grid.length).toBe(10);
    expect(grid.slice(0, 5).map((settings) => settings['learning-rate'])).toEqual([1e-4, 1e-3, 1e-2, 0.1, 1]);
    expect(new Set(grid.map(({ optimizer }) => optimizer))).toEqual(new Set(['adam', 'sgd']));
  });

  it('draw within their ranges, in ratios or differences, whole numbers if asked', () => {
    const space = dimensionsOf({ rate: { from: 1e-4, to: 1, scale: 'log' }, width: { from: 1, to: 3, integer: true } });
    const draws = drawn(space, 300, 3);
    expect(draws.filter(({ rate }) => Number(rate) < 1e-2).length).toBe(150);
    expect([1, 2, 3].map((width) => draws.filter((each) => each.width === width).length)).toEqual([75, 150, 75]);
    expect(draws.every(({ rate }) => Number(rate) >= 1e-4 && Number(rate) <= 1)).toBe(true);
  });

  it('draw each value of a list equally often, independently of the others', () => {
    const draws = drawn(dimensionsOf({ a: ['x', 'y', 'z'], b: [1, 2] }), 600, 1);
    for (const a of ['x', 'y', 'z']) {
      expect(draws.filter((each) => each.a === a).length).toBe(200);
      const both = draws.filter((each) => each.a === a && each.b === 1).length;
      expect(Math.abs(both - 100)).toBeLessThan(25);
    }
  });

  it('know their edges', () => {
    const [optimizer, rate] = dimensionsOf(vary);
    expect([1e-4, 2e-4, 1e-2, 1].map((value) => rate && isAtEdge(rate, value))).toEqual([true, false, false, true]);
    expect(optimizer && isAtEdge(optimizer, 'adam')).toBe(false);
    const [list] = dimensionsOf({ batch: [32, 64, 128] });
    expect([32, 64, 128].map((value) => list && isAtEdge(list, value))).toEqual([true, false, true]);
  });

  it.each([
    [{}, 'vary is an empty object; give an object such as'],
    [{ rate: [] }, 'vary.rate is empty'],
    [{ rate: [1, 1] }, 'vary.rate holds a value twice'],
    [{ rate: [null] }, 'vary.rate holds null'],
    [{ rate: 3 }, 'vary.rate is 3; give a list, or a range'],
    [{ rate: { from: 1, to: 1 } }, 'vary.rate.to is 1; it must be a finite number, greater than 1'],
    [{ rate: { from: 0, to: 1, scale: 'log' } }, 'vary.rate.from is 0; it must be a finite number, greater than 0'],
    [{ rate: { from: 0, to: 1, scale: 'exp' } }, "vary.rate.scale is 'exp'; it must be 'log' or 'linear'"],
    [{ rate: { from: 0.5, to: 2, integer: true } }, 'vary.rate.from is 0.5; it must be a whole number'],
    [{ rate: { form: 0, to: 2 } }, "unknown option 'form' of vary.rate"],
  ])('refuse %j', (given, message) => {
    expect(() => dimensionsOf(given)).toThrow(OptionError);
    expect(() => dimensionsOf(given)).toThrow(message);
  });
});

describe('plans', () => {
  it.each([
    [[], 'a sweep is an object of JSON, and this is an array of 0'],
    [{ vary, trials: 3 }, "unknown option 'trials' of a sweep"],
    [{ vary, search: 'best' }, "search is 'best'; choose 'grid', 'random' or 'halving'"],
    [{ vary, search: { kind: 'random', trials: 0 } }, 'search.trials is 0'],
    [{ vary, search: { kind: 'halving', eta: 1 } }, 'search.eta is 1'],
    [{ vary, train: { optimizer: 'adam' } }, "'optimizer' is given in train and in vary; give it once"],
    [{ vary, seed: 0.5 }, 'seed is 0.5'],
  ])('refuse %j', (given, message) => expect(() => sweepPlan(given)).toThrow(message));

  it('refuse a grid of a range without a count', () => {
    const open = sweepPlan({ vary: { rate: { from: 1, to: 2 } }, search: 'grid' });
    expect(() => sweepStudy(open, madeUp())).toThrow('vary.rate is a range, and a grid needs the number of its values');
  });
});

describe('a sweep', () => {
  it('finds the best of a grid', async () => {
    const ran: string[] = [];
    const { result } = await swept(plan(), ran);
    expect(ran.length).toBe(10);
    expect(result?.best?.settings).toEqual({ optimizer: 'adam', 'learning-rate': 0.01 });
    expect(result?.trials.at(-1)?.value).toBeNull();
  });

  it('runs random trials, the same for the same seed', async () => {
    const [one, two] = [sweepStudy(plan({ search: { kind: 'random', trials: 8 }, seed: 1 }), madeUp()), madeUp()];
    expect(one.cells.length).toBe(8);
    const settings = async (seed: number) => {
      const study = sweepStudy(plan({ search: { kind: 'random', trials: 8 }, seed }), two);
      return Promise.all(study.cells.map(async ({ run }) => (await run(new AbortController().signal)).settings));
    };
    expect(await settings(1)).toEqual(await settings(1));
    expect(await settings(1)).not.toEqual(await settings(2));
  });

  it.each([
    ['lists', { a: [1, 2, 3], b: [1, 2] }, 5, 5],
    ['lists with fewer combinations', { a: [1, 2, 3], b: [1, 2] }, 20, 6],
    ['whole numbers', { a: { from: 1, to: 3, integer: true } }, 20, 3],
  ])('makes no random trial twice: %s', async (_, vary, trials, expected) => {
    const { cells } = sweepStudy(sweepPlan({ vary, search: { kind: 'random', trials } }), madeUp());
    const made = await Promise.all(cells.map(async ({ run }) => (await run(new AbortController().signal)).settings));
    expect(new Set(made.map((settings) => JSON.stringify(settings))).size).toBe(expected);
    expect(made.length).toBe(expected);
  });

  it('halves: many short trials, of which the best go on', async () => {
    const ran: string[] = [];
    const { result, rows } = await swept(plan({ search: { kind: 'halving', trials: 9, eta: 3 }, seed: 4 }), ran);
    const shares = ran.map((each) => each.split(' ')[2]);
    expect(shares.filter((share) => share === '0.11').length).toBe(9);
    expect(shares.filter((share) => share === '0.33').length).toBe(3);
    expect(shares.filter((share) => share === '1.0').length).toBe(1);
    const first = ranked(
      (rows ?? []).filter(({ share }) => share < 0.2),
      true,
    );
    expect(result?.best).toMatchObject({ trial: first[0]?.trial, share: 1 });
    expect(result?.trials.length).toBe(9);
  });

  it('goes on where it stopped', async () => {
    const stop = new AbortController();
    const ran: string[] = [];
    const study = sweepStudy(plan(), {
      ...madeUp(ran),
      run: async (settings, share, signal) => {
        if (ran.length === 4) stop.abort();
        return madeUp(ran).run(settings, share, signal);
      },
    });
    const file = await CellFile.open<never>(folder, {
      study: 'sweep',
      version: '1',
      machine: {},
      options: study.options,
    });
    expect(await measured(file, study as never, stop.signal, () => undefined)).toBeUndefined();
    const rest: string[] = [];
    const { result } = await swept(plan(), rest);
    expect([rest.length, result?.trials.length]).toEqual([6, 10]);
  });

  it('has rounds whose shares end at the whole training', () => {
    expect(
      roundsOf({ kind: 'halving', trials: 27, eta: 3 }, 27).map(({ trials, share }) => [
        trials,
        Math.round(27 * share),
      ]),
    ).toEqual([
      [27, 1],
      [9, 3],
      [3, 9],
      [1, 27],
    ]);
    expect(roundsOf({ kind: 'halving', trials: 2, eta: 3 }, 2)).toEqual([{ trials: 2, share: 1 }]);
  });
});

describe('its page', () => {
  const shown = async (given: SweepPlan) => {
    const { study, result } = await swept(given);
    const presented = study.present(JSON.parse(JSON.stringify(result)) as SweepResult);
    return { presented, page: studyPage(presented, { title: 'A sweep', command: 'cgfac sweep', environment: {} }) };
  };

  it('names the best, its value on the test set, what diverged and what lies at an edge', async () => {
    const { presented, page } = await shown(plan());
    expect(presented.headline).toBe(
      'The best of 10 trials by validation loss (0.100): optimizer adam, learning-rate 0.01',
    );
    expect(presented.findings).toEqual([
      expect.stringMatching(/^On the test set, which had no part in the choice, it comes to 0\.2/),
      '2 of 10 trials diverged.',
    ]);
    expect(page.match(/<title>trial \d+<\/title>/g)?.length).toBe(8);
    expect(page).toContain('Parallel coordinates of 8 trials: optimizer, learning-rate, validation loss');
    const edge = await shown(plan({ vary: { ...vary, 'learning-rate': [0.001, 0.003, 0.01] } })).catch(
      (error: Error) => error,
    );
    expect(edge).toBeInstanceOf(OptionError); // another sweep in the same folder
  });

  it('is honest about a choice by the test set', () => {
    const trials = { ...madeUp(), metric: 'testLoss' };
    const study = sweepStudy(plan(), trials);
    const row = {
      trial: 1,
      settings: { optimizer: 'adam', 'learning-rate': 1 },
      share: 1,
      value: 1,
      test: 1,
      steps: 3,
      seconds: 1,
    };
    const { findings, sections } = study.present(study.result([row]));
    expect(findings[0]).toMatch(/^The trials were chosen by the test set/);
    expect(findings[1]).toBe('The best lies at the edge of learning-rate: a better one may lie beyond.');
    expect(sections[0]?.charts).toEqual([]);
  });
});
