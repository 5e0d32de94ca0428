// Comma-separated values with a header line (tab-separated if the file is named .tsv).
import { parse } from 'csv-parse/sync';
import { FileError, messageOf } from '../../errors.js';
import type { DataSplits } from '../dataset.js';
import { decodeText, readBytes } from './files.js';
import { type TableColumn, type TableOptions, tableSplits } from './table.js';

/**
 * Read a .csv or .tsv file, plain or .gz; see `tableSplits` for the columns.
 * @throws FileError if rows are malformed
 */
export async function readCsv(path: string, options: TableOptions): Promise<DataSplits> {
  return csvSplits(await readBytes(path, 'CSV file'), path, options);
}

/** Parse the bytes of a CSV file; `path` is for messages and decides between tabs and commas. */
export function csvSplits(bytes: Uint8Array, path: string, options: TableOptions): DataSplits {
  const columns = parseCsv(decodeText(bytes, path), path);
  // The header is record 1; a record is a line if no quotes hold line breaks.
  return tableSplits(columns, path, options, (row) => `record ${row + 2}`, missingHeader);
}

/** What to add to a complaint about column names, if one of them is a number: then the first line holds data. */
export const missingHeader = (names: readonly string[]): string =>
  names.some((name) => name.trim() !== '' && Number.isFinite(Number(name)))
    ? '; these look like data: put a line with the names of the columns at the top'
    : '';

/** How a file of this name is parsed. */
export const csvOptions = (path: string) => ({
  delimiter: /\.tsv(\.gz)?$/.test(path) ? '\t' : ',',
  skip_empty_lines: true,
  bom: true,
});

export const malformed = (path: string, cause: unknown): FileError =>
  new FileError(
    `${path}: expected comma-separated values with one header line (${messageOf(cause)}): correct that line`,
    { cause },
  );

function parseCsv(text: string, path: string): TableColumn[] {
  let records: string[][];
  try {
    records = parse(text, csvOptions(path));
  } catch (cause) {
    throw malformed(path, cause);
  }
  const [header, ...rows] = records;
  if (header === undefined || rows.length === 0) {
    throw new FileError(`${path}: expected a header line and data below it, found ${records.length} lines: add data`);
  }
  return header.map((name, column) => ({ name: name.trim(), cells: rows.map((row) => row[column]) }));
}
