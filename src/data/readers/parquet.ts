// Parquet tables: numbers, lists of numbers, and a label or target column. Only the columns that are used are read, and
// nothing is allocated on the word of a file that cannot hold it.
import { type FileMetaData, parquetReadObjects } from 'hyparquet';
import { FileError, messageOf } from '../../errors.js';
import type { DataSplits } from '../dataset.js';
import { readBytes } from './files.js';
import { checkedMetadata, unpackPage } from './parquet-pages.js';
import { type TableColumn, type TableOptions, tableSplits } from './table.js';

/**
 * Read a .parquet file; see `tableSplits` for the columns.
 * @throws FileError if it is damaged
 */
export async function readParquet(path: string, options: TableOptions): Promise<DataSplits> {
  return parquetSplits(await readBytes(path, 'Parquet file'), path, options);
}

/** Read the bytes of a Parquet file; `path` is for messages. */
export async function parquetSplits(bytes: Uint8Array, path: string, options: TableOptions): Promise<DataSplits> {
  const columns = await readColumns(bytes, path, options);
  return tableSplits(columns, path, options, (row) => `row ${row + 1}`);
}

/** The columns of a file; those to drop are not read and have no cells. */
async function readColumns(bytes: Uint8Array, path: string, options: TableOptions): Promise<TableColumn[]> {
  const { names, rows } = opened(bytes, path);
  const dropped = options.drop ?? [];
  const wanted = names.filter((name) => !dropped.includes(name));
  const found = await rows(wanted);
  return names.map((name) => ({ name, cells: wanted.includes(name) ? found.map((row) => row[name]) : [] }));
}

/**
 * Read all columns of a .parquet file, one row group after another.
 * @throws FileError if it is damaged
 */
export async function* parquetParts(path: string): AsyncGenerator<readonly TableColumn[]> {
  const { names, groups, rows } = opened(await readBytes(path, 'Parquet file'), path);
  let start = 0;
  for (const size of groups) {
    const found = await rows(names, start, start + size);
    yield names.map((name) => ({ name, cells: found.map((row) => row[name]) }));
    start += size;
  }
}

/** The names of a file's columns, the sizes of its row groups, and how to read rows. @throws FileError if it is damaged */
function opened(bytes: Uint8Array, path: string) {
  const damaged = (cause: unknown): FileError =>
    new FileError(
      `${path}: expected a Parquet file, uncompressed or compressed by Snappy or gzip, but it does not read (${messageOf(cause)}): write it again, e.g. with compression='snappy'`,
      { cause },
    );
  const buffer = bytes.slice().buffer;
  try {
    const metadata = checkedMetadata(bytes);
    const rows = async (columns: string[], rowStart = 0, rowEnd?: number) => {
      try {
        return await parquetReadObjects({
          ...{ metadata, columns, rowStart, ...(rowEnd !== undefined && { rowEnd }) },
          file: { byteLength: buffer.byteLength, slice: (start, end) => buffer.slice(start, end) },
          compressors: {
            SNAPPY: (page, length) => unpackPage(page, length, 'SNAPPY'),
            GZIP: (page, length) => unpackPage(page, length, 'GZIP'),
          },
        });
      } catch (cause) {
        throw damaged(cause);
      }
    };
    return {
      names: topLevelColumns(metadata),
      groups: metadata.row_groups.map((group) => Number(group.num_rows)),
      rows,
    };
  } catch (cause) {
    throw damaged(cause);
  }
}

function topLevelColumns(metadata: FileMetaData): string[] {
  const names = metadata.row_groups[0]?.columns.map((column) => column.meta_data?.path_in_schema[0] ?? '') ?? [];
  return [...new Set(names)];
}
