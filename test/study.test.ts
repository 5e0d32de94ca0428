// `cgfac study` from outside: tiny studies, their files, how they go on where they stopped, and what they refuse.
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { cgfac } from './support/command.js';

// A study starts several processes, one after another.
vi.setConfig({ testTimeout: 180_000 });

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'cgfac-study-'));
});
afterAll(() => rm(root, { recursive: true }));

const tiny: Readonly<Record<'complexity' | 'batch-size' | 'defaults', readonly string[]>> = {
  complexity: [
    ...[
      'complexity',
      '--quick',
      '--base',
      '16,8,1',
      '--widths',
      '16,32',
      '--batches',
      '8',
      '--depths',
      '1',
      '--ranks',
      '4,8',
    ],
    ...['--optimizers', 'sgd,cgfac:form=primal:max-iterations=10', '--threads', '1'],
  ],
  'batch-size': [
    ...['batch-size', '--quick', '--batches', '100,500', '--rates', '2', '--dampings', '1', '--budget', '0.05'],
    ...['--optimizers', 'sgd,cgfac', '--target', 'trainLoss=1.9', '--threads', '1'],
  ],
  defaults: [
    ...['defaults', '--quick', '--problems', 'table-classes,table-numbers', '--budget', '0.5', '--rates', '2'],
    ...['--optimizers', 'cgfac,sgd:learning-rate=1e30', '--threads', '1'],
  ],
};

/** Run a study, and return its JSON, its page and the lines of its rows. */
async function studied(parameters: readonly string[], out: string) {
  const { code, stdout, stderr } = await cgfac(['study', ...parameters, '--out', out, '--json']);
  expect(code, stderr).toBe(0);
  const page = await readFile(join(out, 'report.html'), 'utf8');
  return { result: JSON.parse(stdout.trim().split('\n').at(-1) ?? ''), page, rows: await rowsIn(out), stderr };
}

const rowsIn = async (out: string): Promise<string[]> =>
  (await readFile(join(out, 'cells.jsonl'), 'utf8')).split('\n').slice(1, -1);

/** Tags that are opened and closed, of a document that is well formed. */
function expectWellFormed(page: string): void {
  const open: string[] = [];
  const body = page.replace(/<style>.*?<\/style>/s, '').replace(/<!doctype html>/, '');
  for (const [, close, name = '', self] of body.matchAll(/<(\/?)([a-z]\w*)(?:\s[^<>]*?)?(\/?)>/g)) {
    if (self || ['meta', 'br', 'img'].includes(name)) continue;
    if (close) expect(open.pop()).toBe(name);
    else open.push(name);
  }
  expect(open).toEqual([]);
  expect(page).not.toMatch(/NaN|undefined|Infinity|<script|https?:\/\/(?!www\.w3\.org)/);
}

describe('a study leaves a page, its result and its rows', () => {
  it('complexity: exponents by optimizer, state and memory of each', async () => {
    const { result, page } = await studied(tiny.complexity, join(root, 'complexity'));
    expect(result.study).toBe('complexity');
    expect(Object.keys(result.exponents)).toEqual(['sgd', 'cgfac:form=primal:max-iterations=10']);
    expect(result.exponents.sgd.bytes).toMatchObject({ from: 16, to: 32, points: 2 });
    // 795·w + 10 parameters.
    expect(result.exponents.sgd.bytes.exponent).toBeCloseTo(Math.log2((795 * 32 + 10) / (795 * 16 + 10)), 10);
    expect(result.exponentsAgainst.rank.cgfac.bytes.points).toBe(2);
    const at = (optimizer: string, width: number) =>
      result.rows.find(
        (row: { optimizer: string; width: number }) => row.optimizer === optimizer && row.width === width,
      );
    for (const row of result.rows) {
      expect(row.failed).toBeUndefined();
      expect(row.meanMilliseconds).toBeGreaterThan(0);
      expect(row.steps % result.period).toBe(0);
      expect(row.peakBytes).toBeGreaterThan(row.stateBytes);
    }
    const parameters = 785 * 16 + 17 * 10;
    expect(at('sgd', 16).stateBytes).toBe(4 * parameters);
    expect(at('cgfac:form=primal:max-iterations=10', 32).iterations).toBeGreaterThan(0);
    expect(at('sgd', 16).iterations).toBeNull();
    expectWellFormed(page);
    expect(page).toContain(result.exponents.sgd.bytes.exponent.toFixed(2));
    expect(page).toContain('<span>cgfac study complexity</span> <span>--quick</span>');
  });

  it('batch-size: the best of each grid, and every point of it', async () => {
    const { result, page } = await studied(tiny['batch-size'], join(root, 'batch-size'));
    expect(result.target).toEqual({ metric: 'trainLoss', value: 1.9 });
    expect(result.cells).toHaveLength(8);
    expect(result.best.map(({ optimizer, batch }: { optimizer: string; batch: number }) => [optimizer, batch])).toEqual(
      [
        ['sgd', 100],
        ['sgd', 500],
        ['cgfac', 100],
        ['cgfac', 500],
      ],
    );
    const reached = result.runs.filter((run: { reached: unknown }) => run.reached !== null);
    expect(reached.length).toBeGreaterThan(0);
    // A run ends where it reaches its target.
    for (const run of reached) expect(run.reached.steps).toBe(run.steps);
    expectWellFormed(page);
  });

  it('defaults: divergences are counted, and the text on the console is of the same result', async () => {
    const out = join(root, 'defaults');
    const { result, page } = await studied(tiny.defaults, out);
    const [cgfacResult, sgd] = result.optimizers;
    expect(cgfacResult).toMatchObject({ optimizer: 'cgfac', problems: 2, divergedRuns: 0, runs: 2 });
    expect(sgd).toMatchObject({ optimizer: 'sgd:learning-rate=1e30', divergedRuns: 2, reached: 0, isBound: true });
    expect(result.problems.map(({ problem }: { problem: string }) => problem)).toEqual([
      'table-classes',
      'table-numbers',
    ]);
    // Of two rates the best lies at an edge, beyond which it is sought.
    expect(result.problems[0].tuned.grid.length).toBeGreaterThan(2);
    expectWellFormed(page);
    const { code, stdout } = await cgfac(['study', ...tiny.defaults, '--out', out]);
    expect(code).toBe(0);
    expect(stdout).toContain('2 of its 2 runs diverged');
    expect(stdout).toMatch(/optimizer +steps ÷ +seconds ÷/);
  });
});

it.each(['SIGKILL', 'SIGINT'] as const)('goes on where %s stopped it, and measures nothing twice', async (signal) => {
  const out = join(root, `stopped-${signal}`);
  const stopped = await cgfac(['study', ...tiny.defaults, '--out', out, '--json'], /^4 of 8/m, signal);
  expect(stopped.code).toBe(signal === 'SIGINT' ? 130 : null);
  expect(existsSync(join(out, 'report.html'))).toBe(false);
  const before = await rowsIn(out);
  expect(before.length).toBeGreaterThanOrEqual(3);
  expect(before.length).toBeLessThan(8);
  const { rows, result, stderr } = await studied(tiny.defaults, out);
  expect(rows.slice(0, before.length)).toEqual(before);
  const keys = rows.map((row) => JSON.parse(row).key);
  expect(new Set(keys).size).toBe(keys.length);
  expect(result.runs).toHaveLength(keys.length);
  expect(stderr).toMatch(new RegExp(`^${before.length + 1} of 8`));
  // The rows of training are those of a study that was not stopped; only times differ.
  const whole = await studied(tiny.defaults, join(root, 'defaults'));
  expect(keys).toEqual(whole.rows.map((row) => JSON.parse(row).key));
  const losses = (lines: readonly string[]) =>
    lines.map((line) => JSON.parse(line)).map(({ key, row }) => [key, row.points.map(([, , loss]: number[]) => loss)]);
  expect(losses(rows)).toEqual(losses(whole.rows));
});

it('refuses a folder of another study, of other options, or of something else; --overwrite replaces a study', async () => {
  const out = join(root, 'defaults');
  await studied(tiny.defaults, out);
  const other = await cgfac(['study', ...tiny['batch-size'], '--out', out]);
  expect(other.code).toBe(2);
  expect(other.stderr).toContain('study was "defaults" and is "batch-size"');
  const options = await cgfac(['study', ...tiny.defaults, '--seeds', '2', '--out', out]);
  expect(options.stderr).toContain('options.seeds was 1 and is 2; choose another --out, or replace it');
  const small = ['defaults', '--quick', '--problems', 'table-classes', '--budget', '0.1', '--rates', '1'];
  const replaced = await studied([...small, '--optimizers', 'sgd', '--threads', '1', '--overwrite'], out);
  expect(replaced.result.runs).toHaveLength(2);
  expect(replaced.result.problems[0].tuned.edge).toBeNull();

  const foreign = await mkdtemp(join(root, 'foreign-'));
  await writeFile(join(foreign, 'report.html'), 'mine');
  const refused = await cgfac(['study', ...tiny.defaults, '--out', foreign, '--overwrite']);
  expect(refused.stderr).toContain('holds a report of something else');
  expect(await readFile(join(foreign, 'report.html'), 'utf8')).toBe('mine');
});
