import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { expect, it, onTestFinished } from 'vitest';
import { FileError } from '../errors.js';
import type { StepRecord } from '../training/run-record.js';
import { MetricsCsv } from './metrics-csv.js';
import { openMetricsFile, stepsUntil } from './metrics-file.js';

function temporary(): string {
  const path = mkdtempSync(join(tmpdir(), 'csv-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return join(path, 'metrics.csv');
}

const record = (step: number, parts: Partial<StepRecord> = {}): StepRecord => ({
  ...{ step, epoch: step / 4, loss: 1 / step, metrics: {}, seconds: step * 2, optimizer: {}, ...parts },
});

const rowsOf = (path: string): Record<string, string>[] => parse(readFileSync(path), { columns: true });

it('has a column for each number, also for those that come later', async () => {
  const path = temporary();
  const file = await MetricsCsv.open(path);
  expect(readFileSync(path, 'utf8')).toBe('step,epoch,seconds,loss\r\n');
  await file.append(record(1, { metrics: { accuracy: 0.5 } }));
  await file.append(record(2, { loss: Number.NaN, optimizer: { 'cosine[a,"b"]': 1e-7 } }));
  await file.append(record(3, { metrics: { accuracy: 1, testLoss: Number.POSITIVE_INFINITY } }));
  const none = { accuracy: '', 'optimizer.cosine[a,"b"]': '', testLoss: '' };
  expect(rowsOf(path)).toEqual([
    { ...none, step: '1', epoch: '0.25', seconds: '2', loss: '1', accuracy: '0.5' },
    { ...none, step: '2', epoch: '0.5', seconds: '4', loss: 'NaN', 'optimizer.cosine[a,"b"]': '1e-7' },
    { ...none, step: '3', epoch: '0.75', seconds: '6', loss: String(1 / 3), accuracy: '1', testLoss: 'Infinity' },
  ]);
  file.close();
  await expect(file.append(record(4))).rejects.toThrow(FileError);
});

it.each([
  ['is whole', (whole: string) => whole],
  ['lacks rows', (whole: string) => whole.slice(0, 40)],
  ['was never written', () => undefined],
])('goes on after a step with all rows before, also if the table %s', async (_, left) => {
  const path = temporary();
  const log = path.replace(/csv$/, 'jsonl');
  const records = [1, 2, 3, 4].map((step) =>
    record(step, { loss: step === 1 ? Number.NaN : step, metrics: step > 1 ? { 'a,b': step } : {} }),
  );
  const whole = await MetricsCsv.open(path);
  const metrics = await openMetricsFile(log);
  for (const each of records) {
    await whole.append(each);
    metrics.append(each);
  }
  whole.close();
  metrics.close();
  const expected = readFileSync(path, 'utf8');
  const found = left(expected);
  if (found === undefined) rmSync(path);
  else writeFileSync(path, found);
  const second = await MetricsCsv.open(path, stepsUntil(log, 2));
  for (const each of records.slice(2)) await second.append(each);
  second.close();
  expect(readFileSync(path, 'utf8')).toBe(expected);
});
