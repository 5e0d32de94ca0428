// metrics.jsonl: one JSON object a line and a line for each logged step, on the disk's side of this process
// as soon as it is logged, and cut back to the checkpoint when a run is resumed.

import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { FileError, messageOf } from '../errors.js';
import { systemCode, writeFileAtomically } from '../files/write.js';
import type { StepRecord } from '../training/run-record.js';

/** A metrics file that is open for appending. */
export interface MetricsFile {
  /**
   * Appends one line and hands it to the operating system: it survives this process.
   * @throws FileError if it cannot be written.
   */
  append(record: StepRecord): void;
  /** Syncs the file to the disk and closes it; further calls do nothing. */
  close(): void;
}

/**
 * Opens a metrics file, empty for a new run, or with the records up to and including `resumeAt` when a run goes on from the
 * checkpoint of that step: what was logged after the checkpoint will be logged again.
 *
 * JSON has no NaN and no infinities. They are written as the strings `"NaN"`, `"Infinity"` and `"-Infinity"`, which
 * `Number()` of JavaScript and `float()` of Python read back: a diverged run stays visible as what it was.
 *
 * @throws FileError if the file cannot be read, written, or is not a metrics file.
 */
export async function openMetricsFile(path: string, resumeAt = 0): Promise<MetricsFile> {
  const kept = resumeAt > 0 ? (await readMetricsFile(path)).filter((record) => record.step <= resumeAt) : [];
  await writeFileAtomically(path, kept.map(metricsLine).join(''));
  let descriptor: number | undefined = openToAppend(path);
  return {
    append(record) {
      try {
        if (descriptor === undefined) throw new Error('it is closed');
        const line = Buffer.from(metricsLine(record));
        for (let written = 0; written < line.length; ) written += writeSync(descriptor, line, written);
      } catch (error) {
        const reason = messageOf(error);
        throw new FileError(`Cannot append step ${record.step} to '${path}': ${reason}.`, { cause: error });
      }
    },
    close() {
      if (descriptor === undefined) return;
      fsyncSync(descriptor);
      closeSync(descriptor);
      descriptor = undefined;
    },
  };
}

/**
 * Reads a metrics file; no file at all is no records. A last line without its line feed is what a killed process was
 * writing: it is dropped.
 *
 * @throws FileError naming the line, if one is not a step's record.
 */
export async function readMetricsFile(path: string): Promise<StepRecord[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw new FileError(`Cannot read '${path}': ${messageOf(error)}.`, { cause: error });
  }
  const lines = text.split('\n').slice(0, -1);
  return lines.map((line, index) => parseLine(line, `'${path}', line ${index + 1}`));
}

/** @throws FileError if the file cannot be opened. */
function openToAppend(path: string): number {
  try {
    return openSync(path, 'a');
  } catch (error) {
    const reason = messageOf(error);
    throw new FileError(`Cannot append to '${path}': ${reason}.`, { cause: error });
  }
}

/** One line of the file, its line feed included. */
function metricsLine(record: StepRecord): string {
  const replacer = (_: string, value: unknown) =>
    typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
  const { step, epoch, loss, metrics, seconds, optimizer } = record;
  return `${JSON.stringify({ step, epoch, loss, metrics, seconds, optimizer }, replacer)}\n`;
}

/** @throws FileError if the line is not a step's record. */
function parseLine(line: string, where: string): StepRecord {
  const refuse = (what: string, cause?: unknown): never => {
    throw new FileError(
      `${where}: ${what}. Expected one JSON object with step, epoch, loss, metrics, seconds, optimizer.`,
      {
        cause,
      },
    );
  };
  const number = (value: unknown, name: string): number => {
    if (typeof value === 'number') return value;
    if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return Number(value);
    return refuse(`'${name}' is ${JSON.stringify(value) ?? 'missing'}, not a number`);
  };
  const numbers = (value: unknown, name: string): Record<string, number> => {
    if (!isObject(value)) return refuse(`'${name}' is not an object`);
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, number(entry, `${name}.${key}`)]));
  };
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch (error) {
    return refuse('this is not JSON', error);
  }
  if (!isObject(parsed)) return refuse('this is not a JSON object');
  return {
    step: number(parsed.step, 'step'),
    epoch: number(parsed.epoch, 'epoch'),
    loss: number(parsed.loss, 'loss'),
    metrics: numbers(parsed.metrics, 'metrics'),
    seconds: number(parsed.seconds, 'seconds'),
    optimizer: numbers(parsed.optimizer, 'optimizer'),
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
