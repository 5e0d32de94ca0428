import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { expect, it, onTestFinished } from 'vitest';
import { cgfac } from '../../test/support/command.js';
import { readEvents, scalarsOf } from '../../test/support/event-files.js';
import { readMetricsFile } from '../../test/support/metrics-file.js';

function temporary(): string {
  const path = mkdtempSync(join(tmpdir(), 'logs-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

const few = [
  'mlp',
  '--data',
  'digits?train=60&test=30',
  '--batch-size',
  '20',
  '--threads',
  '1',
  '--evaluate-every',
  '2',
];

it('writes the same steps as metrics.jsonl, for each run, and leaves with the run', async () => {
  const out = join(temporary(), 'out');
  const logs = ['--csv', '--tensorboard-gradients', '--out', out];
  const race = await cgfac(['compare', ...few, '--optimizers', 'adam:learning-rate=0.01,sgd', '--steps', '4', ...logs]);
  expect(race.stderr).not.toMatch(/Warning/);
  expect(race.code).toBe(0);
  const ofAdam = join(out, 'adam-learning-rate=0.01');
  for (const folder of [ofAdam, join(out, 'sgd')]) {
    const records = await readMetricsFile(join(folder, 'metrics.jsonl'));
    const rows: Record<string, string>[] = parse(readFileSync(join(folder, 'metrics.csv')), { columns: true });
    expect(rows.map(({ step, loss }) => [Number(step), Number(loss)])).toEqual(
      records.map(({ step, loss }) => [step, loss]),
    );
    expect(rows.map(({ testLoss }) => testLoss !== '')).toEqual([false, true, false, true]);
    const events = readEvents(join(folder, 'tensorboard'));
    expect(scalarsOf(events, 'loss/batch')).toEqual(records.map(({ step, loss }) => [step, Math.fround(loss)]));
  }
  const [start] = readEvents(join(ofAdam, 'tensorboard')).flatMap(({ summary }) => summary?.value ?? []);
  const names = Buffer.from(start?.metadata?.plugin_data.content ?? '', 'base64').toString('latin1');
  for (const name of ['model', 'data', 'optimizer', 'learning-rate', 'batch-size', 'seed'])
    expect(names).toContain(name);
  // The run that replaces it has no logs: those of the old one are gone, and what is not cgfac's stays.
  writeFileSync(join(ofAdam, 'tensorboard', 'note.txt'), 'mine');
  const again = await cgfac(['train', ...few, '--optimizer', 'sgd', '--steps', '2', '--out', out, '--overwrite']);
  expect(again.code).toBe(0);
  expect(readdirSync(join(ofAdam, 'tensorboard'))).toEqual(['note.txt']);
  expect(existsSync(join(out, 'sgd'))).toBe(false);
  expect(existsSync(join(out, 'metrics.csv'))).toBe(false);
});

it('warns once if a log cannot be written, and saves the model', async () => {
  const out = temporary();
  writeFileSync(join(out, 'tensorboard'), 'a file where the folder of the events should be');
  const { code, stderr } = await cgfac([
    'train',
    ...few,
    '--optimizer',
    'sgd',
    '--steps',
    '3',
    '--tensorboard',
    '--out',
    out,
  ]);
  expect(code).toBe(0);
  expect(stderr.match(/Warning: the events for TensorBoard end here, and the run goes on: .*is a file/g)).toHaveLength(
    1,
  );
  expect(existsSync(join(out, 'model.onnx'))).toBe(true);
  expect(readFileSync(join(out, 'tensorboard'), 'utf8')).toMatch(/^a file/);
});
