import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { expect, it, onTestFinished } from 'vitest';
import { FileError } from '../errors.js';
import type { StepRecord } from '../training/run-record.js';
import { MetricsCsv } from './metrics-csv.js';

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

it('goes on after a step, without the rows of later ones and without half a row', async () => {
  const path = temporary();
  const first = await MetricsCsv.open(path);
  for (const step of [1, 2, 3]) await first.append(record(step, { metrics: { 'a,b': step } }));
  first.close();
  appendFileSync(path, '4,1,');
  const second = await MetricsCsv.open(path, 2);
  for (const step of [3, 4]) await second.append(record(step, { metrics: { 'a,b': step } }));
  second.close();
  expect(rowsOf(path).map((row) => [row.step, row['a,b']])).toEqual(['1', '2', '3', '4'].map((step) => [step, step]));
});
