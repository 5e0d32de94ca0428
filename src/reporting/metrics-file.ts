// metrics.jsonl: a line of JSON for each logged step, handed to the operating system as soon as the step is logged.

import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { FileError } from '../errors.js';
import { advice, writeFileAtomically } from '../files/write.js';
import type { StepRecord } from '../training/run-record.js';
import { finiteOrText } from './run-result.js';

/** A metrics file that is open for appending. */
export interface MetricsFile {
  /**
   * Append one line and hand it to the operating system: it survives this process.
   * @throws FileError if it cannot be written
   */
  append(record: StepRecord): void;
  /** Sync the file to the disk and close it; further calls do nothing. */
  close(): void;
}

/**
 * Open an empty metrics file. JSON has no NaN and no infinities: they are written as the strings `"NaN"`, `"Infinity"` and
 * `"-Infinity"`, which `Number()` of JavaScript and `float()` of Python read back.
 * @throws FileError if the file cannot be written
 */
export async function openMetricsFile(path: string): Promise<MetricsFile> {
  await writeFileAtomically(path, '');
  let descriptor: number | undefined = openToAppend(path);
  return {
    append(record) {
      try {
        if (descriptor === undefined) throw new Error('it is closed');
        const line = Buffer.from(metricsLine(record));
        for (let written = 0; written < line.length; ) written += writeSync(descriptor, line, written);
      } catch (cause) {
        throw new FileError(`cannot append step ${record.step} to '${path}': ${advice(cause)}`, { cause });
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

function openToAppend(path: string): number {
  try {
    return openSync(path, 'a');
  } catch (cause) {
    throw new FileError(`cannot append to '${path}': ${advice(cause)}`, { cause });
  }
}

/** One line of the file, its line feed included. */
function metricsLine({ step, epoch, loss, metrics, seconds, optimizer }: StepRecord): string {
  return `${JSON.stringify({ step, epoch, loss, metrics, seconds, optimizer }, finiteOrText)}\n`;
}
