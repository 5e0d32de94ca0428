// metrics.csv: the steps as a table that spreadsheets and data frames open (RFC 4180). A row is handed to the operating system with its
// step; if a step brings a number for which there is no column yet, the table is written anew with one.
import { readFile } from 'node:fs/promises';
import { FileError } from '../errors.js';
import { advice, writeFileAtomically } from '../files/write.js';
import type { StepRecord } from '../training/run-record.js';
import { AppendedFile } from './appended-file.js';

const firstColumns: readonly string[] = ['step', 'epoch', 'seconds', 'loss'];

/** A metrics.csv that is open for appending. */
export class MetricsCsv {
  readonly #path: string;
  readonly #columns: string[];
  readonly #known: Set<string>;
  #file: AppendedFile;

  private constructor(path: string, columns: readonly string[]) {
    this.#path = path;
    this.#columns = [...columns];
    this.#known = new Set(columns);
    this.#file = new AppendedFile(path);
  }

  /**
   * Begin the table of a run; that of a run which goes on is made anew from the steps before, so that it lacks none of them.
   * @throws FileError if it cannot be written, and what reading the earlier steps throws
   */
  static async open(path: string, earlier: AsyncIterable<StepRecord> | Iterable<StepRecord> = []): Promise<MetricsCsv> {
    await writeFileAtomically(path, tableOf(firstColumns, []));
    const table = new MetricsCsv(path, firstColumns);
    try {
      for await (const record of earlier) await table.append(record);
    } catch (error) {
      table.close();
      throw error;
    }
    return table;
  }

  /**
   * Append the row of a step.
   * @throws FileError if it cannot be written
   */
  async append({ step, epoch, seconds, loss, metrics, optimizer }: StepRecord): Promise<void> {
    const values = new Map<string, number>([
      ...[['step', step] as const, ['epoch', epoch] as const, ['seconds', seconds] as const, ['loss', loss] as const],
      ...Object.entries(metrics),
      ...Object.entries(optimizer).map(([name, value]) => [`optimizer.${name}`, value] as const),
    ]);
    const added = [...values.keys()].filter((name) => !this.#known.has(name));
    if (added.length > 0) await this.#widen(added);
    this.#file.append(`${this.#columns.map((name) => values.get(name) ?? '').join(',')}\r\n`);
  }

  /** Sync the table to the disk and close it; further calls do nothing. */
  close(): void {
    this.#file.close();
  }

  async #widen(added: readonly string[]): Promise<void> {
    this.#file.close();
    const [, ...rows] = await linesOf(this.#path);
    this.#columns.push(...added);
    for (const name of added) this.#known.add(name);
    const missing = ','.repeat(added.length);
    await writeFileAtomically(
      this.#path,
      tableOf(
        this.#columns,
        rows.map((row) => row + missing),
      ),
    );
    this.#file = new AppendedFile(this.#path);
  }
}

/** Rows hold numbers only; names of columns are quoted where they must be. */
const tableOf = (columns: readonly string[], rows: readonly string[]): string =>
  [columns.map(quoted).join(','), ...rows].map((row) => `${row}\r\n`).join('');

const quoted = (name: string): string => (/[",\r\n]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name);

/** The whole lines of a table. */
async function linesOf(path: string): Promise<string[]> {
  try {
    return (await readFile(path, 'utf8')).split('\r\n').slice(0, -1);
  } catch (cause) {
    throw new FileError(`cannot read '${path}': ${advice(cause)}`, { cause });
  }
}
