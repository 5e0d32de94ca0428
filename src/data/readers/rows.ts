// The rows of a table, part by part: a file of any length is read in the memory of one part.
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { type CsvError, parse } from 'csv-parse';
import { FileError, messageOf } from '../../errors.js';
import { systemCode } from '../../files/write.js';
import { csvOptions, malformed, missingHeader } from './csv.js';
import { unreadable } from './files.js';
import { parquetParts } from './parquet.js';
import type { TableColumn } from './table.js';

/** Rows of a part of a CSV file. */
const partSize = 2048;

/** A part of a table. */
export interface TablePart {
  /** All columns of the file, in its order. */
  readonly columns: readonly TableColumn[];
  readonly rows: number;
  /** The number of its first row in the file, from 0. */
  readonly start: number;
  /** Return the name of a row of the part for messages. */
  place(row: number): string;
  /** Return what to add to a complaint about the names of the columns, or nothing. */
  doubt(names: readonly string[]): string;
}

/** Whether a file is a table by its name. */
export const isTable = (path: string): boolean => /\.(csv|tsv|csv\.gz|tsv\.gz|parquet)$/i.test(path);

/**
 * Read a .csv, .tsv (plain or .gz) or .parquet file part by part.
 * @throws FileError if it cannot be read, and if it has no rows
 */
export async function* tableParts(path: string): AsyncGenerator<TablePart> {
  const isParquet = /\.parquet$/i.test(path);
  let start = 0;
  for await (const columns of isParquet ? parquetParts(path) : csvParts(path)) {
    const from = start;
    const rows = columns[0]?.cells.length ?? 0;
    // The header of a CSV file is record 1.
    const place = (row: number) => (isParquet ? `row ${from + row + 1}` : `record ${from + row + 2}`);
    if (rows > 0) yield { columns, rows, start: from, place, doubt: isParquet ? () => '' : missingHeader };
    start += rows;
  }
  if (start === 0) throw new FileError(`${path}: expected a header line and rows below it, found no rows: add data`);
}

async function* csvParts(path: string): AsyncGenerator<readonly TableColumn[]> {
  const parser = parse(csvOptions(path));
  // Its errors come out of the parser.
  const reading = path.endsWith('.gz')
    ? pipeline(createReadStream(path), createGunzip(), decoded, parser)
    : pipeline(createReadStream(path), decoded, parser);
  reading.catch(() => undefined);
  let names: readonly string[] | undefined;
  let rows: string[][] = [];
  const part = () => (names ?? []).map((name, column) => ({ name, cells: rows.map((row) => row[column]) }));
  try {
    for await (const record of parser as AsyncIterable<string[]>) {
      if (!names) names = record.map((name) => name.trim());
      else if (rows.push(record) === partSize) {
        yield part();
        rows = [];
      }
    }
  } catch (cause) {
    throw csvError(path, cause);
  }
  if (rows.length > 0) yield part();
}

/** Bytes as text. @throws TypeError if they are not UTF-8 */
async function* decoded(source: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  for await (const bytes of source) yield decoder.decode(bytes, { stream: true });
  yield decoder.decode();
}

function csvError(path: string, cause: unknown): FileError {
  const code = systemCode(cause) ?? '';
  if (isCsvError(cause)) return malformed(path, cause);
  if (code.startsWith('Z_')) {
    return new FileError(
      `${path}: expected gzip-compressed data, but it does not unpack (${messageOf(cause)}): fetch the file again`,
      {
        cause,
      },
    );
  }
  if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') {
    return new FileError(`${path}: expected UTF-8 text, but its bytes do not decode: save it as UTF-8`, { cause });
  }
  return unreadable(path, 'table', cause);
}

const isCsvError = (error: unknown): error is CsvError => systemCode(error)?.startsWith('CSV_') ?? false;
