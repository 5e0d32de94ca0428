import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readMetricsFile } from '../../test/support/metrics-file.js';
import type { StepRecord } from '../training/run-record.js';
import { openMetricsFile } from './metrics-file.js';

let folder = '';
let path = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cgfac-metrics-'));
  path = join(folder, 'metrics.jsonl');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const record = (step: number, loss = 1 / step): StepRecord => ({
  step,
  epoch: step / 10,
  loss,
  metrics: { accuracy: 0.5, testLoss: loss },
  seconds: step * 0.1,
  optimizer: { damping: 1e-3 },
});

it('has each record on the disk as one JSON line before the file is closed', async () => {
  const file = await openMetricsFile(path);
  file.append(record(1));
  file.append(record(2));
  const lines = (await readFile(path, 'utf8')).split('\n');
  expect(lines.map((line) => line && JSON.parse(line))).toEqual([record(1), record(2), '']);
  file.close();
  file.close();
  expect(() => file.append(record(3))).toThrow(/cannot append step 3 .*closed/);
});

it('reads back numbers that JSON does not have, in lines that are JSON', async () => {
  const file = await openMetricsFile(path);
  for (const loss of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) file.append(record(1, loss));
  file.close();
  const [first] = (await readFile(path, 'utf8')).split('\n');
  expect(JSON.parse(first ?? '').loss).toBe('NaN');
  expect((await readMetricsFile(path)).map(({ loss }) => loss)).toEqual([Number.NaN, Infinity, -Infinity]);
});

it('starts empty for a new run', async () => {
  const first = await openMetricsFile(path);
  first.append(record(1));
  first.close();
  (await openMetricsFile(path)).close();
  expect(await readMetricsFile(path)).toEqual([]);
});

/** A file with these lines, opened to go on after a step. */
async function goingOn(content: string, after: number) {
  await writeFile(path, content);
  const file = await openMetricsFile(path, after);
  file.append(record(after + 1));
  file.sync();
  file.close();
  return { lines: file.lines, steps: (await readMetricsFile(path)).map(({ step }) => step) };
}

it('goes on after a step: later lines and one that was cut short are gone, and none is there twice', async () => {
  const lines = [1, 2, 3, 4].map((step) => `${JSON.stringify(record(step))}\n`);
  const long = `${JSON.stringify({ ...record(3), note: 'x'.repeat(200_000) })}\n`;
  expect(await goingOn(lines.join(''), 2)).toEqual({ lines: 2, steps: [1, 2, 3] });
  expect(await goingOn(lines.join(''), 4)).toEqual({ lines: 4, steps: [1, 2, 3, 4, 5] });
  expect(await goingOn(`${lines[0]}${lines[1]}${long}${lines[3]}`, 3)).toEqual({ lines: 3, steps: [1, 2, 3, 4] });
  expect(await goingOn(`${lines[0]}${lines[1]?.slice(0, -1)}`, 2)).toEqual({ lines: 1, steps: [1, 3] });
  expect(await goingOn(`${lines[0]}nonsense\n${lines[2]}`, 3)).toEqual({ lines: 1, steps: [1, 4] });
  expect(await goingOn('', 3)).toEqual({ lines: 0, steps: [4] });
  await rm(path);
  expect((await openMetricsFile(path, 3)).lines).toBe(0);
});
