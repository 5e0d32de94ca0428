// Reads a metrics file back, as a user's script would.
import { readFile } from 'node:fs/promises';
import type { StepRecord } from '../../src/training/run-record.js';

const notFinite: readonly unknown[] = ['NaN', 'Infinity', '-Infinity'];

/** Return the records of a metrics.jsonl; its strings for numbers that JSON does not have are numbers. */
export async function readMetricsFile(path: string): Promise<StepRecord[]> {
  const lines = (await readFile(path, 'utf8')).split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line, (_, value) => (notFinite.includes(value) ? Number(value) : value)));
}
