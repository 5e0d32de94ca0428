import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { StepRecord } from '../training/run-record.js';
import { openMetricsFile, readMetricsFile } from './metrics-file.js';

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
  expect(() => file.append(record(3))).toThrow(/Cannot append step 3 .*closed/);
});

it('reads back numbers that JSON does not have, in lines that are JSON', async () => {
  const file = await openMetricsFile(path);
  for (const loss of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) file.append(record(1, loss));
  file.close();
  const [first] = (await readFile(path, 'utf8')).split('\n');
  expect(JSON.parse(first ?? '').loss).toBe('NaN');
  expect((await readMetricsFile(path)).map(({ loss }) => loss)).toEqual([Number.NaN, Infinity, -Infinity]);
});

it('goes on after the step of the checkpoint, and drops the line that a killed process left half written', async () => {
  const first = await openMetricsFile(path);
  for (const step of [1, 2, 3, 4]) first.append(record(step));
  first.close();
  await appendFile(path, '{"step":5,"epo');
  const second = await openMetricsFile(path, 2);
  second.append(record(3, 0.25));
  second.close();
  expect(await readMetricsFile(path)).toEqual([record(1), record(2), record(3, 0.25)]);
});

it('starts empty for a new run', async () => {
  const first = await openMetricsFile(path);
  first.append(record(1));
  first.close();
  (await openMetricsFile(path)).close();
  expect(await readMetricsFile(path)).toEqual([]);
});

it('names the line that is no record', async () => {
  const good = JSON.stringify(record(1));
  await writeFile(path, `${good}\nnot json\n`);
  await expect(openMetricsFile(path, 5)).rejects.toThrow(/metrics.jsonl', line 2: this is not JSON/);
  await writeFile(path, `${good}\n${good.replace('"epoch":0.1', '"epoch":"soon"')}\n`);
  await expect(readMetricsFile(path)).rejects.toThrow(/line 2: 'epoch' is "soon", not a number/);
});
