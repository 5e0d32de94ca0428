// Parquet tables: numbers, lists of numbers, and a label or target column. Only the columns that are asked for are read,
// and nothing is allocated on the word of a file that cannot hold it.
import { type FileMetaData, parquetMetadata, parquetReadObjects } from 'hyparquet';
import { FileError } from '../../errors.js';
import type { DataSplits } from '../dataset.js';
import { readBytes } from './files.js';
import { checkPages, unpackPage } from './parquet-pages.js';
import { type TableOptions, tableSplits } from './table.js';

/** Reads a .parquet file. Throws FileError where it is damaged; see `tableSplits` for the columns. */
export async function readParquet(path: string, options: TableOptions): Promise<DataSplits> {
  return parquetSplits(await readBytes(path, 'Parquet file'), path, options);
}

/** Reads the bytes of a Parquet file; `path` is for messages. */
export async function parquetSplits(bytes: Uint8Array, path: string, options: TableOptions): Promise<DataSplits> {
  const buffer = bytes.slice().buffer;
  const metadata = attempt(path, () => checkedMetadata(bytes));
  const names = topLevelColumns(metadata);
  const dropped = options.drop ?? [];
  // Names that do not exist are told by tableSplits, which knows what they were for.
  const wanted = names.filter((name) => !dropped.includes(name));
  let rows: Record<string, unknown>[];
  try {
    rows = await parquetReadObjects({
      file: { byteLength: buffer.byteLength, slice: (start, end) => buffer.slice(start, end) },
      metadata,
      columns: wanted,
      compressors: {
        SNAPPY: (page, length) => unpackPage(page, length, 'SNAPPY'),
        GZIP: (page, length) => unpackPage(page, length, 'GZIP'),
      },
    });
  } catch (cause) {
    throw damaged(path, cause);
  }
  const columns = names.map((name) => ({ name, cells: wanted.includes(name) ? rows.map((row) => row[name]) : [] }));
  return tableSplits(columns, path, options, (row) => `row ${row + 1}`);
}

function checkedMetadata(bytes: Uint8Array): FileMetaData {
  const metadata = parquetMetadata(bytes);
  checkPages(bytes, metadata);
  return metadata;
}

function topLevelColumns(metadata: FileMetaData): string[] {
  const names = metadata.row_groups[0]?.columns.map((column) => column.meta_data?.path_in_schema[0] ?? '') ?? [];
  return [...new Set(names)];
}

function attempt<Value>(path: string, read: () => Value): Value {
  try {
    return read();
  } catch (cause) {
    throw damaged(path, cause);
  }
}

function damaged(path: string, cause: unknown): FileError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new FileError(
    `${path}: expected a Parquet file, uncompressed or compressed by Snappy or gzip, but it does not read (${why}): write it again, e.g. with compression='snappy'`,
    { cause },
  );
}
