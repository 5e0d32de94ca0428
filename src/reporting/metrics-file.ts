// metrics.jsonl: a line of JSON for each logged step, handed to the operating system as soon as the step is logged.

import { closeSync, createReadStream, fsyncSync, openSync, writeSync } from 'node:fs';
import { truncate } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { FileError } from '../errors.js';
import { advice, systemCode, writeFileAtomically } from '../files/write.js';
import type { StepRecord } from '../training/run-record.js';
import { finiteOrText } from './run-result.js';

/** A metrics file that is open for appending. */
export interface MetricsFile {
  /**
   * Append one line and hand it to the operating system: it survives this process.
   * @throws FileError if it cannot be written
   */
  append(record: StepRecord): void;
  /**
   * Bring all lines to the disk.
   * @throws FileError if that fails
   */
  sync(): void;
  /** Sync the file to the disk and close it; further calls do nothing. */
  close(): void;
}

/**
 * Return the records of a metrics file up to a step, one after the other.
 * @throws FileError if the file cannot be read, or a line is damaged
 */
export async function* stepsUntil(path: string, last: number): AsyncGenerator<StepRecord> {
  const special: readonly unknown[] = ['NaN', 'Infinity', '-Infinity'];
  const file = createReadStream(path);
  try {
    for await (const line of createInterface({ input: file })) {
      const record: StepRecord = JSON.parse(line, (_, value) => (special.includes(value) ? Number(value) : value));
      if (record.step > last) return;
      yield record;
    }
  } catch (cause) {
    if (cause instanceof SyntaxError) throw new FileError(`'${path}' has a damaged line`, { cause });
    throw cause instanceof FileError ? cause : new FileError(`cannot read '${path}': ${advice(cause)}`, { cause });
  } finally {
    file.destroy();
  }
}

/**
 * Open a metrics file: an empty one, or to go on after a step. JSON has no NaN and no infinities: they are written as the strings
 * `"NaN"`, `"Infinity"` and `"-Infinity"`, which `Number()` of JavaScript and `float()` of Python read back.
 * @param after number of steps whose lines stay, if the file has them; what follows is cut off
 * @throws FileError if the file cannot be read or written
 */
export async function openMetricsFile(path: string, after = 0): Promise<MetricsFile & { readonly lines: number }> {
  const lines = after === 0 ? 0 : await cutAfter(path, after);
  if (lines === 0) await writeFileAtomically(path, '');
  let descriptor: number | undefined = openToAppend(path);
  return {
    lines,
    append(record) {
      try {
        if (descriptor === undefined) throw new Error('it is closed');
        const line = Buffer.from(metricsLine(record));
        for (let written = 0; written < line.length; ) written += writeSync(descriptor, line, written);
      } catch (cause) {
        throw new FileError(`cannot append step ${record.step} to '${path}': ${advice(cause)}`, { cause });
      }
    },
    sync() {
      try {
        if (descriptor !== undefined) fsyncSync(descriptor);
      } catch (cause) {
        throw new FileError(`cannot bring '${path}' to the disk: ${advice(cause)}`, { cause });
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

/** Keep the lines of steps up to the given one, and return their number; a line that was cut short is none. */
async function cutAfter(path: string, after: number): Promise<number> {
  let [kept, lines] = [0, 0];
  let rest = Buffer.alloc(0);
  try {
    reading: for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      rest = Buffer.concat([rest, chunk]);
      for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
        if (!(stepOf(rest.subarray(0, end)) <= after)) break reading;
        kept += end + 1;
        lines += 1;
        rest = rest.subarray(end + 1);
      }
    }
    await truncate(path, kept);
    return lines;
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return 0;
    throw new FileError(`cannot go on with '${path}': ${advice(cause)}`, { cause });
  }
}

/** The step of a line; NaN if it is none. */
function stepOf(line: Buffer): number {
  try {
    return Number((JSON.parse(line.toString()) as { step: unknown }).step);
  } catch {
    return Number.NaN;
  }
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
