// The rows of a study on disk: JSON lines, a header and a line for each finished cell. What is there survives a power cut, and
// a study goes on behind its last whole line.
import { open, readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { FileError, OptionError } from '../errors.js';
import { differences } from '../files/differences.js';
import { advice, systemCode, writeFileAtomically } from '../files/write.js';
import { isRecord } from '../options.js';
import type { Cell, Study } from './study.js';

/** What must be the same for rows to belong together. */
export interface Identity {
  readonly study: string;
  /** Of cgfac. */
  readonly version: string;
  /** Where it is measured: processor, runtime, threads. */
  readonly machine: Readonly<Record<string, unknown>>;
  readonly options: Readonly<Record<string, unknown>>;
}

export const cellsName = 'cells.jsonl';

export class CellFile<Row> {
  readonly #path: string;
  readonly #rows: Map<string, Row>;

  private constructor(path: string, rows: Map<string, Row>) {
    this.#path = path;
    this.#rows = rows;
  }

  /**
   * Open the rows in a folder, or begin them. A last line that was cut off is dropped.
   * @throws OptionError naming the difference if the folder holds another study
   * @throws FileError if the file is damaged or cannot be read or written
   */
  static async open<Row>(folder: string, identity: Identity): Promise<CellFile<Row>> {
    const path = join(folder, cellsName);
    const text = await readFile(path, 'utf8').catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw new FileError(`cannot read '${path}': ${advice(error)}`, { cause: error });
    });
    if (text === undefined) {
      await writeFileAtomically(path, `${JSON.stringify(identity)}\n`);
      return new CellFile<Row>(path, new Map());
    }
    const end = text.lastIndexOf('\n') + 1;
    const [header = '', ...lines] = text.slice(0, end).split('\n').slice(0, -1);
    const found = parsed(path, header, 1);
    const [difference] = differences(found, JSON.parse(JSON.stringify(identity)));
    if (difference !== undefined) {
      throw new OptionError(
        `'${folder}' holds the rows of another study: ${difference}; choose another --out, or replace it with --overwrite`,
      );
    }
    if (end < text.length) await truncate(path, Buffer.byteLength(text.slice(0, end)));
    const rows = lines.map((line, i): [string, Row] => {
      const { key, row } = parsed(path, line, i + 2);
      if (typeof key === 'string' && isRecord(row)) return [key, row as Row];
      throw damaged(path, i + 2);
    });
    return new CellFile<Row>(path, new Map(rows));
  }

  get(key: string): Row | undefined {
    return this.#rows.get(key);
  }

  /** Add a row; when it resolves the row is on the disk. @throws FileError */
  async append(key: string, row: Row): Promise<void> {
    try {
      const file = await open(this.#path, 'a');
      try {
        await file.writeFile(`${JSON.stringify({ key, row })}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
    } catch (error) {
      throw new FileError(`cannot write '${this.#path}': ${advice(error)}`, { cause: error });
    }
    this.#rows.set(key, row);
  }
}

/**
 * Measure the cells that the file lacks, in their order, then those that their rows call for, and return the rows of all;
 * undefined if the signal came first.
 * @param onCell called before each cell, with the number of those that are done and of all known so far, and with its key
 */
export async function measured<Row>(
  file: CellFile<Row>,
  { cells, further }: Pick<Study<Row, unknown>, 'cells' | 'further'>,
  signal: AbortSignal,
  onCell: (done: number, of: number, next: string) => void,
): Promise<readonly Row[] | undefined> {
  let known = [...cells];
  for (let more: readonly Cell<Row>[] = cells; more.length > 0; ) {
    for (const { key, run } of more) {
      if (file.get(key) !== undefined) continue;
      if (signal.aborted) return undefined;
      onCell(known.filter((cell) => file.get(cell.key) !== undefined).length, known.length, key);
      let row: Row;
      try {
        row = await run(signal);
      } catch (error) {
        if (signal.aborted) return undefined;
        throw error;
      }
      // A run that was cut short measures something else.
      if (signal.aborted) return undefined;
      await file.append(key, row);
    }
    more = further?.(known.flatMap(({ key }) => file.get(key) ?? [])) ?? [];
    known = [...known, ...more];
  }
  return known.flatMap(({ key }) => file.get(key) ?? []);
}

function parsed(path: string, line: string, number: number): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    if (isRecord(value)) return value;
  } catch {
    // The same message as for a line that is JSON of another kind.
  }
  throw damaged(path, number);
}

const damaged = (path: string, line: number): FileError =>
  new FileError(
    `line ${line} of '${path}' is damaged: it is no row of a study; remove the file (or give --overwrite) to measure anew`,
  );
