// `cgfac report`: runs of folders on one page, whatever state they are in.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runResults } from '../src/reporting/run-result.js';
import { cgfac } from './support/command.js';
import { madeUpExperiment, madeUpRun } from './support/made-up.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cgfac-report-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const lines = (records: readonly object[]) => records.map((record) => `${JSON.stringify(record)}\n`).join('');

/** Write the folder of a run as a command leaves it. */
async function runFolder(name: string, files: Readonly<Record<string, string | object>>): Promise<string> {
  const path = join(folder, name);
  await mkdir(path, { recursive: true });
  for (const [file, content] of Object.entries(files))
    await writeFile(join(path, file), typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

const record = madeUpRun('adam:learning-rate=0.003', (step) => 1 / step, { count: 20 });

/** A finished run whose manifest has its result. */
const finished = () =>
  runFolder('finished', {
    'metrics.jsonl': lines(record.steps),
    'run.json': {
      command: 'cgfac train mlp --data digits --optimizer adam:learning-rate=0.003 --seed 1',
      state: 'finished',
      files: ['metrics.jsonl'],
      results: runResults([madeUpExperiment([record], { model: 'mlp', data: 'digits' })]),
    },
  });

it('compares a finished run with one that was killed, and leaves out a damaged line', async () => {
  const killed = await runFolder('killed', {
    'metrics.jsonl': `${lines(record.steps.slice(0, 3))}{"step": 4, "lo\n${lines(record.steps.slice(4, 9))}{"step": 10, "ep`,
    'run.json': {
      command: 'cgfac train mlp --data digits --optimizer sgd --steps 100 --seed 2',
      state: 'running',
      files: [],
    },
  });
  const out = join(folder, 'pages', 'one.html');
  const { code, stdout, stderr } = await cgfac(['report', await finished(), killed, '--out', out]);
  expect(stderr.split('\n').filter(Boolean)).toEqual([
    `Note: ${killed}: line 4 of metrics.jsonl is damaged and left out.`,
    `Note: ${killed}: its process ended without a word; what it had logged is shown.`,
  ]);
  expect(code).toBe(0);
  expect(stdout).toContain(`Report: ${out}`);
  const page = await readFile(out, 'utf8');
  expect(page).toContain('<title>mlp on digits</title>');
  expect(page).toContain('sgd was stopped after 9 of 100\u00a0steps.');
  expect(page).toContain('line 4 of metrics.jsonl is damaged');
  expect(page).toContain('<tr><th scope="row">seed</th><td>1</td><td>2</td></tr>');
  expect(page).toContain('<small>adam:<wbr>learning-rate=0.003</small>');
  // It replaces its own page, and no other file.
  expect((await cgfac(['report', killed, '--out', out])).code).toBe(0);
  const foreign = join(killed, 'run.json');
  const refused = await cgfac(['report', killed, '--out', foreign]);
  expect(refused.stderr).toBe(
    `cgfac: '${foreign}' is no page of cgfac: choose another --out, or replace it with --overwrite\n`,
  );
  expect(refused.code).toBe(2);
});

it('reads the effective options of config.json, and the runs of a comparison below one folder', async () => {
  const home = await runFolder('comparison', {
    'run.json': {
      command: 'cgfac compare mlp --data digits --optimizers adam,adam:learning-rate=0.1',
      state: 'interrupted',
    },
  });
  await runFolder('comparison/adam', { 'metrics.jsonl': lines(record.steps) });
  await runFolder('comparison/adam-learning-rate=0.1', { 'metrics.jsonl': lines(record.steps.slice(0, 10)) });
  const configured = await runFolder('configured', {
    'metrics.jsonl': lines(record.steps),
    'config.json': {
      model: 'lenet',
      effective: { data: 'digits', steps: 20, batchSize: 32, optimizer: { name: 'Adam', label: 'adam' } },
      threads: 2,
      fingerprints: { data: 'abc' },
    },
  });
  const out = join(folder, 'two.html');
  const { stdout, stderr, code } = await cgfac(['report', home, configured, '--out', out]);
  expect(code).toBe(0);
  expect(stderr).toContain('Runs of different data or metrics cannot be compared');
  expect(stdout).toMatch(/^mlp on digits$/m);
  expect(stdout).toMatch(/^adam:learning-rate=0\.1 /m);
  expect(stdout).toMatch(/^lenet on digits$/m);
});

it.each([
  ['an empty folder', async () => await runFolder('empty', {}), /holds no run: there is no metrics\.jsonl in it/],
  ['no folder', async () => join(folder, 'absent'), /^cgfac: there is no folder '.*absent'\n$/],
  ['a file', async () => join(await finished(), 'run.json'), /is a file; give the folder of a run\n$/],
  [
    'a run without a step',
    async () => await runFolder('early', { 'metrics.jsonl': '' }),
    /have no steps yet: wait for the first/,
  ],
])('refuses %s in one line', async (_, make, message) => {
  const { code, stderr } = await cgfac(['report', await make()]);
  expect(stderr).toMatch(message);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(code).toBe(2);
});
